//! `rd reflog`

mod expire;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use plumbing::Store;
use plumbing::revision::{self, RULES};
use plumbing::store::refs::is_full_name;

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Show or shorten the log of where refs were
///
/// Every image, container and other ref has a log of its moves: `web@{1}` is what web was before the last one. Without a
/// subcommand the log is shown. Subcommands, options, output and exit status are those of git-reflog(1); of log's options
/// show takes those that are listed here.
///
/// Examples:
///   rd reflog web                                     where the image or container web was
///   rd reflog show --date=iso -n 3 debian:12
///   rd reflog expire --expire=90.days --all
///   rd reflog delete web@{2}
///
/// Exit status: 0; of `exists` 1 where there is none; 128 failed.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    show: show::ShowArgs,
}

#[derive(Subcommand)]
enum What {
    /// Show logs, the youngest entries first
    Show(show::ShowArgs),
    /// List refs that have a log
    List {
        #[arg(hide = true)]
        words: Vec<String>,
    },
    /// Say by the exit status whether a ref has a log
    Exists {
        /// The full name
        #[arg(value_name = "REF")]
        name: String,
    },
    /// Remove old entries
    Expire(expire::ExpireArgs),
    /// Remove single entries
    Delete(expire::DeleteArgs),
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.repository()?;
    match args.what {
        None => show::run(args.show, &store),
        Some(What::Show(args)) => show::run(args, &store),
        Some(What::List { words }) => list(&store, &words),
        Some(What::Exists { name }) => exists(&store, &name),
        Some(What::Expire(args)) => expire::run(&args, &store),
        Some(What::Delete(args)) => expire::delete(&args, &store),
    }
}

fn list(store: &Store, words: &[String]) -> Result<ExitCode, Failure> {
    if let Some(word) = words.first() {
        return Err(Failure::new(format!("list does not accept arguments: '{word}'")).status(NO));
    }
    for name in store.logged_refs()? {
        git::print_line(name)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn exists(store: &Store, name: &str) -> Result<ExitCode, Failure> {
    let valid = is_full_name(name.into()) || is_full_name(format!("refs/{name}").as_str().into());
    if !valid {
        return Err(Failure::fatal(format!("invalid ref format: {name}")));
    }
    Ok(if store.has_log(name.into()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The status of git's `return error(…)`.
const NO: u8 = 255;

/// The full name of the ref that `name` means and that has a log: by git's rules, else an image or container.
fn logged(store: &Store, name: &str) -> Result<Option<String>, Failure> {
    let name = if name.is_empty() || name == "@" { "HEAD" } else { name };
    for rule in RULES {
        let full = rule.replace('*', name);
        if is_full_name(full.as_str().into())
            && store.read_ref(full.as_str().into())?.is_some()
            && store.has_log(full.as_str().into())
        {
            return Ok(Some(full));
        }
    }
    let found = revision::parse(store, name).ok().and_then(|found| found.name);
    Ok(found.filter(|full| store.has_log(full.as_str().into())))
}
