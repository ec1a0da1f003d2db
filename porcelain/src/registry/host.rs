//! Requests to one host's API: which scheme it speaks, who we are to it, tries and redirects.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;
use ureq::http::{Method, StatusCode};

use super::address::{follow, origin, path, server, with_query};
use super::credentials::Credential;
use super::http::{Answer, Certificates, Http, Patience, Sent, header, is_passing, retry_after};
use super::settings::{Place, Settings, Trust, is_loopback};
use super::token::{Challenge, Granted, Tokens, basic, form};
use crate::{Error, Result};

/// Redirects in a row that are followed.
const HOPS: u32 = 5;
/// An error's description is read this far.
const ERROR_LIMIT: u64 = 64 << 10;
/// Tokens are longer than one would think, but not that long.
const TOKEN_LIMIT: u64 = 1 << 20;
/// What is shown of what a server says.
const SHOWN: usize = 500;

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// A path of the API, or a whole address that the host gave.
    pub(super) url: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) bytes: Option<&'a [u8]>,
    /// What a token has to allow: `repository:a/b:pull`, several parted by spaces.
    pub(super) scope: &'a str,
}

impl<'a> Ask<'a> {
    /// A request without a body.
    pub(super) fn new(method: Method, url: &'a str, scope: &'a str) -> Self {
        Self { method, url, headers: Vec::new(), bytes: None, scope }
    }
}

/// A host that speaks the distribution API.
pub(super) struct Host {
    /// The registry, as image names spell it.
    registry: String,
    name: String,
    trust: Trust,
    own: Http,
    /// For addresses that the host sends us to.
    elsewhere: OnceLock<Http>,
    credential: Option<Credential>,
    pub(super) patience: Patience,
    base: Mutex<Option<String>>,
    tokens: Tokens,
}

impl Host {
    /// The host of `place`, which has images of `registry`.
    pub(super) fn new(
        registry: &str,
        place: &Place,
        settings: &Settings,
        credential: Option<Credential>,
        patience: Patience,
    ) -> Result<Self> {
        let certificates = Certificates::read(&settings.certificate_folders(&place.host))?;
        Ok(Self {
            registry: registry.into(),
            name: place.host.clone(),
            trust: place.trust,
            own: Http::new(&place.host, place.trust == Trust::Verified, &certificates, patience),
            elsewhere: OnceLock::new(),
            credential,
            patience,
            base: Mutex::new(None),
            tokens: Tokens::default(),
        })
    }

    /// Send a request until there is an answer that tries don't change. Its status may be that of a failure.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Answer> {
        let base = self.base()?;
        let mut url = whole(&base, ask.url);
        let (mut tries, mut hops, mut renewed) = (0, 0, false);
        loop {
            let answer = match self.send(&base, &url, ask) {
                Ok(answer) => answer,
                Err(Error::Unreachable { source, .. })
                    if is_passing_error(&source) && tries + 1 < self.patience.tries =>
                {
                    self.pause(&mut tries, None);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let status = answer.status();
            if is_passing(status) && tries + 1 < self.patience.tries {
                self.pause(&mut tries, retry_after(&answer));
            } else if status == StatusCode::UNAUTHORIZED && origin(&url) == origin(&base) && !renewed {
                renewed = true;
                self.tokens.forget(ask.scope);
                match challenge(&answer) {
                    Some(challenge) => self.tokens.challenged(challenge),
                    None => return Ok(answer),
                }
            } else if let Some(location) = redirect(&answer, &ask.method) {
                hops += 1;
                if hops > HOPS {
                    return Err(self.untrusted(format!("it sends us on more than {HOPS} times")));
                }
                url = follow(&url, location).map_err(|why| self.untrusted(why))?;
            } else {
                return Ok(answer);
            }
        }
    }

    /// Send the `size` bytes of a reader, once.
    pub(super) fn upload(&self, ask: &Ask<'_>, reader: &mut dyn io::Read, size: u64) -> Result<Answer> {
        let base = self.base()?;
        let url = whole(&base, ask.url);
        self.send_body(&base, &url, ask, Sent::Reader(reader, size))
    }

    /// The failure that an answer tells of; `what` was asked for.
    pub(super) fn failure(&self, answer: Answer, method: &Method, url: &str, what: &str) -> Error {
        let status = answer.status();
        let why = said(&self.own.small_body(answer, ERROR_LIMIT).unwrap_or_default());
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let why = if why.is_empty() { status.to_string() } else { why };
            return Error::Denied { registry: self.registry.clone(), what: what.into(), why };
        }
        let request = format!("{method} {}", path(&whole("http://x", url)));
        Error::Answer { server: self.name.clone(), request, status: status.as_u16(), why }
    }

