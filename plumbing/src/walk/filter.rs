//! Filters of objects as they are spelled (git-rev-list(1), `--filter`).

use gix::objs::Kind;

use crate::{Error, Result};

/// Which objects a walk leaves out (git-rev-list(1), `--filter`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Filter {
    /// Nothing.
    #[default]
    None,
    /// `blob:none`
    NoBlobs,
    /// `blob:limit=N`: blobs of at least so many bytes.
    LargeBlobs {
        /// The size from which on they are left out.
        from: u64,
    },
    /// `tree:N`: what is so many levels below a commit's tree or deeper.
    Depth(u64),
    /// `object:type=T`: what is of another kind.
    Other(Kind),
    /// `combine:…`, or several of them: what any of them leaves out.
    Any(Vec<Filter>),
}

impl Filter {
    /// Read git's words for a filter.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: String| Error::Invalid { what: "filter-spec", input: text.into(), why };
        if let Some(parts) = text.strip_prefix("combine:") {
            let parts = parts.split('+').map(|part| {
                let plain = percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
                Self::parse(&plain)
            });
            return parts.collect::<Result<_>>().map(Filter::Any);
        }
        if text == "blob:none" {
            return Ok(Filter::NoBlobs);
        }
        if let Some(limit) = text.strip_prefix("blob:limit=") {
            return parse_size(limit).map(|from| Filter::LargeBlobs { from }).ok_or_else(|| invalid("no size".into()));
        }
        if let Some(depth) = text.strip_prefix("tree:") {
            let depth = parse_size(depth).ok_or_else(|| invalid("expected 'tree:<depth>'".into()))?;
            return Ok(Filter::Depth(depth));
        }
        if let Some(kind) = text.strip_prefix("object:type=") {
            let kind = Kind::from_bytes(kind.as_bytes());
            return kind.map(Filter::Other).map_err(|_| invalid("no such type of object".into()));
        }
        Err(invalid("it is blob:none, blob:limit=N, tree:N, object:type=T or combine:A+B".into()))
    }

    /// Both this and another filter.
    #[must_use]
    pub fn and(self, other: Filter) -> Filter {
        match self {
            Filter::None => other,
            Filter::Any(mut all) => {
                all.push(other);
                Filter::Any(all)
            }
            one => Filter::Any(vec![one, other]),
        }
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Filter::None => Ok(()),
            Filter::NoBlobs => f.write_str("blob:none"),
            Filter::LargeBlobs { from } => write!(f, "blob:limit={from}"),
            Filter::Depth(depth) => write!(f, "tree:{depth}"),
            Filter::Other(kind) => write!(f, "object:type={kind}"),
            Filter::Any(all) => {
                let escaped = |filter: &Filter| filter.to_string().replace('%', "%25").replace('+', "%2b");
                write!(f, "combine:{}", all.iter().map(escaped).collect::<Vec<_>>().join("+"))
            }
        }
    }
}

/// A number with git's units `k`, `m`, `g`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
