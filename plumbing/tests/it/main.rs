//! The library against real git and a real filesystem.

mod archive;
mod blobs;
mod capture;
mod diff;
mod disk;
mod format;
mod layer;
mod layer_changes;
mod layer_properties;
mod layer_semantics;
mod oci;
mod refs;
mod revision;
mod root;
mod tarball;