    /// A small body.
    pub(super) fn body(&self, answer: Answer, limit: u64) -> Result<Vec<u8>> {
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::FileTooLarge => self.untrusted(error.to_string()),
            _ => self.unreachable(error),
        };
        self.own.small_body(answer, limit).map_err(broken)
    }

    /// The rule `why` that the host breaks.
    pub(super) fn untrusted(&self, why: impl Into<String>) -> Error {
        Error::Untrusted { server: self.name.clone(), why: why.into() }
    }

    pub(super) fn unreachable(&self, source: io::Error) -> Error {
        Error::Unreachable { server: self.name.clone(), source }
    }

    /// The whole address of a path.
    pub(super) fn whole(&self, url: &str) -> Result<String> {
        Ok(whole(&self.base()?, url))
    }

    /// Host and port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn pause(&self, tries: &mut u32, asked: Option<u64>) {
        std::thread::sleep(self.patience.pause_after(*tries, asked));
        *tries += 1;
    }

    fn send(&self, base: &str, url: &str, ask: &Ask<'_>) -> Result<Answer> {
        self.send_body(base, url, ask, ask.bytes.map_or(Sent::Nothing, Sent::Bytes))
    }

    /// One exchange. The host alone learns who we are.
    fn send_body(&self, base: &str, url: &str, ask: &Ask<'_>, body: Sent<'_>) -> Result<Answer> {
        let is_own = origin(url) == origin(base);
        let mut headers = ask.headers.clone();
        if is_own && let Some(authorization) = self.authorization(base, ask.scope)? {
            headers.push(("authorization", authorization));
        }
        let http = if is_own { &self.own } else { self.elsewhere() };
        http.send(&ask.method, url, &headers, body).map_err(|source| Error::Unreachable { server: server(url), source })
    }

    fn elsewhere(&self) -> &Http {
        let verify = self.trust != Trust::Insecure;
        self.elsewhere.get_or_init(|| Http::new("", verify, &Certificates::default(), self.patience))
    }

    /// `scheme://host`, found out by the first request.
    fn base(&self) -> Result<String> {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let schemes: &[&str] = match self.trust {
            Trust::Verified => &["https"],
            Trust::Insecure => &["https", "http"],
            Trust::Loopback => &["http", "https"],
        };
        let mut failed = None;
        for scheme in schemes {
            let url = format!("{scheme}://{}", self.name);
            match self.speaks(&url) {
                Ok(()) => return Ok(base.insert(url).clone()),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        Err(self.unreachable(failed.expect("because there is a scheme at least")))
    }

    /// Whether a server of the API is at `base`.
    fn speaks(&self, base: &str) -> io::Result<()> {
        let answer = self.own.send(&Method::GET, &format!("{base}/v2/"), &[], Sent::Nothing)?;
        // What a server says who was spoken to in plain text, but wants to be spoken to by TLS.
        if answer.status() == StatusCode::BAD_REQUEST && base.starts_with("http:") {
            return Err(io::Error::other("it doesn't speak plain http"));
        }
        if let Some(challenge) = challenge(&answer) {
            self.tokens.challenged(challenge);
        }
        Ok(())
    }

    /// The header that shows who we are.
    fn authorization(&self, base: &str, scope: &str) -> Result<Option<String>> {
        match self.tokens.challenge() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.credential.as_ref().and_then(basic)),
            Some(Challenge::Bearer { realm, service, scope: theirs }) => {
                let scope = if scope.is_empty() { theirs.unwrap_or_default() } else { scope.to_owned() };
                let token = match self.tokens.get(&scope) {
                    Some(token) => token,
                    None => self.fetch_token(base, &realm, service.as_deref(), &scope)?,
                };
                Ok(Some(format!("Bearer {token}")))
            }
        }
    }

    fn fetch_token(&self, base: &str, realm: &str, service: Option<&str>, scope: &str) -> Result<String> {
        let granted = self.grant(base, realm, service, scope)?;
        self.tokens.keep(scope, &granted).ok_or_else(|| self.untrusted("its authorization server gives no token"))
    }

    /// Ask the authorization server at `realm`.
    fn grant(&self, base: &str, realm: &str, service: Option<&str>, scope: &str) -> Result<Granted> {
        let Some((scheme, host, _)) = origin(realm) else {
            return Err(self.untrusted(format!("'{}' is no authorization server", realm.escape_debug())));
        };
        if scheme == "http" && base.starts_with("https:") && self.trust == Trust::Verified && !is_loopback(&host) {
            return Err(self.untrusted(format!("it wants our credentials in plain text at '{}'", realm.escape_debug())));
        }
        let mut query: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let scopes = scope.split(' ').filter(|scope| !scope.is_empty());
        let (mut headers, mut url, mut bytes) = (Vec::new(), realm.to_owned(), None);
        if let Some(Credential::Identity(token)) = &self.credential {
            query.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "rd"),
                ("refresh_token", token),
                ("scope", scope),
            ]);
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
            bytes = Some(form(&query).into_bytes());
        } else {
            query.extend(scopes.map(|scope| ("scope", scope)));
            if let Some(Credential::Password { user, .. }) = &self.credential {
                query.push(("account", user));
            }
            headers.extend(self.credential.as_ref().and_then(basic).map(|value| ("authorization", value)));
            url = with_query(&url, &form(&query));
        }
        let answer = self.ask_realm(&url, &headers, bytes.as_deref())?;
        if !answer.status().is_success() {
            return Err(self.failure(
                answer,
                &Method::GET,
                &url,
                if scope.is_empty() { "the registry" } else { scope },
            ));
        }
        let body = self.body(answer, TOKEN_LIMIT)?;
        serde_json::from_slice(&body).map_err(|error| self.untrusted(format!("its token can't be read: {error}")))
    }

    fn ask_realm(&self, url: &str, headers: &[(&str, String)], bytes: Option<&[u8]>) -> Result<Answer> {
        let is_own = server(url) == self.name || self.trust == Trust::Insecure;
        let http = if is_own { &self.own } else { self.elsewhere() };
        let method = if bytes.is_some() { Method::POST } else { Method::GET };
        let mut tries = 0;
        loop {
            match http.send(&method, url, headers, bytes.map_or(Sent::Nothing, Sent::Bytes)) {
                Ok(answer) if is_passing(answer.status()) && tries + 1 < self.patience.tries => {
                    self.pause(&mut tries, retry_after(&answer));
                }
                Err(error) if is_passing_error(&error) && tries + 1 < self.patience.tries => {
                    self.pause(&mut tries, None)
                }
                Ok(answer) => return Ok(answer),
                Err(source) => return Err(Error::Unreachable { server: server(url), source }),
            }
        }
    }
}

