//! How we show a registry who we are: its challenge, and the tokens that its authorization server gives (distribution
//! specification, "token authentication").

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::credentials::Credential;

/// A token that says nothing of its life has a minute, as the specification has it.
const SHORTEST_LIFE: u64 = 60;

/// A token is renewed before it ends.
const MARGIN: Duration = Duration::from_secs(15);

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token of the server at `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Read the headers `WWW-Authenticate`; tokens go before passwords.
    pub(super) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for challenge in headers.filter_map(|header| http_auth::parse_challenges(header).ok()).flatten() {
            let get = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = get("realm")
            {
                return Some(Self::Bearer { realm, service: get("service"), scope: get("scope") });
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

/// An access token and when it ends.
#[derive(Clone)]
struct Token {
    value: String,
    until: Instant,
}

/// What an authorization server answers.
#[derive(Deserialize)]
pub(super) struct Granted {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// The challenge and the tokens of one host.
#[derive(Default)]
pub(super) struct Tokens {
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Token>>,
}

impl Tokens {
    /// The last challenge.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remember a challenge.
    pub(super) fn challenged(&self, challenge: Challenge) {
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
    }

    /// The token for `scope`, as long as it lives.
    pub(super) fn get(&self, scope: &str) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(scope).filter(|token| token.until > Instant::now()).map(|token| token.value.clone())
    }

    /// Forget the token for `scope`: the registry didn't take it.
    pub(super) fn forget(&self, scope: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(scope);
    }

    /// Keep what was granted for `scope`; `None` where it is nothing.
    pub(super) fn keep(&self, scope: &str, granted: &Granted) -> Option<String> {
        let value = [&granted.token, &granted.access_token].into_iter().find(|value| !value.is_empty())?.clone();
        let life = Duration::from_secs(granted.expires_in.unwrap_or(0).clamp(SHORTEST_LIFE, 24 * 3600));
        let until = Instant::now() + life.saturating_sub(MARGIN);
        let token = Token { value: value.clone(), until };
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.into(), token);
        Some(value)
    }
}

/// The header's value for name and password.
pub(super) fn basic(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Password { user, password } => {
            Some(format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
        }
        Credential::Identity(_) => None,
    }
}

/// `key=value&…`, escaped.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    pairs.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let parse = |headers: &[&str]| Challenge::parse(headers.iter().copied());
        let bearer = Challenge::Bearer {
            realm: "https://a.example/token".into(),
            service: Some("r".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        let header = r#"Bearer realm="https://a.example/token",service="r",scope="repository:a/b:pull,push""#;
        assert_eq!(parse(&[header]), Some(bearer.clone()));
        assert_eq!(parse(&[r#"Basic realm="x""#, header]), Some(bearer));
        assert_eq!(parse(&[r#"basic realm="x""#]), Some(Challenge::Basic));
        assert_eq!(parse(&["Bearer", "Digest realm=x", "???"]), None);
    }

    #[test]
    fn tokens_end() {
        let tokens = Tokens::default();
        let granted = |text: &str| serde_json::from_str::<Granted>(text).unwrap();
        assert_eq!(tokens.keep("a", &granted("{}")), None);
        assert_eq!(tokens.keep("a", &granted(r#"{"access_token": "t", "expires_in": 1}"#)), Some("t".into()));
        assert_eq!(tokens.get("a"), Some("t".into()));
        tokens.forget("a");
        assert_eq!(tokens.get("a"), None);
    }

    #[test]
    fn forms_are_escaped() {
        assert_eq!(form(&[("a", "x y&z"), ("b", "repository:a:pull")]), "a=x%20y%26z&b=repository%3Aa%3Apull");
    }
}
