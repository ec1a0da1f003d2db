//! `cat-file --batch` and its like: one answer after another to names on standard input.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::store::{Found, Objects};
use plumbing::{Id, Store, revision};

use super::format::{Facts, Format};
use super::links::{Target, follow};
use crate::git::lines::Lines;
use crate::git::{self, Named};
use crate::report::Failure;

/// The options of the batch modes.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Print what FORMAT says and the bytes of each object that is named on standard input
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT)]
    batch: Vec<OsString>,
    /// As --batch, without the bytes
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT)]
    batch_check: Vec<OsString>,
    /// Read commands from standard input
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT)]
    batch_command: Vec<OsString>,
    /// Ask about all objects and contents instead of standard input
    #[arg(long, group = "mode")]
    batch_all_objects: bool,
    /// Don't sort all objects by id first: those of a pack come in its order
    #[arg(long)]
    unordered: bool,
    /// Collect output instead of answering at once
    #[arg(long, overrides_with = "no_buffer")]
    buffer: bool,
    /// Answer at once
    #[arg(long, overrides_with = "buffer")]
    no_buffer: bool,
    /// Follow symbolic links in REV:PATH inside of the tree
    #[arg(long)]
    follow_symlinks: bool,
    /// Names on standard input end with NUL
    #[arg(short = 'z')]
    nul_input: bool,
    /// Names on standard input and what is printed end with NUL
    #[arg(short = 'Z')]
    nul: bool,
}

/// The format that is used where none is given.
const DEFAULT: &str = "%(objectname) %(objecttype) %(objectsize)";

/// What is printed of each object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Contents,
    Info,
    /// As each command says.
    Commands,
}

/// Options that fit together.
pub(super) struct Checked {
    mode: Mode,
    format: OsString,
    args: Args,
}

impl Args {
    /// The options, if one of the batch modes is asked for.
    pub(super) fn checked(mut self) -> Result<Option<Checked>, Failure> {
        let modes = [
            (Mode::Contents, std::mem::take(&mut self.batch)),
            (Mode::Info, std::mem::take(&mut self.batch_check)),
            (Mode::Commands, std::mem::take(&mut self.batch_command)),
        ];
        let mut modes =
            modes.into_iter().flat_map(|(mode, formats)| formats.into_iter().map(move |format| (mode, format)));
        match (modes.next(), modes.next()) {
            (Some(_), Some(_)) => Err(Failure::usage("only one batch option may be specified")),
            (Some((mode, format)), None) => Ok(Some(Checked { mode, format, args: self })),
            (None, _) => self.without_mode().map(|()| None),
        }
    }

    /// Options that make no sense outside of the batch modes are refused there.
    fn without_mode(&self) -> Result<(), Failure> {
        let given = [
            (self.follow_symlinks, "--follow-symlinks"),
            (self.buffer || self.no_buffer, "--buffer"),
            (self.batch_all_objects, "--batch-all-objects"),
            (self.nul_input, "-z"),
            (self.nul, "-Z"),
        ];
        match given.iter().find(|(given, _)| *given) {
            Some((_, option)) => Err(Failure::usage(format!("'{option}' requires a batch mode"))),
            None => Ok(()),
        }
    }
}

pub(super) fn run(options: Checked, store: &Store) -> Result<ExitCode, Failure> {
    let Checked { mode, format, args } = options;
    let format = Format::parse(format.as_encoded_bytes())?;
    let mut batch = Batch {
        store,
        objects: store.objects(),
        format,
        follow_symlinks: args.follow_symlinks,
        end: if args.nul { b'\0' } else { b'\n' },
        out: BufWriter::with_capacity(64 * 1024, git::stdout_file()?),
        line: Vec::new(),
    };
    let lines = || Lines::of_stdin(if args.nul || args.nul_input { b'\0' } else { b'\n' });
    let answered = match mode {
        _ if args.batch_all_objects => batch.all(mode == Mode::Contents, args.unordered),
        Mode::Commands => batch.commands(&mut lines(), args.buffer),
        _ => batch.names(&mut lines(), mode == Mode::Contents, args.buffer),
    };
    // What was answered before a failure is printed.
    batch.out.flush()?;
    answered.map(|()| ExitCode::SUCCESS)
}

struct Batch<'s> {
    store: &'s Store,
    objects: Objects<'s>,
    format: Format,
    follow_symlinks: bool,
    /// What ends a piece of output.
    end: u8,
    out: BufWriter<File>,
    /// The line in the making.
    line: Vec<u8>,
}

