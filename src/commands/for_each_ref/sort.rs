//! The order of refs: by fields, by numbers in names, backwards.

use std::cmp::Ordering;

use plumbing::Store;
use plumbing::bstr::BString;

use super::atom::Atom;
use super::value::{Item, Value, Values};
use crate::report::Failure;

/// A field to sort by.
pub struct Key {
    atom: Atom,
    backwards: bool,
    /// By the numbers in it: `v2` before `v10`.
    versions: bool,
}

impl Key {
    /// Read `[-][version:]FIELD`.
    pub fn parse(store: &Store, text: &str) -> Result<Self, Failure> {
        let (backwards, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let versions = rest.strip_prefix("version:").or(rest.strip_prefix("v:"));
        let atom = Atom::parse(store, versions.unwrap_or(rest))?;
        Ok(Self { atom, backwards, versions: versions.is_some() })
    }

    fn compare(&self, one: &Value, other: &Value, ignore_case: bool) -> Ordering {
        let order = match (self.versions, one.number, other.number) {
            (true, _, _) => compare_versions(&one.text, &other.text),
            (false, None, None) if ignore_case => one.text.to_ascii_lowercase().cmp(&other.text.to_ascii_lowercase()),
            (false, None, None) => one.text.cmp(&other.text),
            // What has no number counts as 0.
            (false, one, other) => one.unwrap_or(0).cmp(&other.unwrap_or(0)),
        };
        if self.backwards { order.reverse() } else { order }
    }
}

/// Sort by `keys`, the last being the first to count, and then by name.
pub fn sort(items: Vec<Item>, keys: &[Key], values: &Values<'_>, ignore_case: bool) -> Result<Vec<Item>, Failure> {
    if keys.is_empty() && !ignore_case {
        return Ok(items);
    }
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = keys.iter().rev().map(|key| values.of(&item, &key.atom)).collect::<Result<Vec<_>, _>>()?;
        keyed.push((key, item));
    }
    let name = |name: &BString| if ignore_case { name.to_ascii_lowercase() } else { name.to_vec() };
    keyed.sort_by(|(one, a), (other, b)| {
        let pairs = keys.iter().rev().zip(one.iter().zip(other));
        let by_keys = pairs.map(|(key, (one, other))| key.compare(one, other, ignore_case));
        let first = by_keys.into_iter().find(|order| order.is_ne());
        first.unwrap_or_else(|| name(&a.listed.name).cmp(&name(&b.listed.name)))
    });
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// As strverscmp(3): numbers count as numbers, those with zeros before them as digits after a point.
fn compare_versions(one: &[u8], other: &[u8]) -> Ordering {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let digits_before = one[..same].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (one_number, other_number) = (number(&one[same - digits_before..]), number(&other[same - digits_before..]));
    let tail = |text: &[u8]| text.get(same).copied();
    let (a, b) = (tail(one), tail(other));
    if !one_number.is_empty() && !other_number.is_empty() {
        let fraction = one_number[0] == b'0' || other_number[0] == b'0';
        if !fraction && one_number.len() != other_number.len() {
            return one_number.len().cmp(&other_number.len());
        }
        let zeros = one[same - digits_before..same].iter().all(|byte| *byte == b'0') && digits_before > 0;
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        if zeros && is_digit(a) != is_digit(b) {
            // More zeros make a fraction smaller: `00` is before `0`.
            return if is_digit(a) { Ordering::Less } else { Ordering::Greater };
        }
    }
    a.cmp(&b)
}

fn number(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|byte| byte.is_ascii_digit()).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_the_manual() {
        let ordered = ["000", "00", "01", "010", "09", "0", "1", "9", "10"];
        for (at, one) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                assert_eq!(compare_versions(one.as_bytes(), other.as_bytes()), at.cmp(&other_at), "{one} {other}");
            }
        }
        for (one, other) in [("v1.2", "v1.10"), ("v2", "v10"), ("v1", "v1.0"), ("a", "b"), ("v1.0-rc1", "v1.0.1")] {
            assert_eq!(compare_versions(one.as_bytes(), other.as_bytes()), Ordering::Less, "{one} {other}");
        }
    }
}
