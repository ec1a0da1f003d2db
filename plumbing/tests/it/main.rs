//! The library against real git and a real filesystem.

mod capture;
mod diff;
mod disk;
mod format;
mod layer;
mod revision;
mod root;
