//! The library as its users see it.

mod capture;
mod diff;
mod disk;
mod format;
mod revision;
mod root;
