//! The fields that a format can name (git-for-each-ref(1), "FIELD NAMES").

use plumbing::Store;

use crate::git::Abbrev;
use crate::git::date::DateFormat;
use crate::report::Failure;

/// A field, of the ref's object or (`*…`) of what the tag that it is leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    /// As it is written.
    pub text: String,
    pub deref: bool,
    pub field: Field,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    RefName(Form),
    ObjectType,
    ObjectSize,
    ObjectName(Abbrev),
    Tree(Abbrev),
    Parent(Abbrev),
    NumParent,
    /// A line of a tag's header: `object`, `type`, `tag`.
    Header(&'static str),
    Person(Role, Part),
    Subject {
        sanitized: bool,
    },
    Body,
    Contents(Contents),
    Raw {
        size: bool,
    },
    /// The branch that this one follows, or (`push`) the one that it is pushed to.
    Upstream {
        push: bool,
        what: Upstream,
    },
    Symref(Form),
    Flag,
    Head,
    WorktreePath,
    /// Commits that this ref has and another lacks, and the other way round.
    AheadBehind(plumbing::Id),
    Color(String),
    Align {
        width: usize,
        side: Side,
    },
    If(Condition),
    Then,
    Else,
    End,
}

/// How a ref's name is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Full,
    Short,
    StripLeft(i32),
    StripRight(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Author,
    Committer,
    Tagger,
    /// The committer, or of a tag the tagger.
    Creator,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Whole,
    Name,
    Email(Email),
    Date(DateFormat),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Email {
    Bracketed,
    Trimmed,
    LocalPart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    All,
    Subject,
    Body,
    Signature,
    Size,
    Lines(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    Name(Form),
    Track { brackets: bool },
    TrackShort,
    RemoteName,
    RemoteRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Middle,
    Right,
}

/// When an `%(if)` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    NotEmpty,
    Equals(String),
    Differs(String),
}

impl Atom {
    /// Read what stands between `%(` and `)`.
    pub fn parse(store: &Store, text: &str) -> Result<Self, Failure> {
        let (deref, rest) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
        if rest.is_empty() {
            return Err(Failure::fatal(format!("malformed field name: {text}")));
        }
        let (name, argument) = rest.split_once(':').map_or((rest, None), |(name, argument)| (name, Some(argument)));
        let field = match name {
            "align" | "if" | "color" | "ahead-behind" => with_argument(store, name, argument)?,
            _ => plain(name, argument)?,
        };
        Ok(Self { text: text.into(), deref, field })
    }
}

/// The failure for an argument that a field doesn't take.
fn unrecognized(name: &str, argument: &str) -> Failure {
    Failure::fatal(format!("unrecognized %({name}) argument: {argument}"))
}

fn plain(name: &str, argument: Option<&str>) -> Result<Field, Failure> {
    let none = |field: Field| match argument {
        None => Ok(field),
        Some(_) => Err(Failure::fatal(format!("%({name}) does not take arguments"))),
    };
    match name {
        "refname" => Ok(Field::RefName(form(name, argument)?)),
        "symref" => Ok(Field::Symref(form(name, argument)?)),
        "objecttype" => none(Field::ObjectType),
        "objectsize" => match argument {
            None => Ok(Field::ObjectSize),
            Some("disk") => Err(unsupported("objectsize:disk")),
            Some(other) => Err(unrecognized(name, other)),
        },
        "objectname" => Ok(Field::ObjectName(abbrev(name, argument)?)),
        "tree" => Ok(Field::Tree(abbrev(name, argument)?)),
        "parent" => Ok(Field::Parent(abbrev(name, argument)?)),
        "numparent" => none(Field::NumParent),
        "object" => none(Field::Header("object")),
        "type" => none(Field::Header("type")),
        "tag" => none(Field::Header("tag")),
        "subject" => match argument {
            None => Ok(Field::Subject { sanitized: false }),
            Some("sanitize") => Ok(Field::Subject { sanitized: true }),
            Some(other) => Err(unrecognized(name, other)),
        },
        "body" => none(Field::Body),
        "contents" => contents(argument),
        "raw" => match argument {
            None => Ok(Field::Raw { size: false }),
            Some("size") => Ok(Field::Raw { size: true }),
            Some(other) => Err(unrecognized(name, other)),
        },
        "upstream" | "push" => Ok(Field::Upstream { push: name == "push", what: upstream(name, argument)? }),
        "flag" => none(Field::Flag),
        "HEAD" => none(Field::Head),
        "worktreepath" => none(Field::WorktreePath),
        "then" => none(Field::Then),
        "else" => none(Field::Else),
        "end" => none(Field::End),
        "rest" => Err(Failure::fatal("this command reject atom %(rest)")),
        "deltabase" | "trailers" | "describe" | "signature" | "is-base" => Err(unsupported(name)),
        _ => person(name, argument),
    }
}

/// What git has and rd doesn't.
fn unsupported(name: &str) -> Failure {
    Failure::fatal(format!(
        "rd doesn't know the field %({name}) of git's; see `rd for-each-ref --help` for those it knows"
    ))
}

fn person(name: &str, argument: Option<&str>) -> Result<Field, Failure> {
    let roles = [
        ("author", Role::Author),
        ("committer", Role::Committer),
        ("tagger", Role::Tagger),
        ("creator", Role::Creator),
    ];
    let found = roles.iter().find_map(|(prefix, role)| Some((*role, name.strip_prefix(prefix)?)));
    let unknown = || Failure::fatal(format!("unknown field name: {name}"));
    let (role, rest) = found.ok_or_else(unknown)?;
    let part = match (rest, argument) {
        ("", None) => Part::Whole,
        ("date", None) => Part::Date(DateFormat::default()),
        ("date", Some(format)) => {
            let known = DateFormat::parse(format);
            Part::Date(known.ok_or_else(|| Failure::fatal(format!("unknown date format {format}")))?)
        }
        ("name" | "email", _) if role == Role::Creator => return Err(unknown()),
        ("name", None) => Part::Name,
        ("email", None) => Part::Email(Email::Bracketed),
        ("email", Some("trim")) => Part::Email(Email::Trimmed),
        ("email", Some("localpart")) => Part::Email(Email::LocalPart),
        ("" | "name" | "email", Some(argument)) => return Err(unrecognized(name, argument)),
        _ => return Err(unknown()),
    };
    Ok(Field::Person(role, part))
}

fn contents(argument: Option<&str>) -> Result<Field, Failure> {
    Ok(Field::Contents(match argument {
        None => Contents::All,
        Some("subject") => Contents::Subject,
        Some("body") => Contents::Body,
        Some("signature") => Contents::Signature,
        Some("size") => Contents::Size,
        Some("trailers") => return Err(unsupported("contents:trailers")),
        Some(other) => match other.strip_prefix("lines=") {
            None => return Err(unrecognized("contents", other)),
            Some(count) => {
                let bad = || Failure::fatal(format!("positive value expected contents:lines={count}"));
                let number = crate::git::number(count).and_then(|number| u32::try_from(number).ok());
                Contents::Lines(number.ok_or_else(bad)? as usize)
            }
        },
    }))
}

fn form(name: &str, argument: Option<&str>) -> Result<Form, Failure> {
    let Some(argument) = argument else { return Ok(Form::Full) };
    let number = |text: &str| {
        let number = crate::git::number(text).and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| Failure::fatal(format!("Integer value expected {name}:{argument}")))
    };
    if argument == "short" {
        return Ok(Form::Short);
    }
    if let Some(text) = argument.strip_prefix("lstrip=").or(argument.strip_prefix("strip=")) {
        return Ok(Form::StripLeft(number(text)?));
    }
    match argument.strip_prefix("rstrip=") {
        Some(text) => Ok(Form::StripRight(number(text)?)),
        None => Err(unrecognized(name, argument)),
    }
}

