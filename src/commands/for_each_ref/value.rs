//! The values of a ref's fields.

use std::cell::{OnceCell, RefCell};

use plumbing::ancestry::Ancestry;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::Kind;
use plumbing::revision::Shorten;
use plumbing::{Error, Id, Store};

use super::atom::{Atom, Contents, Email, Field, Form, Part, Role};
use super::upstream;
use crate::git::message::{self, Parts};
use crate::git::refs::{Listed, Shortener};
use crate::git::{self};
use crate::report::Failure;

/// A ref, and its objects as far as they were needed.
pub struct Item {
    pub listed: Listed,
    object: OnceCell<Object>,
    /// What the tag leads to; `None` where it is no tag.
    peeled: OnceCell<Option<Object>>,
}

/// An object that a ref names.
#[derive(Debug)]
struct Object {
    id: Id,
    kind: Kind,
    size: u64,
    /// The bytes of a commit or tag.
    text: Vec<u8>,
}

/// A value, and the number that it is sorted by where it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    pub text: Vec<u8>,
    pub number: Option<u64>,
}

impl Value {
    fn text(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), number: None }
    }

    fn number(number: u64) -> Self {
        Self { text: number.to_string().into(), number: Some(number) }
    }
}

/// What values are worked out from, beyond the ref itself.
pub struct Values<'s> {
    store: &'s Store,
    /// What `HEAD` is symbolic for.
    head: BString,
    shortener: OnceCell<Shortener>,
    ancestry: RefCell<Ancestry<'s>>,
}

impl Item {
    pub fn new(listed: Listed) -> Self {
        Self { listed, object: OnceCell::new(), peeled: OnceCell::new() }
    }
}

impl<'s> Values<'s> {
    pub fn new(store: &'s Store) -> Result<Self, Failure> {
        let head = git::refs::end_of(store, "HEAD")?;
        Ok(Self { store, head, shortener: OnceCell::new(), ancestry: RefCell::new(Ancestry::new(store)) })
    }

    /// The value of a field that isn't about the layout.
    pub fn of(&self, item: &Item, atom: &Atom) -> Result<Value, Failure> {
        if let Some(value) = self.of_ref(item, atom)? {
            return Ok(value);
        }
        match self.object(item, atom.deref)? {
            Some(object) => self.of_object(object, &atom.field),
            None => Ok(Value::default()),
        }
    }

    /// Fields of the ref itself.
    fn of_ref(&self, item: &Item, atom: &Atom) -> Result<Option<Value>, Failure> {
        let listed = &item.listed;
        let name = listed.name.as_bstr();
        Ok(Some(match &atom.field {
            Field::RefName(form) => {
                let mut shown = self.name(name, *form)?;
                if atom.deref {
                    shown.push_str("^{}");
                }
                Value::text(shown)
            }
            Field::Symref(form) => {
                let mut shown = match &listed.symref {
                    Some(_) => self.name(git::refs::end_of(self.store, &name.to_str_lossy())?.as_bstr(), *form)?,
                    None => String::new(),
                };
                if atom.deref {
                    shown.push_str("^{}");
                }
                Value::text(shown)
            }
            Field::Flag => {
                let flags = [(listed.symref.is_some(), "symref"), (listed.is_packed, "packed")];
                Value::text(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect::<Vec<_>>().join(","))
            }
            Field::Head => Value::text(if name == self.head { "*" } else { " " }),
            Field::WorktreePath => match name == self.head {
                true => Value::text(self.working_tree()?),
                false => Value::default(),
            },
            Field::Upstream { push, what } => match upstream::find(self.store, name, *push)? {
                Some(found) => Value::text(self.upstream(listed, &found, what)?),
                None => Value::default(),
            },
            Field::AheadBehind(other) => match self.commit_of(item)? {
                Some(commit) => {
                    let (ahead, behind) = self.ahead_behind(commit, *other)?;
                    Value::text(format!("{ahead} {behind}"))
                }
                None => Value::default(),
            },
            Field::ObjectName(abbrev) if !atom.deref => Value::text(git::abbreviate(self.store, &listed.id, *abbrev)?),
            _ => return Ok(None),
        }))
    }

    /// Where the branch that is checked out is: the folder of a bare repository stands for its working tree.
    fn working_tree(&self) -> Result<String, Failure> {
        let path = std::path::absolute(self.store.repo().common_dir())?.display().to_string();
        Ok(path.strip_suffix("/.git").map_or(path.clone(), str::to_owned))
    }

    /// A ref's name in the form that is asked for.
    pub fn name(&self, name: &BStr, form: Form) -> Result<String, Failure> {
        Ok(match form {
            Form::Full => name.to_str_lossy().into_owned(),
            Form::Short => {
                if self.shortener.get().is_none() {
                    let _ = self.shortener.set(Shortener::new(self.store)?);
                }
                let shortener = self.shortener.get().expect("because it was set just now");
                shortener.shorten(name, Shorten::Strict)
            }
            Form::StripLeft(count) => strip(&name.to_str_lossy(), count, true),
            Form::StripRight(count) => strip(&name.to_str_lossy(), count, false),
        })
    }