impl Batch<'_> {
    fn all(&mut self, contents: bool, unordered: bool) -> Result<(), Failure> {
        let wants_facts = contents || self.format.has_facts();
        for id in self.objects.all(unordered)? {
            if !wants_facts {
                self.print(&id, None, b"".into())?;
                continue;
            }
            match self.objects.find(&id)? {
                Some(found) => self.object(&found, b"".into(), contents)?,
                None => self.say(id.to_string().as_bytes().into(), "missing")?,
            }
        }
        Ok(())
    }

    fn names(&mut self, lines: &mut Lines, contents: bool, buffer: bool) -> Result<(), Failure> {
        let has_rest = self.format.has_rest();
        while let Some(line) = lines.next_of_any_system()? {
            let line = c_string(line);
            let (name, rest) = match line.find_byteset(b" \t").filter(|_| has_rest) {
                None => (line, b"".as_bstr()),
                Some(at) => (line[..at].as_bstr(), line[at..].trim_start_with(|c| c == ' ' || c == '\t').as_bstr()),
            };
            self.answer(name, rest, contents)?;
            // Nobody can wait for this answer who has asked the next question already.
            if !buffer && !lines.has_more() {
                self.out.flush()?;
            }
        }
        Ok(())
    }

    fn commands(&mut self, lines: &mut Lines, buffer: bool) -> Result<(), Failure> {
        let mut queue: Vec<(bool, BString)> = Vec::new();
        while let Some(line) = lines.next_of_any_system()? {
            match Command::parse(c_string(line))? {
                Command::Flush if !buffer => return Err(Failure::fatal("flush is only for --buffer mode")),
                Command::Flush => {
                    self.dispatch(&mut queue)?;
                    self.out.flush()?;
                }
                Command::Show { contents, name } if buffer => queue.push((contents, name.to_owned())),
                Command::Show { contents, name } => {
                    self.answer(name, b"".into(), contents)?;
                    if !lines.has_more() {
                        self.out.flush()?;
                    }
                }
            }
        }
        self.dispatch(&mut queue)
    }

    fn dispatch(&mut self, queue: &mut Vec<(bool, BString)>) -> Result<(), Failure> {
        queue.drain(..).try_for_each(|(contents, name)| self.answer(name.as_bstr(), b"".into(), contents))
    }

    /// Answer to one name.
    fn answer(&mut self, name: &BStr, rest: &BStr, contents: bool) -> Result<(), Failure> {
        let id = match self.resolve(name)? {
            Target::Object(id) => id,
            Target::Outside(path) => return self.say_about("symlink", path.as_bstr()),
            Target::Missing => return self.say(name, "missing"),
            Target::Several => return self.say(name, "ambiguous"),
            Target::Dangling => return self.say_about("dangling", name),
            Target::Loop => return self.say_about("loop", name),
            Target::NotDir => return self.say_about("notdir", name),
        };
        match self.objects.find(&id)? {
            Some(found) => self.object(&found, rest, contents),
            None => self.say(name, "missing"),
        }
    }

    fn resolve(&mut self, name: &BStr) -> Result<Target, Failure> {
        if self.follow_symlinks
            && name.contains(&b':')
            && let Ok(Some((id, path))) = revision::tree_and_path(self.store, name)
        {
            return follow(self.store, &mut self.objects, id, path);
        }
        match git::lookup(self.store, name)? {
            Named::Object(id) => Ok(Target::Object(id)),
            Named::Nothing => Ok(Target::Missing),
            Named::Several => Ok(Target::Several),
        }
    }

    fn object(&mut self, found: &Found, rest: &BStr, contents: bool) -> Result<(), Failure> {
        self.print(&found.id, Some(found), rest)?;
        if contents {
            self.objects.copy(found, &mut self.out)?;
            self.out.write_all(&[self.end])?;
        }
        Ok(())
    }

    fn print(&mut self, id: &Id, found: Option<&Found>, rest: &BStr) -> Result<(), Failure> {
        let place = match found.filter(|_| self.format.has_place()) {
            Some(found) => Some(self.objects.place(found)?),
            None => None,
        };
        self.line.clear();
        self.format.fill(&mut self.line, &Facts { id, found, place, rest });
        self.line.push(self.end);
        Ok(self.out.write_all(&self.line)?)
    }

    /// `NAME missing`
    fn say(&mut self, name: &BStr, what: &str) -> Result<(), Failure> {
        self.out.write_all(name)?;
        write!(self.out, " {what}")?;
        Ok(self.out.write_all(&[self.end])?)
    }

    /// `dangling LENGTH`, and the name on a line of its own.
    fn say_about(&mut self, what: &str, name: &BStr) -> Result<(), Failure> {
        write!(self.out, "{what} {}", name.len())?;
        self.out.write_all(&[self.end])?;
        self.out.write_all(name)?;
        Ok(self.out.write_all(&[self.end])?)
    }
}

/// In git a line is a C string.
fn c_string(line: &BStr) -> &BStr {
    line.split(|byte| *byte == 0).next().unwrap_or_default().as_bstr()
}

/// A line of `--batch-command`.
enum Command<'a> {
    Show { contents: bool, name: &'a BStr },
    Flush,
}

impl<'a> Command<'a> {
    fn parse(line: &'a BStr) -> Result<Self, Failure> {
        let failed = |why: String| Err(Failure::fatal(why));
        if line.is_empty() {
            return failed("empty command in input".into());
        }
        if line[0].is_ascii_whitespace() {
            return failed(format!("whitespace before command: '{line}'"));
        }
        if let Some(rest) = line.strip_prefix(b"flush") {
            return if rest.is_empty() { Ok(Self::Flush) } else { failed("flush takes no arguments".into()) };
        }
        for (command, contents) in [("contents", true), ("info", false)] {
            if let Some(rest) = line.strip_prefix(command.as_bytes()) {
                let Some(name) = rest.strip_prefix(b" ") else {
                    return failed(format!("{command} requires arguments"));
                };
                return Ok(Self::Show { contents, name: name.as_bstr() });
            }
        }
        failed(format!("unknown command: '{line}'"))
    }
}
