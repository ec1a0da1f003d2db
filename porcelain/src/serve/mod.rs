//! A store as a registry of the OCI distribution specification, both ways.
//!
//! A request becomes a [`route`]; a function of the [`Registry`] answers it, on a thread of its own and with blocking
//! reads and writes; [`connection`] puts both on the wire. All that is asynchronous is there.

mod blobs;
mod connection;
mod hashing;
mod held;
mod histories;
mod images;
mod lists;
mod manifests;
mod problem;
mod pushes;
mod range;
mod reply;
mod repository;
mod route;
mod uploads;

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use hyper::{HeaderMap, Method, StatusCode};
use plumbing::Store;

pub use connection::Server;
use held::Manifests;
use problem::{Answer, Problem};
use reply::Reply;
use route::{OnBlob, OnManifest, Route};
use uploads::Uploads;

use crate::Result;

/// The largest blob that is taken where nobody says otherwise.
pub const LARGEST_BLOB: u64 = 64 << 30;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Take nothing, and remove nothing.
    pub read_only: bool,
    /// The largest blob that is taken, in bytes.
    pub largest_blob: u64,
}

/// What is told of each request once it is answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Who asked.
    pub client: SocketAddr,
    /// The method and the path.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The bytes of the answer.
    pub length: u64,
    /// What went wrong.
    pub problem: Option<String>,
}

/// Remove uploads that nobody touched for a day: no server may run that would.
pub(crate) fn clear_stale_uploads(store: &Store) -> Result<()> {
    Uploads::new(store.dir(), LARGEST_BLOB).clear_stale()
}

/// A store that answers.
pub(crate) struct Registry {
    store: PathBuf,
    options: Options,
    uploads: Uploads,
    manifests: Manifests,
}

impl Registry {
    fn new(store: PathBuf, options: Options) -> Result<Self> {
        let uploads = Uploads::new(&store, options.largest_blob);
        if !options.read_only {
            uploads.clear_stale()?;
        }
        Ok(Self { store, options, uploads, manifests: Manifests::default() })
    }

    /// Answer a request.
    fn answer(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &mut dyn Read,
    ) -> Answer<Reply> {
        // No client of registries sends it, all browsers do for other sites: a page must not reach a store by its reader's browser.
        if headers.contains_key("origin") {
            return Err(Problem::denied("web pages are not served"));
        }
        let route = route::parse(method, path, query)?;
        if self.options.read_only && !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Problem::in_use("this registry only gives").with("Allow", "GET, HEAD"));
        }
        let store = Store::open(&self.store)?;
        match route {
            Route::Base => Ok(Reply::json(StatusCode::OK, "{}".into())),
            Route::Catalog(page) => self.catalog(&store, &page),
            Route::Tags(name, page) => self.tags(&store, &name, &page),
            Route::Referrers(name, subject, kind) => self.referrers(&store, &name, &subject, kind.as_deref()),
            Route::Manifest(name, reference, OnManifest::Get) => self.get_manifest(&store, &name, &reference),
            Route::Manifest(name, reference, OnManifest::Put(tags)) => {
                self.put_manifest(&store, &name, &reference, tags, headers, body)
            }
            Route::Manifest(name, reference, OnManifest::Delete) => self.delete_manifest(&store, &name, &reference),
            Route::Blob(name, digest, OnBlob::Get) => {
                // A client that goes on after a break says what it has the beginning of.
                let same = pushes::header(headers, "if-range").is_none_or(|tag| tag == format!("\"{digest}\""));
                let range = pushes::header(headers, "range").filter(|_| same);
                self.get_blob(&store, &name, &digest, range, method == Method::HEAD)
            }
            Route::Blob(name, digest, OnBlob::Delete) => self.delete_blob(&store, &name, &digest),
            Route::Begin(name, begin) => self.begin_upload(&store, &name, begin, headers, body),
            Route::Upload(name, id, what) => self.upload(&name, &id, what, headers, body),
        }
    }
}