    /// The commit that the ref leads to.
    pub fn commit_of(&self, item: &Item) -> Result<Option<Id>, Failure> {
        let object = self.object(item, false)?;
        let object = match object {
            Some(Object { kind: Kind::Tag, .. }) => self.object(item, true)?,
            other => other,
        };
        Ok(object.filter(|object| object.kind == Kind::Commit).map(|object| object.id))
    }

    /// How many commits each side has that the other lacks.
    pub fn ahead_behind(&self, one: Id, other: Id) -> Result<(usize, usize), Failure> {
        let mut ancestry = self.ancestry.borrow_mut();
        let (one, other) = (ancestry.reachable([one])?, ancestry.reachable([other])?);
        Ok((one.difference(&other).count(), other.difference(&one).count()))
    }

    /// The object that the ref names, or (`peeled`) what the tag that this is leads to; `None` where it is no tag.
    fn object<'i>(&self, item: &'i Item, peeled: bool) -> Result<Option<&'i Object>, Failure> {
        if item.object.get().is_none() {
            let _ = item.object.set(self.read(item.listed.id, &item.listed)?);
        }
        let object = item.object.get().expect("because it was set just now");
        if !peeled {
            return Ok(Some(object));
        }
        if item.peeled.get().is_none() {
            let found = match object.kind {
                Kind::Tag => {
                    let end = self.store.peel_tag(object.id)?.unwrap_or(object.id);
                    Some(self.read(end, &item.listed)?)
                }
                _ => None,
            };
            let _ = item.peeled.set(found);
        }
        Ok(item.peeled.get().and_then(Option::as_ref))
    }

    fn read(&self, id: Id, listed: &Listed) -> Result<Object, Failure> {
        let missing = || Failure::fatal(format!("missing object {id} for {}", listed.name));
        let (kind, size) = self.store.find_header(&id)?.ok_or_else(missing)?;
        let text = match kind {
            Kind::Commit | Kind::Tag => self.store.read_object(&id, kind)?,
            Kind::Tree | Kind::Blob => Vec::new(),
        };
        Ok(Object { id, kind, size, text })
    }

    /// Fields of the object.
    fn of_object(&self, object: &Object, field: &Field) -> Result<Value, Failure> {
        let is = |kind| object.kind == kind;
        let short = |id: &BStr, abbrev| {
            let id =
                Id::from_hex(id).map_err(|error| Error::damaged(format!("object {}", object.id), error.to_string()))?;
            git::abbreviate(self.store, &id, abbrev)
        };
        Ok(match field {
            Field::ObjectType => Value::text(object.kind.to_string()),
            Field::ObjectSize => Value::number(object.size),
            Field::ObjectName(abbrev) => Value::text(git::abbreviate(self.store, &object.id, *abbrev)?),
            Field::Tree(abbrev) if is(Kind::Commit) => Value::text(
                message::header(&object.text, "tree").map(|id| short(id, *abbrev)).transpose()?.unwrap_or_default(),
            ),
            Field::Parent(abbrev) if is(Kind::Commit) => {
                let parents = message::headers(&object.text, "parent").map(|id| short(id, *abbrev));
                Value::text(parents.collect::<Result<Vec<_>, _>>()?.join(" "))
            }
            Field::NumParent if is(Kind::Commit) => {
                Value::number(message::headers(&object.text, "parent").count() as u64)
            }
            Field::Header(key) if is(Kind::Tag) => {
                Value::text(message::header(&object.text, key).map(|text| text.to_vec()).unwrap_or_default())
            }
            Field::Person(role, part) => person(object, *role, part),
            Field::Raw { size: true } => Value::number(object.size),
            Field::Raw { size: false } => Value::text(match object.kind {
                Kind::Commit | Kind::Tag => object.text.clone(),
                Kind::Blob => self.store.read_blob(&object.id)?,
                Kind::Tree => self.store.read_object(&object.id, Kind::Tree)?,
            }),
            Field::Subject { .. } | Field::Body | Field::Contents(_) if is(Kind::Commit) || is(Kind::Tag) => {
                of_message(&Parts::of(&object.text), field)
            }
            _ => Value::default(),
        })
    }

    fn upstream(
        &self,
        listed: &Listed,
        found: &upstream::Found,
        what: &super::atom::Upstream,
    ) -> Result<String, Failure> {
        use super::atom::Upstream;
        Ok(match what {
            Upstream::RemoteName => found.remote.clone(),
            Upstream::RemoteRef => found.merge.clone(),
            Upstream::Name(form) => match &found.tracking {
                Some(name) => self.name(name.as_str().into(), *form)?,
                None => String::new(),
            },
            Upstream::Track { brackets } => {
                let text = match self.tracked(listed, found)? {
                    None => String::new(),
                    Some(None) => "gone".into(),
                    Some(Some((0, 0))) => String::new(),
                    Some(Some((ahead, 0))) => format!("ahead {ahead}"),
                    Some(Some((0, behind))) => format!("behind {behind}"),
                    Some(Some((ahead, behind))) => format!("ahead {ahead}, behind {behind}"),
                };
                if *brackets && !text.is_empty() { format!("[{text}]") } else { text }
            }
            Upstream::TrackShort => match self.tracked(listed, found)? {
                None | Some(None) => "",
                Some(Some((0, 0))) => "=",
                Some(Some((_, 0))) => ">",
                Some(Some((0, _))) => "<",
                Some(Some(_)) => "<>",
            }
            .into(),
        })
    }

    /// How far the branch is from the one it follows: `Some(None)` where that is gone, `None` where it follows none.
    #[expect(clippy::option_option, reason = "because git tells no upstream and one that is gone apart")]
    fn tracked(&self, listed: &Listed, found: &upstream::Found) -> Result<Option<Option<(usize, usize)>>, Failure> {
        let Some(name) = &found.tracking else { return Ok(None) };
        let Some((_, theirs)) = self.store.follow_ref(name.as_str().into())? else { return Ok(Some(None)) };
        let commits = (git::peel(self.store, listed.id, Kind::Commit)?, git::peel(self.store, theirs, Kind::Commit)?);
        match commits {
            (Some(ours), Some(theirs)) => Ok(Some(Some(self.ahead_behind(ours, theirs)?))),
            _ => Ok(None),
        }
    }
}

