//! `rd for-each-ref`

mod atom;
mod color;
mod filter;
mod format;
mod quote;
mod sort;
mod upstream;
mod value;

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use plumbing::Store;
use plumbing::bstr::ByteSlice;

use crate::cli::Globals;
use crate::git;
use crate::git::refs::Listed;
use crate::output::Color;
use crate::report::Failure;
use filter::{Filter, Wanted};
use format::Format;
use quote::Language;
use sort::Key;
use value::{Item, Values};

/// List refs in a form of your own
///
/// Options, output and exit status are those of git-for-each-ref(1). Images are refs/images/REGISTRY/REPOSITORY@TAG,
/// containers refs/containers/NAME.
///
/// A format is text with fields, `%(FIELD)`, or `%(*FIELD)` for what a tag leads to: refname[:short|lstrip=N|rstrip=N]
/// objecttype objectsize objectname[:short[=N]] tree parent numparent object type tag
/// author committer tagger creator, each with name, email[:trim|localpart] and date[:FORM] appended
/// subject[:sanitize] body contents[:subject|body|signature|size|lines=N] raw[:size]
/// upstream push, each [:short|track|trackshort|remotename|remoteref|lstrip=N] symref flag HEAD worktreepath
/// ahead-behind:REV color:COLOR align:WIDTH,SIDE … end, if[:equals=TEXT|notequals=TEXT] … then … else … end.
/// Git's fields objectsize:disk, deltabase, describe, trailers, signature and email:mailmap are refused.
///
/// Examples:
///   rd for-each-ref --sort=-creatordate --count=5 refs/images
///   rd for-each-ref --format='%(refname:lstrip=4) %(subject)' 'refs/images/docker.io/library/*'
///   rd for-each-ref --contains debian:12 refs/containers
///
/// Exit status: 0, also where nothing is found; 128 failed; 129 wrong usage.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true, verbatim_doc_comment)]
pub struct Args {
    /// What each line is made of
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "%(objectname) %(objecttype)\t%(refname)",
        hide_default_value = true
    )]
    format: String,
    /// Sort by this field: `-FIELD` backwards, `version:FIELD` by the numbers in it; of several the last counts first
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Vec<String>,
    /// At most N refs
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    count: Option<String>,
    /// Quote values for a shell
    #[arg(short = 's', long)]
    shell: bool,
    /// Quote values for Perl
    #[arg(short = 'p', long)]
    perl: bool,
    /// Quote values for Python
    #[arg(long)]
    python: bool,
    /// Quote values for Tcl
    #[arg(long)]
    tcl: bool,
    /// Only refs at this object, or at a tag of it
    #[arg(long, value_name = "OBJECT")]
    points_at: Vec<String>,
    /// Only refs whose commit COMMIT reaches
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "HEAD")]
    merged: Vec<String>,
    /// Only refs whose commit COMMIT doesn't reach
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "HEAD")]
    no_merged: Vec<String>,
    /// Only refs that reach COMMIT
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "HEAD")]
    contains: Vec<String>,
    /// Only refs that don't reach COMMIT
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "HEAD")]
    no_contains: Vec<String>,
    /// Not refs that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Sort and match without regard to case
    #[arg(long)]
    ignore_case: bool,
    /// Print no line that is empty
    #[arg(long)]
    omit_empty: bool,
    /// Also HEAD and its like
    #[arg(long)]
    include_root_refs: bool,
    /// Read patterns from standard input
    #[arg(long)]
    stdin: bool,
    /// The names of refs, their beginnings up to a slash, or patterns with * ? [...]
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let language = language(&args)?;
    let most = args.count.as_deref().map(count).transpose()?.filter(|count| *count > 0);
    let store = globals.repository()?;
    let colors = match globals.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stdout().is_terminal(),
    };
    // Git looks up what refs are chosen by while it reads the arguments, before it knows of the other things.
    let wanted = wanted(&args)?;
    let mut filter = Filter::new(&store, &wanted)?;
    let keys = args.sort.iter().map(|key| Key::parse(&store, key)).collect::<Result<Vec<_>, _>>()?;
    let format = Format::parse(&store, &args.format, language, colors)?;
    let values = Values::new(&store)?;
    let mut items = Vec::new();
    for listed in candidates(&store, &args, &wanted)? {
        let item = Item::new(listed);
        if filter.takes(&item, &values)? {
            items.push(item);
        }
        // By name they come as they are.
        if keys.is_empty() && !args.ignore_case && most == Some(items.len()) {
            break;
        }
    }
    let items = sort::sort(items, &keys, &values, args.ignore_case)?;
    let mut out = git::stdout();
    for item in items.iter().take(most.unwrap_or(usize::MAX)) {
        let line = match format.line(&values, item) {
            Ok(line) => line,
            Err(failure) => {
                // Git has printed the lines so far.
                out.flush()?;
                return Err(failure);
            }
        };
        if !(args.omit_empty && line.is_empty()) {
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// How many refs are asked for.
fn count(text: &str) -> Result<usize, Failure> {
    let bad = || Failure::usage(format!("invalid --count argument: `{text}'"));
    // What C's int doesn't hold is cut, as git has it.
    let number = git::number(text).map(|number| number as i32);
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(bad)
}

fn language(args: &Args) -> Result<Option<Language>, Failure> {
    let asked = [
        (args.shell, Language::Shell),
        (args.perl, Language::Perl),
        (args.python, Language::Python),
        (args.tcl, Language::Tcl),
    ];
    let mut asked = asked.into_iter().filter(|(set, _)| *set).map(|(_, language)| language);
    match (asked.next(), asked.next()) {
        (_, Some(_)) => Err(Failure::usage("more than one quoting style?")),
        (language, None) => Ok(language),
    }
}

fn wanted(args: &Args) -> Result<Wanted, Failure> {
    if args.stdin && !args.patterns.is_empty() {
        return Err(Failure::fatal("unknown arguments supplied with --stdin"));
    }
    let patterns = match args.stdin {
        true => std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?,
        false => args.patterns.clone(),
    };
    Ok(Wanted {
        patterns,
        exclude: args.exclude.clone(),
        ignore_case: args.ignore_case,
        points_at: args.points_at.clone(),
        contains: args.contains.clone(),
        no_contains: args.no_contains.clone(),
        merged: args.merged.clone(),
        no_merged: args.no_merged.clone(),
    })
}

/// The refs that the patterns can match, by name.
fn candidates(store: &Store, args: &Args, wanted: &Wanted) -> Result<Vec<Listed>, Failure> {
    let prefix = match (wanted.patterns.as_slice(), args.ignore_case) {
        ([one], false) => plain_beginning(one),
        _ => "",
    };
    let mut listed = Vec::new();
    // Git leaves them out where refs are chosen by what they reach.
    let by_reach = [&wanted.contains, &wanted.no_contains, &wanted.merged, &wanted.no_merged];
    if args.include_root_refs && by_reach.iter().all(|names| names.is_empty()) {
        listed.extend(git::refs::root_refs(store)?);
    }
    listed.extend(git::refs::list(store, if prefix.starts_with("refs/") { prefix } else { "" }, true)?);
    listed.sort_by(|a, b| a.name.as_bstr().cmp(b.name.as_bstr()));
    Ok(listed)
}

/// What every name begins with that the pattern matches.
fn plain_beginning(pattern: &str) -> &str {
    &pattern[..pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len())]
}
