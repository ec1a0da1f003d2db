//! `rd remote`

mod show;

pub use show::words;

use std::process::ExitCode;

use plumbing::{Id, Store, Tracking};
use porcelain::remote::{self, Remote, Url, config, store as stores};

use crate::cli::Globals;
use crate::output::emit;
use crate::report::Failure;

/// Manage the remotes: other stores, registries and archives by short names
///
/// Without a command it lists their names, with -v their addresses, too. What is known of a remote's images is called
/// REMOTE/NAME[:TAG] (`origin/app:1`) and moves with `rd fetch`, `rd pull` and `rd push`. A registry needs no name: that of
/// an image (`quay.io/a/b`, or docker.io) is its remote where nothing else is said.
///
/// An address is one of
///   /path, file:///path          another store on this machine
///   ssh://[USER@]HOST[:PORT][/PATH]
///                                another store, where ssh leads to; `rd` must be on PATH there (see --program); without
///                                PATH the store of that user
///   https://HOST[/PREFIX]        a registry, and what its repositories begin with
///   http://…, oci://…            the same without TLS; the same, with or without as its host is configured
///   oci:DIR, oci-archive:FILE, docker-archive:FILE
///                                images in files
///
/// Remotes are kept in the store's git configuration, where git sees them as well.
///
/// Examples:
///   rd remote add origin ssh://build.example/var/lib/rd
///   rd remote -v
///   rd remote show origin
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Show addresses, too
    #[arg(short, long)]
    verbose: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Add a remote
    Add {
        /// Fetch from it at once
        #[arg(short, long)]
        fetch: bool,
        /// What to run there instead of `rd`, where it is reached by ssh
        #[arg(long, value_name = "COMMAND")]
        program: Option<String>,
        name: String,
        url: String,
    },
    /// Remove a remote, and what is known of its images
    #[command(visible_alias = "rm")]
    Remove { name: String },
    /// Give a remote another name
    Rename { old: String, new: String },
    /// Let a remote be somewhere else
    SetUrl { name: String, url: String },
    /// Print the address of a remote
    GetUrl { name: String },
    /// Show what a remote has, and how the images of this store stand to it
    Show {
        /// Don't ask the remote: show what is known of it
        #[arg(short)]
        no_query: bool,
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Forget images that a remote no longer has
    Prune {
        /// Only say which
        #[arg(short = 'n', long)]
        dry_run: bool,
        #[arg(required = true)]
        names: Vec<String>,
    },
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    match args.verb {
        None => list(&store, args.verbose)?,
        Some(Verb::Add { fetch, program, name, url }) => {
            let url = Url::parse(&url)?.absolute()?;
            config::add(&store, &Remote { name: name.clone(), url, program })?;
            if fetch {
                return super::fetch::run(super::fetch::Args::of_remote(name), globals);
            }
        }
        Some(Verb::Remove { name }) => remote::remove(&store, &name)?,
        Some(Verb::Rename { old, new }) => remote::rename(&store, &old, &new)?,
        Some(Verb::SetUrl { name, url }) => config::set_url(&store, &name, &Url::parse(&url)?.absolute()?)?,
        Some(Verb::GetUrl { name }) => println!("{}", config::get(&store, &name)?.url),
        Some(Verb::Show { no_query, names }) => {
            names.iter().try_for_each(|name| show::show(&store, &config::get(&store, name)?, !no_query))?;
        }
        Some(Verb::Prune { dry_run, names }) => {
            names.iter().try_for_each(|name| prune(&store, &config::get(&store, name)?, dry_run))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(store: &Store, verbose: bool) -> Result<(), Failure> {
    let mut text = String::new();
    for remote in config::list(store)? {
        match verbose {
            true => {
                for use_ in ["fetch", "push"] {
                    text.push_str(&format!("{}\t{} ({use_})\n", remote.name, remote.url));
                }
            }
            false => text.push_str(&format!("{}\n", remote.name)),
        }
    }
    emit(&text);
    Ok(())
}

fn prune(store: &Store, remote: &Remote, dry_run: bool) -> Result<(), Failure> {
    let stale: Vec<(Tracking, Id)> = stores::stale(store, remote)?;
    if !dry_run {
        remote::forget(store, &stale)?;
    }
    if !stale.is_empty() {
        println!("Pruning {}\nURL: {}", remote.name, remote.url);
    }
    let word = if dry_run { "would prune" } else { "pruned" };
    stale.iter().for_each(|(tracking, _)| println!(" * [{word}] {tracking}"));
    Ok(())
}