fn person(object: &Object, role: Role, part: &Part) -> Value {
    let key = match (role, object.kind) {
        (Role::Author, Kind::Commit) => "author",
        (Role::Committer | Role::Creator, Kind::Commit) => "committer",
        (Role::Tagger | Role::Creator, Kind::Tag) => "tagger",
        _ => return Value::default(),
    };
    let Some(who) = message::header(&object.text, key) else { return Value::default() };
    match part {
        Part::Whole => Value::text(who.to_vec()),
        Part::Name => Value::text(message::name(who).to_vec()),
        Part::Email(form) => Value::text(email(message::email(who), *form).to_vec()),
        Part::Date(format) => match message::time(who) {
            Some(time) => {
                Value { text: format.format(time).into(), number: Some(u64::try_from(time.seconds).unwrap_or(0)) }
            }
            None => Value { text: Vec::new(), number: Some(0) },
        },
    }
}

fn email(email: &BStr, form: Email) -> &[u8] {
    let inner = email.strip_prefix(b"<").unwrap_or(email);
    let inner = inner.strip_suffix(b">").unwrap_or(inner);
    match form {
        Email::Bracketed => email,
        Email::Trimmed => inner,
        Email::LocalPart => inner.split_once_str("@").map_or(inner, |(local, _)| local),
    }
}

fn of_message(parts: &Parts<'_>, field: &Field) -> Value {
    Value::text(match field {
        Field::Subject { sanitized: false } | Field::Contents(Contents::Subject) => parts.subject_line().into(),
        Field::Subject { sanitized: true } => crate::output::commits::sanitized(&parts.subject.into()).into_bytes(),
        Field::Body => parts.body.to_vec(),
        Field::Contents(Contents::Body) => parts.body_text().to_vec(),
        Field::Contents(Contents::Signature) => parts.signature.to_vec(),
        Field::Contents(Contents::All) => parts.contents.to_vec(),
        Field::Contents(Contents::Lines(count)) => parts.lines(*count).into(),
        _ => return Value::number(parts.contents.len() as u64),
    })
}

/// The name without so many components at an end; a negative number is that of those that stay.
fn strip(name: &str, count: i32, left: bool) -> String {
    let components: Vec<&str> = name.split('/').collect();
    let size = count.unsigned_abs() as usize;
    let drop = if count < 0 { components.len().saturating_sub(size) } else { size };
    if drop >= components.len() {
        return String::new();
    }
    let kept = if left { &components[drop..] } else { &components[..components.len() - drop] };
    kept.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_components() {
        for (count, left, text) in [
            (1, true, "heads/a/b"),
            (2, true, "a/b"),
            (9, true, ""),
            (-1, true, "b"),
            (-9, true, "refs/heads/a/b"),
            (1, false, "refs/heads/a"),
            (-2, false, "refs/heads"),
            (4, false, ""),
            (0, true, "refs/heads/a/b"),
        ] {
            assert_eq!(strip("refs/heads/a/b", count, left), text, "{count} {left}");
        }
    }
}
