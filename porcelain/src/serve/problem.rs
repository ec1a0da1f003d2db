//! What a registry answers where something is wrong: a status and the specification's JSON.

use hyper::StatusCode;
use serde_json::json;

use super::reply::Reply;

/// Something that a client did wrong, or that can't be done for it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    /// Further headers of the answer.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// What functions that answer return.
pub(super) type Answer<T> = std::result::Result<T, Problem>;

/// Declares a problem a line: its name, its code in the specification, its status.
macro_rules! problems {
    ($($(#[$about:meta])* $name:ident $code:literal $status:ident,)*) => {
        impl Problem {
            $($(#[$about])* pub(super) fn $name(message: impl Into<String>) -> Self {
                Self::new(StatusCode::$status, $code, message)
            })*
        }
    };
}

problems! {
    blob_unknown "BLOB_UNKNOWN" NOT_FOUND,
    upload_invalid "BLOB_UPLOAD_INVALID" BAD_REQUEST,
    upload_busy "BLOB_UPLOAD_INVALID" CONFLICT,
    upload_unknown "BLOB_UPLOAD_UNKNOWN" NOT_FOUND,
    out_of_order "BLOB_UPLOAD_INVALID" RANGE_NOT_SATISFIABLE,
    no_such_range "SIZE_INVALID" RANGE_NOT_SATISFIABLE,
    blob_too_large "SIZE_INVALID" PAYLOAD_TOO_LARGE,
    digest_invalid "DIGEST_INVALID" BAD_REQUEST,
    size_invalid "SIZE_INVALID" BAD_REQUEST,
    blobs_missing "MANIFEST_BLOB_UNKNOWN" BAD_REQUEST,
    manifest_invalid "MANIFEST_INVALID" BAD_REQUEST,
    manifest_too_large "MANIFEST_INVALID" PAYLOAD_TOO_LARGE,
    manifest_unknown "MANIFEST_UNKNOWN" NOT_FOUND,
    name_invalid "NAME_INVALID" BAD_REQUEST,
    name_unknown "NAME_UNKNOWN" NOT_FOUND,
    denied "DENIED" FORBIDDEN,
    in_use "UNSUPPORTED" METHOD_NOT_ALLOWED,
    no_such_page "UNSUPPORTED" NOT_FOUND,
    wrong_method "UNSUPPORTED" METHOD_NOT_ALLOWED,
    too_many "TOOMANYREQUESTS" TOO_MANY_REQUESTS,
    full "UNKNOWN" INSUFFICIENT_STORAGE,
    failed "UNKNOWN" INTERNAL_SERVER_ERROR,
    /// The body stopped coming.
    timed_out "SIZE_INVALID" REQUEST_TIMEOUT,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// With a header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer. What a client sent is escaped by JSON itself.
    pub(super) fn reply(self) -> Reply {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] }).to_string();
        let mut reply = Reply::json(self.status, body);
        reply.headers.extend(self.headers);
        reply
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl From<plumbing::Error> for Problem {
    fn from(error: plumbing::Error) -> Self {
        crate::Error::from(error).into()
    }
}

impl From<crate::Error> for Problem {
    fn from(error: crate::Error) -> Self {
        let words = error.chain().join(": ");
        match is_full(&error) {
            true => Self::full(words),
            false => Self::failed(words),
        }
    }
}

/// Whether somewhere below an error the disk is full.
fn is_full(error: &crate::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        }
        source = error.source();
    }
    false
}
