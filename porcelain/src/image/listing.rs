//! All images as `rd images` lists them, remembered: with ten thousand of them one file is read and little is worked out.
//!
//! `STORE/cache/listing` holds a line for each image name in `packed-refs`, in the order of the listing, and says of which
//! `packed-refs` it was made. Names in files of their own, those that changed lately, are put among them each time.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use plumbing::store::refs::IMAGES;
use plumbing::{Id, ImageName, Store};

use super::facts::Facts;
use crate::Result;

/// A line of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'t> {
    /// The commit's id in hexadecimal digits.
    pub id: &'t str,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The sum of its files' sizes, in bytes.
    pub size: u64,
    /// The repository, as docker shows it.
    pub repository: &'t str,
    /// The tag.
    pub tag: &'t str,
}

/// The text that rows are read from.
pub struct Listing {
    packed: String,
    loose: String,
    /// Names that the loose ones replace.
    replaced: HashSet<(String, String)>,
}

impl Listing {
    /// Read what is remembered, and work out the rest; an error where an image can't be read.
    pub fn open(store: &Store) -> Result<Self> {
        let loose = store.loose_refs_below(IMAGES)?;
        let loose: Vec<_> =
            loose.into_iter().filter_map(|(name, id)| Some((ImageName::from_ref(&name)?, id))).collect();
        let packed = match remembered(store) {
            Some(text) => text,
            None => remember(store)?,
        };
        let replaced = loose.iter().map(|(name, _)| (name.familiar_repository(), name.tag().to_owned())).collect();
        let mut facts = Facts::open_if(store, !loose.is_empty());
        let loose = lines(&mut facts, loose)?;
        facts.save();
        Ok(Self { packed, loose, replaced })
    }

    /// The rows: the newest first, those of one moment by name; names of one image together.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = self.packed.lines().filter_map(decode).collect();
        if self.loose.is_empty() {
            return rows;
        }
        let new: Vec<Row<'_>> = self.loose.lines().filter_map(decode).collect();
        let is_replaced = |row: &Row<'_>| self.replaced.contains(&(row.repository.to_owned(), row.tag.to_owned()));
        // Images that lose or get a name may move, all their names with them.
        let mut moved: HashSet<&str> = new.iter().map(|row| row.id).collect();
        moved.extend(rows.iter().filter(|row| is_replaced(row)).map(|row| row.id));
        let mut groups: HashMap<&str, Vec<Row<'_>>> = HashMap::new();
        let (out, stay): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| moved.contains(row.id));
        for row in out.into_iter().filter(|row| !is_replaced(row)).chain(new) {
            groups.entry(row.id).or_default().push(row);
        }
        let mut groups: Vec<Vec<Row<'_>>> = groups.into_values().collect();
        groups.iter_mut().for_each(|group| group.sort_by_cached_key(Row::name));
        groups.sort_by(|a, b| a[0].compare(&b[0]));
        let mut groups = groups.into_iter().peekable();
        rows = Vec::with_capacity(stay.len() + self.replaced.len());
        for image in stay.chunk_by(|a, b| a.id == b.id) {
            while let Some(group) = groups.next_if(|group| group[0].compare(&image[0]).is_lt()) {
                rows.extend(group);
            }
            rows.extend_from_slice(image);
        }
        rows.extend(groups.flatten());
        rows
    }
}

impl Row<'_> {
    fn name(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// The order of two images, by their first rows.
    fn compare(&self, other: &Self) -> Ordering {
        let by_name = || (self.name(), self.id).cmp(&(other.name(), other.id));
        other.created.cmp(&self.created).then_with(by_name)
    }
}

fn path(store: &Store) -> PathBuf {
    store.dir().join("cache/listing")
}

/// How the file begins; the state of `packed-refs` follows.
const HEADER: &str = "rd listing 1 ";

/// The lines, if they are of the present `packed-refs`.
fn remembered(store: &Store) -> Option<String> {
    let mut text = std::fs::read_to_string(path(store)).ok()?;
    let (header, _) = text.split_once('\n')?;
    if header.strip_prefix(HEADER)? != store.packed_state()? {
        return None;
    }
    let length = header.len() + 1;
    text.drain(..length);
    text.ends_with('\n').then_some(text)
}

/// Work out the lines of all packed names, and remember them. That this fails is no reason for a listing to fail.
fn remember(store: &Store) -> Result<String> {
    let state = store.packed_state();
    let packed = store.packed_refs_below(IMAGES)?;
    let names = packed.into_iter().filter_map(|(name, id)| Some((ImageName::from_ref(&name)?, id)));
    let mut facts = Facts::open(store);
    let text = lines(&mut facts, names)?;
    facts.save();
    if let Some(state) = state.filter(|state| !text.is_empty() && store.packed_state().as_ref() == Some(state)) {
        drop(super::facts::replace(&path(store), &format!("{HEADER}{state}\n{text}")));
    }
    Ok(text)
}

fn lines(facts: &mut Facts<'_>, names: impl IntoIterator<Item = (ImageName, Id)>) -> Result<String> {
    let mut by_id: BTreeMap<Id, Vec<ImageName>> = BTreeMap::new();
    for (name, id) in names {
        by_id.entry(id).or_default().push(name);
    }
    let mut images = Vec::with_capacity(by_id.len());
    for (id, mut names) in by_id {
        names.sort_by_cached_key(ImageName::to_string);
        images.push((facts.get(&id)?, names, id));
    }
    images.sort_by_cached_key(|(fact, names, id)| (Reverse(fact.created), names[0].to_string(), *id));
    let mut text = String::new();
    for (fact, names, id) in images {
        for name in names {
            let (created, size) = (fact.created, fact.size);
            text += &format!("{id} {created} {size} {} {}\n", name.familiar_repository(), name.tag());
        }
    }
    Ok(text)
}

fn decode(line: &str) -> Option<Row<'_>> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let (id, created, size) = (word()?, word()?.parse().ok()?, word()?.parse().ok()?);
    Some(Row { id, created, size, repository: word()?, tag: word()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(packed: &str, loose: &str, replaced: &[(&str, &str)]) -> Vec<String> {
        let replaced = replaced.iter().map(|(name, tag)| ((*name).to_owned(), (*tag).to_owned())).collect();
        let listing = Listing { packed: packed.into(), loose: loose.into(), replaced };
        listing.rows().iter().map(|row| format!("{} {}", row.id, row.name())).collect()
    }

    #[test]
    fn names_that_changed_are_put_among_the_others() {
        let packed = "a 9 1 web 1\na 9 1 web 2\nb 9 1 x 1\nc 5 1 old 1\n";
        assert_eq!(listing(packed, "", &[]), ["a web:1", "a web:2", "b x:1", "c old:1"]);
        let moved = listing(packed, "d 7 1 web 1\n", &[("web", "1")]);
        assert_eq!(moved, ["a web:2", "b x:1", "d web:1", "c old:1"]);
        let named = listing(packed, "c 5 1 a 1\ne 9 1 aa 1\n", &[("a", "1"), ("aa", "1")]);
        assert_eq!(named, ["e aa:1", "a web:1", "a web:2", "b x:1", "c a:1", "c old:1"]);
        let renamed = listing(packed, "c 5 1 x 1\n", &[("x", "1")]);
        assert_eq!(renamed, ["a web:1", "a web:2", "c old:1", "c x:1"]);
    }
}
