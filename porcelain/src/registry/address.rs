//! URLs as far as a client of registries needs them: where a server sends us, and whether that is still the same server.

use ureq::http::Uri;

/// Scheme, host and port.
pub(super) type Origin = (String, String, u16);

/// Where a URL leads; `None` where it is no http or https address.
pub(super) fn origin(url: &str) -> Option<Origin> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    // A name and a password in an address are for nobody.
    if uri.authority()?.as_str().contains('@') {
        return None;
    }
    Some((scheme, uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(port)))
}

/// Host and port of a URL, for messages.
pub(super) fn server(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_else(|| url.escape_debug().to_string())
}

/// The path of a URL without its query, which may hold secrets, for messages.
pub(super) fn path(url: &str) -> String {
    url.parse::<Uri>().map_or_else(|_| String::new(), |uri| uri.path().to_owned())
}

/// The address that `location`, which an answer from `url` gave, means. The rule that is broken where it means none, or leads
/// from https to http.
pub(super) fn follow(url: &str, location: &str) -> Result<String, String> {
    let invalid = || format!("'{}' is no address to be sent to", location.escape_debug());
    let (scheme, _, _) = origin(url).ok_or_else(invalid)?;
    let authority = server(url);
    let target = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let path = path(url);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let (next, _, _) = origin(&target).ok_or_else(invalid)?;
    if scheme == "https" && next == "http" {
        return Err(format!("it sends us from https to '{}'", target.escape_debug()));
    }
    Ok(target)
}

/// `url` with one more part of its query.
pub(super) fn with_query(url: &str, query: &str) -> String {
    format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (url, location, target) in [
            ("https://a/v2/x/blobs/y", "https://b:1/z?q=1", Ok("https://b:1/z?q=1")),
            ("http://a:5/v2/x", "/v2/y?_state=1", Ok("http://a:5/v2/y?_state=1")),
            ("http://a:5/v2/x/uploads/1", "2?s=3", Ok("http://a:5/v2/x/uploads/2?s=3")),
            ("https://a/x", "//b/y", Ok("https://b/y")),
            ("http://a/x", "https://a/y", Ok("https://a/y")),
            ("https://a/x", "http://a/y", Err(())),
            ("https://a/x", "file:///etc/passwd", Err(())),
            ("https://a/x", "https://user:pass@b/", Err(())),
            ("https://a/x", "https://", Err(())),
            ("https://a/x", "https://a b/", Err(())),
        ] {
            assert_eq!(follow(url, location).map_err(|_| ()), target.map(str::to_owned), "{location}");
        }
    }

    #[test]
    fn origins_are_compared_with_their_ports() {
        assert_eq!(origin("https://A.example/x"), origin("https://a.example:443/y?z"));
        assert_ne!(origin("https://a.example/"), origin("http://a.example/"));
        assert_ne!(origin("https://a.example/"), origin("https://a.example:444/"));
        assert_eq!(origin("ftp://a"), None);
    }
}
