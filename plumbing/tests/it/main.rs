//! The library as its users see it.

mod revision;
mod root;
