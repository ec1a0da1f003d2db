//! Registries of images: the client of the OCI distribution specification.
//!
//! A [`Remote`] is a repository at its registry and that registry's mirrors. Nothing that a server says is believed: sizes and
//! digests are checked, answers are bounded in size and time, credentials go to the host alone that they are for, and only
//! addresses of the registry (and those that it redirects to) are contacted, never one that a manifest names.

mod address;
mod blob;
mod credentials;
mod downloads;
mod helper;
mod history;
mod host;
mod hostile;
mod http;
mod partial;
mod pull;
mod push;
mod reference;
mod referrers;
mod remote;
mod search;
mod settings;
mod token;
mod upload;

pub use credentials::{Credential, Credentials};
pub use downloads::{Event, Listener, clear};
pub use history::{pull_history, push_history};
pub use http::Patience;
pub use pull::{Pulled, downloads_dir, pull};
pub use push::push;
pub use reference::Reference;
pub use referrers::{pull_referrers, push_referrers};
pub use remote::{Manifest, Remote};
pub use search::{Found, search};
pub use settings::Settings;
pub use upload::Part;
