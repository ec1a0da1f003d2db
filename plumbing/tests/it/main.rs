//! The library against real git and a real filesystem.

mod capture;
mod disk;
mod revision;
mod root;
