//! Completion in shells: the shell asks rd itself, so that names of images and containers are completed too.

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::CompleteEnv;
use plumbing::Store;
use plumbing::store::refs::CONTAINERS;
use porcelain::image;

use crate::cli::{self, default_store_dir};

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
    with_candidates(cli::command())
}

fn with_candidates(command: Command) -> Command {
    command
        .mut_args(|arg| match kinds(&arg) {
            kinds if kinds.is_empty() => arg,
            kinds => arg.add(ArgValueCandidates::new(move || candidates(&kinds))),
        })
        .mut_subcommands(with_candidates)
}

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Images,
    Containers,
    /// Full names of refs.
    Refs,
    /// Names of branches and tags as people write them.
    ShortRefs,
}

/// What a revision can begin with.
const REVISION: &[Kind] = &[Kind::Images, Kind::Containers, Kind::ShortRefs];

/// What an argument takes: the name of its value, as help shows it, says it (`CONTAINER|REV`, `REV[:/PATH]`).
fn kinds(arg: &Arg) -> Vec<Kind> {
    let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string()).unwrap_or_default();
    let first = name.split(' ').next().unwrap_or_default();
    let mut kinds: Vec<Kind> = Vec::new();
    for word in first.split('|') {
        let word = &word[..word.find('[').unwrap_or(word.len())];
        let known: &[Kind] = match word {
            "IMAGE" | "REPOSITORY" | "TARGET" => &[Kind::Images],
            "CONTAINER" => &[Kind::Containers],
            "REF" | "ENTRY" => &[Kind::Refs, Kind::ShortRefs, Kind::Images, Kind::Containers],
            "REV" | "REVISION" | "RANGE" | "COMMIT" | "OBJECT" | "TREE" | "TREEISH" | "PARENT" => REVISION,
            "NAME" | "SOURCE" | "A" | "B" if arg.is_positional() => REVISION,
            "PATTERN" if arg.is_positional() => &[Kind::Refs],
            _ => &[],
        };
        for kind in known {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
    }
    kinds
}

fn candidates(kinds: &[Kind]) -> Vec<CompletionCandidate> {
    let of = |kind: &Kind| match kind {
        Kind::Images => images(),
        Kind::Containers => containers(),
        Kind::Refs => refs(false),
        Kind::ShortRefs => refs(true),
    };
    let mut all: Vec<CompletionCandidate> = kinds.iter().flat_map(of).collect();
    all.sort_by(|a, b| a.get_value().cmp(b.get_value()));
    all.dedup_by(|a, b| a.get_value() == b.get_value());
    all
}

/// The default store or that of `RD_ROOT`, else the repository of `GIT_DIR`, if it is there: completing makes none.
fn store() -> Option<Store> {
    let root = std::env::var_os("RD_ROOT");
    if let Some(dir) = std::env::var_os("GIT_DIR").filter(|_| root.is_none()) {
        return Store::open_git(dir).ok();
    }
    Store::open(root.map_or_else(default_store_dir, Into::into)).ok()
}

/// The names of refs: whole, or those of branches, tags and remotes' branches without what they begin with.
fn refs(short: bool) -> Vec<CompletionCandidate> {
    let refs = store().and_then(|store| store.refs_below("refs/").ok()).unwrap_or_default();
    let shown = |name: String| match short {
        false => Some(name),
        true => {
            let kinds = ["refs/heads/", "refs/tags/", "refs/remotes/"];
            kinds.iter().find_map(|kind| name.strip_prefix(kind)).map(str::to_owned)
        }
    };
    let names = refs.into_iter().filter_map(|found| shown(found.name.to_string()));
    let head = if short { None } else { Some("HEAD".to_owned()) };
    head.into_iter().chain(names).map(CompletionCandidate::new).collect()
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
