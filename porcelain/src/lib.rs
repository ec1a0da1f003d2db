//! Containers, images and networks on top of `plumbing`: Linux and registries.