fn whole(base: &str, url: &str) -> String {
    if url.starts_with('/') { format!("{base}{url}") } else { url.to_owned() }
}

/// Where an answer to a request without a body sends us.
fn redirect<'a>(answer: &'a Answer, method: &Method) -> Option<&'a str> {
    let moved = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if moved && matches!(*method, Method::GET | Method::HEAD) { header(answer, "location") } else { None }
}

fn challenge(answer: &Answer) -> Option<Challenge> {
    let headers = answer.headers().get_all("www-authenticate").iter();
    Challenge::parse(headers.filter_map(|value| value.to_str().ok()))
}

/// Whether the same request may get through a little later.
pub(super) fn is_passing_error(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof | K::TimedOut | K::WouldBlock
    )
}

/// What an error's description says: the specification's JSON, or text.
fn said(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let text = match json.as_ref().and_then(|json| json.get("errors")).and_then(Value::as_array) {
        Some(errors) => errors.iter().map(said_by).collect::<Vec<_>>().join("; "),
        None => {
            let text = |key: &str| json.as_ref().and_then(|json| json.get(key)).and_then(Value::as_str);
            let known = ["details", "error_description", "error", "message"].into_iter().find_map(text);
            let plain = || String::from_utf8_lossy(body).lines().next().unwrap_or_default().trim().to_owned();
            known.map_or_else(plain, str::to_owned)
        }
    };
    let text = if text.starts_with('<') { String::new() } else { text };
    text.chars().take(SHOWN).collect()
}

fn said_by(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("code"), text("message")) {
        ("", message) => message.to_owned(),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_of_errors() {
        for (body, text) in [
            (r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"X"}]}"#, "DENIED: no; X"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            ("<html>", ""),
            ("too many\nrequests", "too many"),
            ("", ""),
        ] {
            assert_eq!(said(body.as_bytes()), text);
        }
        assert_eq!(said(&[b'a'; 10_000]).len(), SHOWN);
    }
}
