//! The library against real git and a real filesystem.

mod root;
