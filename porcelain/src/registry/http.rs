//! One exchange with a server: bounded in time and size, with redirects left to the caller.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Method, Response, StatusCode};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, AsSendBody, Body, SendBody};

use super::settings::is_loopback;
use crate::{Error, IoResultExt, Result};

/// How long servers are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection, the head of an answer, a small body, and the next bytes of a large one.
    pub answer: Duration,
    /// A body must bring `least` bytes in this time.
    pub window: Duration,
    /// See `window`.
    pub least: u64,
    /// Tries without progress before a server is given up.
    pub tries: u32,
    /// The pause after the first try, which doubles with each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            window: Duration::from_secs(60),
            least: 16 << 10,
            tries: 5,
            pause: Duration::from_millis(200),
        }
    }
}

/// Longer pauses aren't made, whatever a server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Patience {
    /// How long to wait after the try `number` (from 0), where the server asks for `asked` seconds or nothing.
    pub(super) fn pause_after(&self, number: u32, asked: Option<u64>) -> Duration {
        let own = self.pause.saturating_mul(1 << number.min(10));
        asked.map_or(own, |seconds| Duration::from_secs(seconds).max(own)).min(LONGEST_PAUSE)
    }
}

/// What is sent.
pub(super) enum Sent<'b> {
    Nothing,
    Bytes(&'b [u8]),
    /// So many bytes of a reader, which can be sent once.
    Reader(&'b mut dyn Read, u64),
}

/// A client for one host, or for all others.
#[derive(Debug)]
pub(super) struct Http {
    agent: Agent,
    patience: Patience,
}

/// An answer whose body wasn't read yet.
pub(super) type Answer = Response<Body>;

impl Http {
    /// A client that checks certificates, or takes any.
    pub(super) fn new(host: &str, verify: bool, certificates: &Certificates, patience: Patience) -> Self {
        let mut tls = TlsConfig::builder().disable_verification(!verify);
        tls = tls.root_certs(match certificates.roots.is_empty() {
            true => RootCerts::PlatformVerifier,
            false => RootCerts::Specific(certificates.roots.clone()),
        });
        let config = Agent::config_builder()
            .tls_config(tls.client_cert(certificates.client.clone()).build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(patience.answer))
            .timeout_send_request(Some(patience.answer))
            .timeout_recv_response(Some(patience.answer))
            .timeout_per_read(Some(patience.answer))
            .timeout_per_write(Some(patience.answer))
            .max_idle_connections_per_host(8)
            .user_agent(concat!("rd/", env!("CARGO_PKG_VERSION")));
        let config = if is_loopback(host) { config.proxy(None) } else { config };
        Self { agent: config.build().new_agent(), patience }
    }

    /// One request and the head of its answer.
    pub(super) fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, String)],
        body: Sent<'_>,
    ) -> io::Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let invalid = |error: ureq::http::Error| io::Error::new(io::ErrorKind::InvalidInput, error);
        match body {
            Sent::Nothing => self.run(request.body(()).map_err(invalid)?),
            Sent::Bytes(bytes) => self.run(request.body(bytes).map_err(invalid)?),
            Sent::Reader(reader, size) => {
                let request = request.header("content-length", size.to_string());
                self.run(request.body(SendBody::from_reader(reader)).map_err(invalid)?)
            }
        }
    }

    fn run(&self, request: ureq::http::Request<impl AsSendBody>) -> io::Result<Answer> {
        // What was sent may have to be looked through, or moved, before there is an answer.
        let patience = if *request.method() == Method::GET { self.patience.answer } else { self.patience.answer * 10 };
        let request = self.agent.configure_request(request).timeout_recv_response(Some(patience)).build();
        self.agent.run(request).map_err(|error| plain(error.into_io()))
    }

    /// The body of an answer. More than `limit` bytes are an error, as is one that comes drop by drop.
    pub(super) fn small_body(&self, answer: Answer, limit: u64) -> io::Result<Vec<u8>> {
        let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("an answer has more than {limit} bytes"));
        if answer.body().content_length().is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let until = std::time::Instant::now() + self.patience.answer;
        let mut reader = answer.into_body().into_reader();
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = reader.read(&mut buffer).map_err(plain)?;
            bytes.extend_from_slice(&buffer[..length]);
            match length {
                0 => return Ok(bytes),
                _ if bytes.len() as u64 > limit => return Err(too_long()),
                _ if std::time::Instant::now() > until => return Err(io::ErrorKind::TimedOut.into()),
                _ => {}
            }
        }
    }
}

/// An error of a connection by its kind: that of a time that ran out, too.
pub(super) fn plain(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => io::Error::new(io::ErrorKind::TimedOut, "it takes too long to answer"),
        Some(ureq::Error::HostNotFound) => io::Error::new(io::ErrorKind::NotFound, "no such host"),
        _ => error,
    }
}

/// A header's value as text.
pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Whether the same request may be answered better a little later.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// How long the server asks to wait, in seconds.
pub(super) fn retry_after(answer: &Answer) -> Option<u64> {
    header(answer, "retry-after")?.trim().parse().ok()
}

/// Whom to believe, and who we are: what is in a host's folder of certificates.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    roots: Arc<Vec<Certificate<'static>>>,
    client: Option<ClientCert>,
}

impl Certificates {
    /// Read `*.crt` (whom to believe), and a `*.cert` with its `*.key` (who we are), as docker does.
    pub(super) fn read(folders: &[std::path::PathBuf]) -> Result<Self> {
        let (mut roots, mut client) = (Vec::new(), None);
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some("crt") => roots.extend(read_certificates(&path)?),
                    Some("cert") => {
                        let (chain, key) = (read_certificates(&path)?, path.with_extension("key"));
                        let pem = std::fs::read(&key).on("read", &key)?;
                        let key =
                            PrivateKey::from_pem(&pem).map_err(|error| Error::invalid("key", key.display(), error))?;
                        client = Some(ClientCert::new_with_certs(&chain, key));
                    }
                    _ => {}
                }
            }
        }
        Ok(Self { roots: Arc::new(roots), client })
    }
}

fn read_certificates(path: &std::path::Path) -> Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(path).on("read", path)?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| Error::invalid("certificate", path.display(), error))?
        {
            found.push(certificate);
        }
    }
    Ok(found)
}
