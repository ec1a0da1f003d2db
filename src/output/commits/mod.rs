//! Commits as git's log prints them.

pub mod date;
mod format;
pub mod graph;
mod message;
pub mod names;

use plumbing::Id;
use plumbing::Store;
use plumbing::bstr::{BString, ByteSlice};
use plumbing::gix::actor::Signature;
use plumbing::gix::prelude::ObjectIdExt;
use plumbing::history::Header;
use serde_json::{Value, json};

use super::screen::{Part, Screen};
use crate::report::Failure;
use date::Style as DateStyle;
pub use message::sanitized;
use names::Names;

/// A form in which commits are printed: git's own by name, or one made of placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Id and subject in a line.
    Oneline,
    /// Author and subject.
    Short,
    /// Author, date and message: the default.
    Medium,
    /// Author, committer and message.
    Full,
    /// Both with their dates.
    Fuller,
    /// The commit as it is stored.
    Raw,
    /// A text with placeholders; a line end after each commit, or only between them.
    Custom { text: String, terminated: bool },
}

impl Format {
    /// Read what `--format` and `--pretty` take.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "oneline" => Self::Oneline,
            "short" => Self::Short,
            "medium" => Self::Medium,
            "full" => Self::Full,
            "fuller" => Self::Fuller,
            "raw" => Self::Raw,
            _ => {
                if let Some(text) = text.strip_prefix("format:") {
                    return Ok(Self::Custom { text: text.into(), terminated: false });
                }
                let is_custom = text.contains('%') || text.is_empty();
                let custom = text.strip_prefix("tformat:").or_else(|| is_custom.then_some(text));
                let text = custom
                    .ok_or("it is oneline, short, medium, full, fuller, raw, or has placeholders like %h and %s")?;
                Self::Custom { text: text.into(), terminated: true }
            }
        })
    }

    /// Whether commits are parted by line ends instead of each having one at its end.
    pub fn has_separators(&self) -> bool {
        !matches!(self, Self::Oneline | Self::Custom { terminated: true, .. })
    }

    /// Whether it is made of nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Custom { text, .. } if text.is_empty())
    }

    /// Whether names of refs appear in it.
    pub fn wants_names(&self) -> bool {
        let signs = ["%d", "%D", "%+d", "%+D", "%-d", "%-D", "% d", "% D"];
        matches!(self, Self::Custom { text, .. } if signs.iter().any(|sign| text.contains(sign)))
    }
}

/// How commits are printed.
#[derive(Debug)]
pub struct Style {
    /// The form.
    pub format: Format,
    /// The form of dates.
    pub date: DateStyle,
    /// Cut ids to what is unique.
    pub short_ids: bool,
    /// How long short ids are in texts, where a command says it.
    pub abbrev: Option<crate::git::Abbrev>,
    /// Name the images and containers that are at a commit, beside its id.
    pub decorate: bool,
    /// What is where.
    pub names: Names,
}

/// The first paragraph of the message as one line.
pub fn subject(commit: &Header) -> BString {
    message::subject(&commit.message)
}

/// What git's object commands print of a commit below the line that names it, without a line end where it is made of
/// placeholders. `data`: the encoded commit.
pub fn text(store: &Store, commit: &Header, data: &[u8], style: &Style, screen: &Screen) -> Result<Vec<u8>, Failure> {
    match &style.format {
        Format::Oneline => Ok(message::subject(&commit.message).into()),
        Format::Custom { text, .. } => Ok(format::expand(store, commit, style, text, screen)),
        Format::Raw => {
            let header = data.find("\n\n").map_or(data, |end| &data[..=end]);
            let mut out = BString::from(header);
            out.push(b'\n');
            message::indent(&commit.message, false, true, &mut out);
            Ok(with_one_end(out))
        }
        _ => body(store, commit, style),
    }
}

impl Style {
    /// The id as short as it is in texts.
    fn short(&self, store: &Store, id: &Id) -> String {
        match self.abbrev {
            Some(abbrev) => crate::git::abbreviate(store, id, abbrev).unwrap_or_else(|_| id.to_string()),
            None => abbreviate(store, id),
        }
    }
}

/// Print `commit`, without the separator and without changes.
pub fn print(screen: &mut Screen, store: &Store, commit: &Header, style: &Style) -> Result<(), Failure> {
    match &style.format {
        Format::Oneline => {
            print_id(screen, store, commit, style, "")?;
            screen.put([b" ", message::subject(&commit.message).as_slice(), b"\n"].concat())?;
        }
        Format::Custom { text, terminated } => {
            let text = format::expand(store, commit, style, text, screen);
            screen.put_colored(&text)?;
            if *terminated && !text.is_empty() {
                screen.put("\n")?;
            }
        }
        _ => {
            print_id(screen, store, commit, style, "commit ")?;
            screen.put("\n")?;
            screen.put(body(store, commit, style)?)?;
        }
    }
    Ok(())
}

