//! `rd fetch`

use std::process::ExitCode;

use plumbing::walk::bases::is_ancestor;
use plumbing::{Id, ImageName, Store, Tracking};
use porcelain::remote::store::{self as stores, Fetched};
use porcelain::remote::{self, Remote, Target, config};

use crate::cli::Globals;
use crate::output::SHORT;
use crate::report::Failure;

/// Fetch images of a remote without moving any of this store's
///
/// What a remote has is remembered: its image `app:1` becomes `origin/app:1`, which every command takes as a revision
/// (`rd log app:1..origin/app:1`, `rd diff app:1 origin/app:1`). Only what this store lacks travels. `rd pull` fetches, too,
/// and lets the local image follow.
///
/// Examples:
///   rd fetch                      all images of the remote `origin`, or of the only one
///   rd fetch origin app:1 web     two images of it
///   rd fetch origin/app:1         the same as `rd fetch origin app:1`
///   rd fetch --all --prune        all remotes, forgetting what they no longer have
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Fetch from all remotes
    #[arg(long, conflicts_with = "words")]
    all: bool,
    /// Forget images that the remote no longer has
    #[arg(short, long)]
    prune: bool,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    /// A remote's name and names of its images, or images as REMOTE/NAME[:TAG]
    #[arg(value_name = "REMOTE|IMAGE")]
    words: Vec<String>,
}

impl Args {
    /// Fetch all images of one remote.
    pub fn of_remote(name: String) -> Self {
        Self { all: false, prune: false, quiet: false, words: vec![name] }
    }
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    for (remote, names) in requests(&store, &args)? {
        fetch(&store, &remote, &names, &args)?;
    }
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

/// Which images of which remotes to fetch; all of those without names.
fn requests(store: &Store, args: &Args) -> Result<Vec<(Remote, Vec<Tracking>)>, Failure> {
    if args.all {
        return Ok(config::list(store)?.into_iter().map(|remote| (remote, Vec::new())).collect());
    }
    let Some((first, names)) = args.words.split_first() else {
        return Ok(vec![(default_remote(store)?, Vec::new())]);
    };
    if let Some(remote) = config::find(store, first)? {
        let tracking = |name: &String| {
            let image = ImageName::parse(name)?;
            Ok::<_, Failure>(Tracking::new(&remote.name, &image.familiar_repository(), image.tag())?)
        };
        let names = names.iter().map(tracking).collect::<Result<_, _>>()?;
        return Ok(vec![(remote, names)]);
    }
    let one = |word: &String| {
        let target = Target::parse(store, word)?;
        let missing = || Failure::new(format!("no such remote: '{word}'")).hint("`rd remote -v` lists remotes");
        Ok((target.remote.ok_or_else(missing)?, vec![target.tracking]))
    };
    args.words.iter().map(one).collect()
}

/// `origin`, or the only one.
fn default_remote(store: &Store) -> Result<Remote, Failure> {
    let mut all = config::list(store)?;
    let origin = all.iter().position(|remote| remote.name == "origin");
    match (origin, all.len()) {
        (Some(at), _) => Ok(all.swap_remove(at)),
        (None, 1) => Ok(all.swap_remove(0)),
        (None, 0) => Err(Failure::new("there is no remote to fetch from").hint("`rd remote add origin URL` adds one")),
        _ => Err(Failure::new("there are several remotes, and none is called origin").hint("name one, or give --all")),
    }
}

fn fetch(store: &Store, remote: &Remote, names: &[Tracking], args: &Args) -> Result<(), Failure> {
    let (fetched, _) = stores::fetch(store, remote, names, &mut |_| {})?;
    let mut lines = Vec::new();
    for one in &fetched {
        lines.extend(line(store, one)?);
    }
    if args.prune {
        let stale = stores::stale(store, remote)?;
        remote::forget(store, &stale)?;
        lines.extend(stale.iter().map(|(tracking, _)| format!(" - {:<18} (none) -> {tracking}", "[deleted]")));
    }
    if !args.quiet && !lines.is_empty() {
        eprintln!("From {}", remote.url);
        lines.iter().for_each(|line| eprintln!("{line}"));
    }
    Ok(())
}

/// What happened to a tracking ref, in git's form; `None` where nothing did.
fn line(store: &Store, fetched: &Fetched) -> Result<Option<String>, Failure> {
    let (image, tracking) = (&fetched.target.local, &fetched.target.tracking);
    let short = |id: &Id| id.to_hex_with_len(SHORT).to_string();
    Ok(match fetched.before {
        Some(before) if before == fetched.now => None,
        Some(before) => {
            let (old, new) = (short(&before), short(&fetched.now));
            match store.has(&before) && is_ancestor(store, before, fetched.now)? {
                true => Some(format!("   {:<18} {image} -> {tracking}", format!("{old}..{new}"))),
                false => Some(format!(" + {:<18} {image} -> {tracking}  (forced update)", format!("{old}...{new}"))),
            }
        }
        None => Some(format!(" * {:<18} {image} -> {tracking}", "[new image]")),
    })
}
