//! The library against real git and a real filesystem.

mod format;
mod root;
