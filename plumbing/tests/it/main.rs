//! The library as its users see it.

mod capture;
mod diff;
mod disk;
mod revision;
mod format;
mod root;