fn abbrev(name: &str, argument: Option<&str>) -> Result<Abbrev, Failure> {
    match argument {
        None => Ok(Abbrev::Full),
        Some("short") => Ok(Abbrev::Auto),
        Some(other) => {
            let digits = other.strip_prefix("short=").ok_or_else(|| unrecognized(name, other))?;
            match crate::git::number(digits).filter(|number| *number > 0 && u32::try_from(*number).is_ok()) {
                Some(number) => Ok(Abbrev::AtLeast(usize::try_from(number).unwrap_or(usize::MAX).max(4))),
                None => Err(Failure::fatal(format!("positive value expected '{digits}' in %({name})"))),
            }
        }
    }
}

fn upstream(name: &str, argument: Option<&str>) -> Result<Upstream, Failure> {
    let Some(argument) = argument else { return Ok(Upstream::Name(Form::Full)) };
    let mut what = Upstream::Name(Form::Full);
    let mut nobracket = false;
    for word in argument.split(',') {
        match word {
            "track" => what = Upstream::Track { brackets: true },
            "trackshort" => what = Upstream::TrackShort,
            "nobracket" => nobracket = true,
            "remotename" => what = Upstream::RemoteName,
            "remoteref" => what = Upstream::RemoteRef,
            other => what = Upstream::Name(form(name, Some(other))?),
        }
    }
    Ok(match what {
        Upstream::Track { .. } => Upstream::Track { brackets: !nobracket },
        other => other,
    })
}

fn with_argument(store: &Store, name: &str, argument: Option<&str>) -> Result<Field, Failure> {
    match (name, argument) {
        ("if", None) => Ok(Field::If(Condition::NotEmpty)),
        ("if", Some(argument)) => match (argument.strip_prefix("equals="), argument.strip_prefix("notequals=")) {
            (Some(text), _) => Ok(Field::If(Condition::Equals(text.into()))),
            (_, Some(text)) => Ok(Field::If(Condition::Differs(text.into()))),
            _ => Err(unrecognized("if", argument)),
        },
        ("align", Some(argument)) => align(argument),
        ("align", None) => Err(Failure::fatal("expected format: %(align:<width>,<position>)")),
        ("color", Some(color)) => Ok(Field::Color(super::color::code(color)?)),
        ("color", None) => Err(Failure::fatal("expected format: %(color:<color>)")),
        (_, None) => Err(Failure::fatal("expected format: %(ahead-behind:<committish>)")),
        (_, Some(committish)) => {
            let id = crate::git::name_to_id(store, committish)?;
            let commit = match id {
                Some(id) => crate::git::peel(store, id, plumbing::gix::objs::Kind::Commit)?,
                None => None,
            };
            commit.map(Field::AheadBehind).ok_or_else(|| Failure::fatal(format!("failed to find '{committish}'")))
        }
    }
}

fn align(argument: &str) -> Result<Field, Failure> {
    let (mut width, mut side) = (None, Side::Left);
    for word in argument.split(',') {
        let position = word.strip_prefix("position=").unwrap_or(word);
        match (position, word.strip_prefix("width=").unwrap_or(word).parse()) {
            ("left", _) => side = Side::Left,
            ("middle", _) => side = Side::Middle,
            ("right", _) => side = Side::Right,
            (_, Ok(number)) => width = Some(number),
            _ => return Err(unrecognized("align", word)),
        }
    }
    let width = width.ok_or_else(|| Failure::fatal("positive width expected with the %(align) atom"))?;
    Ok(Field::Align { width, side })
}
