//! Objects, trees, content, refs, revisions, layers and mount images of an rd store: bytes and ids only.
//!
//! A store is a bare SHA-256 git repository plus a folder of raw file contents; `docs/format.md`
//! describes every byte of it. Nothing here prints, exits, mounts or starts a process.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ancestry;
pub mod archive;
pub mod artifact;
pub mod blobs;
pub mod bundle;
pub mod capture;
pub mod checkout;
pub mod chunked;
pub mod cold;
pub mod commit;
pub mod config;
pub mod date;
pub mod describe;
pub mod diff;
pub mod digest;
pub mod disk;
pub mod error;
pub mod fsck;
pub mod gc;
pub mod history;
pub mod image_name;
pub mod import;
pub mod layer;
pub mod list;
pub mod mount_image;
pub mod name_rev;
pub mod oci;
pub mod pathspec;
pub mod receive_pack;
pub mod revision;
pub mod root;
pub mod stat_cache;
pub mod store;
pub mod tracking;
pub mod transfer;
pub mod travel;
pub mod upload_pack;
pub mod view;
pub mod walk;
pub mod well_formed;
pub mod write_tree;

pub use error::{Error, Result};
pub use gix;
/// The name of a git object: the SHA-256 of its header and bytes.
pub use gix::ObjectId as Id;
pub use gix::bstr;
pub use image_name::ImageName;
pub use store::Store;
pub use tracking::Tracking;
