//! Ranges of bytes: those that a client asks for (RFC 9110, section 14), and those that it sends.

/// Which bytes of a whole are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All: no range, one that means something else, or several at once, which nobody has to serve.
    All,
    /// From the first byte, so many.
    Part { first: u64, length: u64 },
    /// None of them exists.
    Nothing,
}

/// What the header `Range` asks for of `size` bytes.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(set) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = set.split_once('-') else { return Wanted::All };
    match (number(first), number(last)) {
        // The last so many bytes.
        (None, Some(0)) if first.trim().is_empty() => Wanted::Nothing,
        (None, Some(count)) if first.trim().is_empty() => {
            part(size.saturating_sub(count), size.saturating_sub(1), size)
        }
        (Some(first), None) if last.trim().is_empty() => part(first, size.saturating_sub(1), size),
        (Some(first), Some(last)) => part(first, last.min(size.saturating_sub(1)), size),
        _ => Wanted::All,
    }
}

fn part(first: u64, last: u64, size: u64) -> Wanted {
    match first < size && first <= last {
        true => Wanted::Part { first, length: last - first + 1 },
        false => Wanted::Nothing,
    }
}

/// The header `Content-Range` of a chunk, `first-last`, with docker's spelling `bytes first-last/size` as well. `None` where
/// it is neither.
pub(super) fn sent(header: &str) -> Option<(u64, u64)> {
    let range = header.trim();
    let range = range.strip_prefix("bytes").map_or(range, |rest| rest.trim_start_matches(['=', ' ']));
    let range = range.split_once('/').map_or(range, |(range, _)| range);
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// Digits alone; not what else Rust takes for a number.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let part = |first, length| Wanted::Part { first, length };
        for (header, size, want) in [
            (None, 10, Wanted::All),
            (Some("bytes=0-4"), 10, part(0, 5)),
            (Some("bytes=5-"), 10, part(5, 5)),
            (Some("bytes=-3"), 10, part(7, 3)),
            (Some("bytes=-30"), 10, part(0, 10)),
            (Some("bytes=8-100"), 10, part(8, 2)),
            (Some("bytes=5-0"), 10, Wanted::Nothing),
            (Some("bytes=10-"), 10, Wanted::Nothing),
            (Some("bytes=0-"), 0, Wanted::Nothing),
            (Some("bytes=-0"), 10, Wanted::Nothing),
            (Some("bytes=0-1,4-5"), 10, Wanted::All),
            (Some("bytes=+1-2"), 10, Wanted::All),
            (Some("bytes=x"), 10, Wanted::All),
            (Some("bytes=-"), 10, Wanted::All),
            (Some("items=0-4"), 10, Wanted::All),
            (Some("bytes=0-99999999999999999999"), 10, Wanted::All),
        ] {
            assert_eq!(wanted(header, size), want, "{header:?}");
        }
    }

    #[test]
    fn chunks_say_where_they_belong() {
        for (header, want) in [
            ("0-4", Some((0, 4))),
            ("bytes 5-9/20", Some((5, 9))),
            ("bytes=5-9", Some((5, 9))),
            ("4-0", None),
            ("-4", None),
            ("4-", None),
            ("", None),
            ("a-b", None),
        ] {
            assert_eq!(sent(header), want, "{header}");
        }
    }
}
