//! The library against real git and a real filesystem.

mod disk;
mod root;
