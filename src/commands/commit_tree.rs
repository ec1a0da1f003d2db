//! `rd commit-tree`

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::bstr::BString;
use plumbing::gix::objs::{Commit, Kind};
use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git::{self, ident};
use crate::report::Failure;

/// Make a commit of a tree
///
/// Output and exit status are those of git-commit-tree(1): the same tree, parents, message, names and dates
/// (GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_AUTHOR_DATE and the same of GIT_COMMITTER) make the same id as with git.
/// Without -m and -F the message is read from standard input.
///
/// Example: `rd commit-tree debian:12^{tree} -p debian:12 -m 'again'`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// A parent of the commit
    #[arg(short = 'p', value_name = "PARENT", allow_hyphen_values = true)]
    parents: Vec<String>,
    #[command(flatten)]
    message: MessageParts,
    /// Refused: rd has no keys to sign a commit with
    #[arg(short = 'S', long, value_name = "KEY", num_args = 0..=1, default_missing_value = "", hide = true)]
    gpg_sign: Option<String>,
    /// Accepted for git's sake: commits are not signed
    #[arg(long, overrides_with = "gpg_sign")]
    no_gpg_sign: bool,
    /// The tree
    #[arg(value_name = "TREE")]
    trees: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.gpg_sign.is_some() {
        let why = "commits can't be signed: rd keeps no keys, and what makes an image must not depend on who has one";
        return Err(Failure::fatal(why).hint("sign an annotated tag of it with `git tag -s`"));
    }
    let nothing_asked = args.parents.is_empty() && args.message.0.is_empty() && !args.no_gpg_sign;
    if args.trees.is_empty() && nothing_asked {
        return Err(Failure::usage("a tree is needed"));
    }
    let store = globals.repository()?;
    let mut parents: Vec<Id> = Vec::new();
    for name in &args.parents {
        let id = object_of(&store, name, Kind::Commit)?;
        if parents.contains(&id) {
            eprintln!("error: duplicate parent {id} ignored");
        } else {
            parents.push(id);
        }
    }
    let [tree] = args.trees.as_slice() else { return Err(Failure::fatal("must give exactly one tree")) };
    let tree = object_of(&store, tree, Kind::Tree)?;
    let message = message(&args.message.0)?;
    if message.contains(&0) {
        eprintln!("error: a NUL byte in commit log message not allowed.");
        return Ok(ExitCode::FAILURE);
    }
    let (author, committer) = ident::author_and_committer(&store)?;
    let commit =
        Commit { tree, parents: parents.into(), author, committer, encoding: None, message, extra_headers: Vec::new() };
    let mut batch = store.batch();
    let id = batch.write_object(&commit)?;
    batch.finish()?;
    git::print_line(id)?;
    Ok(ExitCode::SUCCESS)
}

/// The object that `name` names, which must be there and of `kind` without following anything.
fn object_of(store: &Store, name: &str, kind: Kind) -> Result<Id, Failure> {
    let id = git::name_to_id(store, name)?.ok_or_else(|| Failure::fatal(format!("not a valid object name {name}")))?;
    match store.find_header(&id)? {
        Some((found, _)) if found == kind => Ok(id),
        _ => Err(Failure::fatal(format!("{id} is not a valid '{kind}' object"))),
    }
}

/// A part of the message.
enum Part {
    Paragraph(BString),
    File(PathBuf),
}

/// `-m` and `-F` in the order of the command line, which clap's derived arguments don't keep.
struct MessageParts(Vec<Part>);

impl clap::Args for MessageParts {
    fn augment_args(command: clap::Command) -> clap::Command {
        use clap::{Arg, ArgAction, value_parser};
        let arg = |id: &'static str, short| Arg::new(id).short(short).action(ArgAction::Append);
        let paragraph =
            arg("message", 'm').allow_hyphen_values(true).value_name("MESSAGE").help("A paragraph of the message");
        let file = arg("file", 'F')
            .allow_hyphen_values(true)
            .value_name("FILE")
            .help("Read a part of the message from a file; `-` is standard input");
        command.arg(paragraph.value_parser(value_parser!(OsString))).arg(file.value_parser(value_parser!(PathBuf)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for MessageParts {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let places = |id| matches.indices_of(id).into_iter().flatten();
        let paragraphs = matches.get_many::<OsString>("message").into_iter().flatten();
        let paragraphs = paragraphs.map(|text| Part::Paragraph(text.as_encoded_bytes().into()));
        let files = matches.get_many::<PathBuf>("file").into_iter().flatten().cloned().map(Part::File);
        let mut parts: Vec<_> = places("message").zip(paragraphs).chain(places("file").zip(files)).collect();
        parts.sort_by_key(|(place, _)| *place);
        Ok(Self(parts.into_iter().map(|(_, part)| part).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The parts joined as git joins them; standard input where they come to nothing.
fn message(parts: &[Part]) -> Result<BString, Failure> {
    let mut message = BString::default();
    for part in parts {
        if !message.is_empty() {
            message.push(b'\n');
        }
        match part {
            Part::Paragraph(text) => {
                message.extend_from_slice(text);
                if !message.is_empty() && !message.ends_with(b"\n") {
                    message.push(b'\n');
                }
            }
            Part::File(path) if path.as_os_str() == "-" => read_stdin(&mut message)?,
            Part::File(path) => message.extend_from_slice(&std::fs::read(path).map_err(|error| {
                Failure::fatal(format!("git commit-tree: failed to open '{}': {error}", path.display()))
            })?),
        }
    }
    if message.is_empty() {
        read_stdin(&mut message)?;
    }
    Ok(message)
}

fn read_stdin(message: &mut BString) -> Result<(), Failure> {
    std::io::stdin().lock().read_to_end(message)?;
    Ok(())
}
