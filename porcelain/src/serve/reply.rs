//! Answers, before they are put on the wire.

use std::io::Read;

use hyper::StatusCode;

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// What an answer carries.
pub(super) enum Body {
    Bytes(Vec<u8>),
    /// So many bytes of a reader.
    Reader(Box<dyn Read + Send>, u64),
}

impl Body {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Reader(_, length) => *length,
        }
    }
}

impl Reply {
    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(Vec::new()) }
    }

    /// An answer in JSON.
    pub(super) fn json(status: StatusCode, body: String) -> Self {
        Self::empty(status).with("Content-Type", "application/json").carrying(Body::Bytes(body.into_bytes()))
    }

    /// With a header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body.
    pub(super) fn carrying(self, body: Body) -> Self {
        Self { body, ..self }
    }
}
