//! Words of a Dockerfile instruction, parted and unquoted as BuildKit's parser does.

use super::change::Problem;

/// A shell's quoting as far as instructions have it: `'…'` as it is, `"…"` with `\"`, `\\` and `\$`, `\` before any other character.
pub(super) fn unquote(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', Some('"')) => match chars.next() {
                Some(next @ ('"' | '\\' | '$')) => out.push(next),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            ('\\', None) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Part at blanks outside quotes; quotes and backslashes stay.
pub(super) fn split(text: &str) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// `k=v k2="v 2"`, or the old `k v` with one pair, whose value is the rest of the line.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let words = split(text)?;
    let first = words.first().ok_or("it needs NAME=VALUE")?;
    if !first.contains('=') {
        let (name, value) = text.split_once(char::is_whitespace).ok_or("it needs NAME=VALUE")?;
        return Ok(vec![(name_of(&unquote(name))?, unquote(value.trim()))]);
    }
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("'{word}' is not of the form NAME=VALUE"))?;
        Ok((name_of(&unquote(name))?, unquote(value)))
    };
    words.iter().map(pair).collect()
}

fn name_of(name: &str) -> Result<String, Problem> {
    if name.is_empty() { Err("a name is empty".into()) } else { Ok(name.to_owned()) }
}

/// A JSON list of strings, if it is one.
pub(super) fn json(text: &str) -> Option<Vec<String>> {
    text.trim_start().starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_a_dockerfile() {
        for (word, value) in [
            ("a", "a"),
            ("'a b'", "a b"),
            (r#""a \"b\"""#, r#"a "b""#),
            (r#""a\nb""#, r"a\nb"),
            (r"a\ b", "a b"),
            (r"'a\b'", r"a\b"),
            ("a'b'\"c\"", "abc"),
        ] {
            assert_eq!(unquote(word), value, "{word}");
        }
    }

    #[test]
    fn pairs_of_both_forms() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(r#"A=1 B="x y" C=a\ b"#).unwrap(), [pair("A", "1"), pair("B", "x y"), pair("C", "a b")]);
        assert_eq!(pairs("A some  words").unwrap(), [pair("A", "some  words")]);
        assert_eq!(pairs("A=").unwrap(), [pair("A", "")]);
        for text in ["", "A", "A=1 B", "=x", "A=\"x"] {
            assert!(pairs(text).is_err(), "{text}");
        }
    }
}
