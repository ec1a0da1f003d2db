//! The commits that a walk has seen so far: each read once, its parents by number.

use gix::hashtable::HashMap;
use gix::objs::{Find, Kind};

use super::flag;
use crate::{Error, Id, Result, Store};

/// The number of a commit in its [`Graph`].
pub type Number = u32;

/// A commit as a walk sees it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its id.
    pub id: Id,
    /// Its tree; null before the commit is read.
    pub tree: Id,
    /// Its parents, as far as the simplification of history has left them.
    pub parents: Vec<Number>,
    /// When it was committed, in seconds.
    pub date: i64,
    /// When it was authored, in seconds.
    pub author_date: i64,
    /// What the walk found out about it.
    pub flags: u16,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unread,
    Read,
    Missing,
}

impl Commit {
    /// Whether one of `flags` is set.
    pub fn is(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// What simplification counts: commits of the result, and those that limit it.
    pub(super) fn is_relevant(&self) -> bool {
        self.flags & (flag::UNINTERESTING | flag::BOTTOM) != flag::UNINTERESTING
    }
}

/// Commits by number.
pub struct Graph<'s> {
    store: &'s Store,
    commits: Vec<Commit>,
    by_id: HashMap<Id, Number>,
    buffer: Vec<u8>,
}

impl<'s> Graph<'s> {
    /// A graph without commits.
    pub fn new(store: &'s Store) -> Self {
        Self { store, commits: Vec::new(), by_id: HashMap::default(), buffer: Vec::new() }
    }

    /// The store that is read.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The number of the commit `id`, which needn't be read yet.
    pub fn number(&mut self, id: Id) -> Number {
        let next = self.commits.len() as Number;
        let number = *self.by_id.entry(id).or_insert(next);
        if number == next {
            let tree = Id::null(id.kind());
            let (date, author_date) = (0, 0);
            self.commits.push(Commit {
                id,
                tree,
                parents: Vec::new(),
                date,
                author_date,
                flags: 0,
                state: State::Unread,
            });
        }
        number
    }

    /// The number of the commit `id`, if it was seen.
    pub fn known(&self, id: &Id) -> Option<Number> {
        self.by_id.get(id).copied()
    }

    /// The commit of this number.
    pub fn at(&self, number: Number) -> &Commit {
        &self.commits[number as usize]
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, number: Number) -> &mut Commit {
        &mut self.commits[number as usize]
    }

    /// Read the commit, if that hasn't happened; whether it exists.
    pub fn try_read(&mut self, number: Number) -> Result<bool> {
        match self.at(number).state {
            State::Read => return Ok(true),
            State::Missing => return Ok(false),
            State::Unread => {}
        }
        let id = self.at(number).id;
        let mut buffer = std::mem::take(&mut self.buffer);
        let found = self.store.repo().objects.try_find(&id, &mut buffer);
        let found = found.map_err(|error| Error::damaged(format!("store: commit {id}"), error.to_string()))?;
        match found {
            None => self.at_mut(number).state = State::Missing,
            Some(object) if object.kind == Kind::Commit => self.fill(number, object.data)?,
            Some(object) => {
                return Err(Error::damaged(
                    format!("store: object {id}"),
                    format!("expected a commit, found a {}", object.kind),
                ));
            }
        }
        self.buffer = buffer;
        Ok(self.at(number).state == State::Read)
    }

    /// Read the commit, which must exist.
    pub fn read(&mut self, number: Number) -> Result<()> {
        if self.try_read(number)? {
            return Ok(());
        }
        let id = self.at(number).id;
        Err(Error::damaged(format!("store: commit {id}"), "the object is missing"))
    }

    fn fill(&mut self, number: Number, data: &[u8]) -> Result<()> {
        let id = self.at(number).id;
        let header = Header::parse(data).ok_or_else(|| Error::damaged(format!("commit {id}"), "it has no tree"))?;
        let parents = header.parents.iter().map(|parent| self.number(*parent)).collect();
        let commit = self.at_mut(number);
        (commit.tree, commit.parents, commit.state) = (header.tree, parents, State::Read);
        (commit.date, commit.author_date) = (header.date, header.author_date);
        Ok(())
    }
}

/// The part of a commit that walks need; read leniently, as old tools wrote strange commits.
struct Header {
    tree: Id,
    parents: Vec<Id>,
    date: i64,
    author_date: i64,
}

impl Header {
    fn parse(data: &[u8]) -> Option<Self> {
        let mut lines = data.split(|byte| *byte == b'\n').peekable();
        let id = |line: &[u8], word: &[u8]| Id::from_hex(line.strip_prefix(word)?).ok();
        let tree = id(lines.next()?, b"tree ")?;
        let mut parents = Vec::new();
        while let Some(parent) = lines.peek().and_then(|line| id(line, b"parent ")) {
            parents.push(parent);
            lines.next();
        }
        let mut seconds = |word: &[u8]| {
            let line = lines.next_if(|line| line.starts_with(word)).unwrap_or_default();
            let after = line.rsplit(|byte| *byte == b'>').next().unwrap_or_default();
            let digits = after.trim_ascii_start();
            let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(&digits[..length]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        let author_date = seconds(b"author ");
        Some(Self { tree, parents, date: seconds(b"committer "), author_date })
    }
}
