//! Completion in shells: the shell asks rd itself, so that names of images and containers are completed too.

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::CompleteEnv;
use plumbing::Store;
use plumbing::store::refs::CONTAINERS;
use porcelain::image;

use crate::cli::{Cli, default_store_dir};

/// The variable by which a shell's completion function asks.
pub const VARIABLE: &str = "RD_COMPLETE";

/// Where a shell asks for completions, answer and end.
pub fn answer() {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(command).var(VARIABLE).complete();
    }
}

/// The command line, its arguments knowing what can stand for them.
fn command() -> Command {
    Cli::command().mut_subcommands(|command| command.mut_args(with_candidates))
}

/// The name of a value, as help shows it, says what it is.
fn with_candidates(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string()).unwrap_or_default();
    match name.as_str() {
        "IMAGE" | "REPOSITORY[:TAG]" | "TARGET[:TAG]" => arg.add(ArgValueCandidates::new(images)),
        "CONTAINER" => arg.add(ArgValueCandidates::new(containers)),
        "NAME" | "SOURCE" | "REV" | "REVISION" | "COMMIT" | "OBJECT" | "TREEISH" | "A" | "B" if arg.is_positional() => {
            arg.add(ArgValueCandidates::new(|| images().into_iter().chain(containers()).collect::<Vec<_>>()))
        }
        _ => arg,
    }
}

/// The default store or that of `RD_ROOT`, if it is there: completing makes none.
fn store() -> Option<Store> {
    let dir = std::env::var_os("RD_ROOT").map_or_else(default_store_dir, Into::into);
    Store::open(dir).ok()
}

fn images() -> Vec<CompletionCandidate> {
    let names = store().and_then(|store| image::names(&store).ok()).unwrap_or_default();
    names.into_iter().map(|(name, _)| CompletionCandidate::new(name.to_string())).collect()
}

fn containers() -> Vec<CompletionCandidate> {
    let Some(store) = store() else { return Vec::new() };
    let of_refs = store.list_refs(CONTAINERS).unwrap_or_default().into_iter();
    let mut names: Vec<String> = of_refs.filter_map(|(name, _)| Some(name.strip_prefix(CONTAINERS)?.into())).collect();
    let folders = porcelain::container::Containers::open(store.dir()).and_then(|containers| containers.ids());
    names.extend(folders.unwrap_or_default().into_keys());
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}
