//! Files from the web, as streams.

use std::io::Read;
use std::time::Duration;

use crate::{Error, Result};

/// How long a server may take to accept a connection, and to begin to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether `source` is the address of a file on the web rather than a file's name.
pub fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Get the file at the http or https address `url`, following redirects. Nothing is kept in memory, and reading fails where
/// the server sends less than it announced.
pub fn open(url: &str) -> Result<Box<dyn Read + Send>> {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .user_agent(concat!("rd/", env!("CARGO_PKG_VERSION")))
        .build();
    let response = config
        .new_agent()
        .get(url)
        .call()
        .map_err(|error| Error::Download { url: url.escape_debug().to_string(), source: error.into_io() })?;
    Ok(Box::new(response.into_body().into_reader()))
}
