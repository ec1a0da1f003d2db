//! The library as its users see it.

mod capture;
mod disk;
mod revision;
mod root;
