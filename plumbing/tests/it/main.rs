//! The library as its users see it.

mod capture;
mod diff;
mod disk;
mod format;
mod layer;
mod revision;
mod root;