fn print_id(screen: &mut Screen, store: &Store, commit: &Header, style: &Style, before: &str) -> Result<(), Failure> {
    let id = if style.short_ids { abbreviate(store, &commit.id) } else { commit.id.to_string() };
    screen.paint(Part::Commit, format!("{before}{id}"))?;
    let names = style.names.of(&commit.id);
    if style.decorate && !names.is_empty() {
        screen.paint(Part::Commit, " (")?;
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                screen.paint(Part::Commit, ", ")?;
            }
            screen.paint(Part::Name, name)?;
        }
        screen.paint(Part::Commit, ")")?;
    }
    Ok(())
}

/// Everything below the line that names the commit.
fn body(store: &Store, commit: &Header, style: &Style) -> Result<Vec<u8>, Failure> {
    let mut out = BString::default();
    if style.format == Format::Raw {
        raw_header(commit, &mut out);
    } else {
        people(store, commit, style, &mut out);
    }
    out.push(b'\n');
    let (tabs, whole) = match style.format {
        Format::Raw => (false, true),
        Format::Short => (false, false),
        _ => (true, true),
    };
    message::indent(&commit.message, tabs, whole, &mut out);
    Ok(with_one_end(out))
}

/// The text with a single line end.
fn with_one_end(mut out: BString) -> Vec<u8> {
    let end = out.trim_end().len();
    out.truncate(end);
    out.push(b'\n');
    out.into()
}

fn people(store: &Store, commit: &Header, style: &Style, out: &mut BString) {
    if commit.parents.len() > 1 {
        let parents: Vec<String> = commit.parents.iter().map(|id| style.short(store, id)).collect();
        out.extend_from_slice(format!("Merge: {}\n", parents.join(" ")).as_bytes());
    }
    let mut line = |title: &str, text: &[u8]| out.extend_from_slice(&[title.as_bytes(), text, b"\n"].concat());
    let (author, committer) = (&commit.author, &commit.committer);
    let date = |who: &Signature| style.date.format(who.time);
    match style.format {
        Format::Short => line("Author: ", &person(author)),
        Format::Full => {
            line("Author: ", &person(author));
            line("Commit: ", &person(committer));
        }
        Format::Fuller => {
            line("Author:     ", &person(author));
            line("AuthorDate: ", date(author).as_bytes());
            line("Commit:     ", &person(committer));
            line("CommitDate: ", date(committer).as_bytes());
        }
        _ => {
            line("Author: ", &person(author));
            line("Date:   ", date(author).as_bytes());
        }
    }
}

fn raw_header(commit: &Header, out: &mut BString) {
    let mut line = |title: &str, text: &[u8]| out.extend_from_slice(&[title.as_bytes(), text, b"\n"].concat());
    line("tree ", commit.tree.to_string().as_bytes());
    commit.parents.iter().for_each(|parent| line("parent ", parent.to_string().as_bytes()));
    for (title, who) in [("author ", &commit.author), ("committer ", &commit.committer)] {
        line(title, &[person(who).as_slice(), b" ", DateStyle::Raw.format(who.time).as_bytes()].concat());
    }
}

/// `Name <email>`
fn person(who: &Signature) -> Vec<u8> {
    [who.name.as_slice(), b" <", who.email.as_slice(), b">"].concat()
}

/// The shortest beginning of `id` that names no other object, at least as long as git would have it.
pub fn abbreviate(store: &Store, id: &Id) -> String {
    let whole = || id.to_hex_with_len(12).to_string();
    id.attach(store.repo()).shorten().map_or_else(|_| whole(), |prefix| prefix.to_string())
}

/// The commit as a JSON object.
pub fn json(commit: &Header, names: &Names) -> Value {
    let person = |who: &Signature| {
        json!({
            "name": who.name.to_str_lossy(),
            "email": who.email.to_str_lossy(),
            "date": DateStyle::IsoStrict.format(who.time),
        })
    };
    json!({
        "id": commit.id.to_string(),
        "tree": commit.tree.to_string(),
        "parents": commit.parents.iter().map(Id::to_string).collect::<Vec<_>>(),
        "author": person(&commit.author),
        "committer": person(&commit.committer),
        "message": commit.message.to_str_lossy(),
        "names": names.of(&commit.id),
    })
}
