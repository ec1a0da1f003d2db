//! `rd push`

use std::process::ExitCode;

use plumbing::oci::{Encoding, Image};
use plumbing::revision::{Lookup, Prefer, resolve_commit_with};
use plumbing::store::refs::IMAGES;
use plumbing::{ImageName, Store};
use porcelain::registry::{self, Reference};

use crate::cli::Globals;
use crate::output::progress::Progress;
use crate::registries::Access;
use crate::report::Failure;

/// Push an image to its registry
///
/// What came from a registry or an archive with a manifest goes out byte for byte, with the digest that it came with. Anything
/// else (a container's commit, an import) becomes an image whose digest follows from the commit alone. Nothing is sent that the
/// registry has; layers that another of its repositories has are taken from there. A push that is broken off goes on where it
/// was.
///
/// Prints docker's lines, the last with the digest; with -q the digest alone.
///
/// Examples: `rd push localhost:5000/web:1`; `rd push web:1 quay.io/team/web:1`; `rd push --compression zstd:9 web quay.io/team/web`.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// An image, a container or any revision [default: the image NAME]
    #[arg(value_name = "SRC", num_args = 1..=2, required = true, value_names = ["SRC", "NAME[:TAG]"])]
    names: Vec<String>,
    /// Push all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Compress layers so, gzip or zstd with an optional :LEVEL, whatever they came as [default: as they came, gzip for what
    /// rd makes]
    #[arg(long, value_name = "HOW")]
    compression: Option<Encoding>,
    /// Send what the store has about the image, too: signatures, attestations and the like, which `rd pull --referrers` brought
    #[arg(long)]
    referrers: bool,
    /// Print the digest alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    access: Access,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let name = args.names.last().expect("because one is required");
    let reference = Reference::parse(name)?;
    if reference.digest().is_some() {
        return Err(Failure::new("a digest can't be pushed to: it follows from the image").hint("give a tag"));
    }
    let store = globals.store()?;
    let pushes = match args.all_tags {
        true => all_tags(&store, &args, &reference)?,
        false => vec![(args.names[0].clone(), reference)],
    };
    let place = format!("{}/{}", pushes[0].1.registry(), pushes[0].1.repository());
    say(&args, || format!("The push refers to repository [{place}]"));
    for (source, reference) in &pushes {
        push(&store, &args, source, reference)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn push(store: &Store, args: &Args, source: &str, reference: &Reference) -> Result<(), Failure> {
    let _hold = store.hold()?;
    let commit = resolve_commit_with(store, source, Lookup { prefer: Prefer::Images, aliases: None })?;
    let image = Image::of(store, &commit, args.compression)?;
    let remote = args.access.open(reference)?;
    let listener = Progress::new(args.quiet).listener();
    registry::push(store, &remote, &image, reference.tag(), &listener)?;
    if args.referrers {
        for referrer in registry::push_referrers(store, &remote, &image.digest(), &listener)? {
            say(args, || format!("Referrer: {referrer}"));
        }
    }
    if args.quiet {
        println!("{}", image.digest());
    }
    say(args, || format!("{}: digest: {} size: {}", reference.tag(), image.digest(), image.manifest().len()));
    Ok(())
}

/// The images of a repository, and what they are called there.
fn all_tags(store: &Store, args: &Args, reference: &Reference) -> Result<Vec<(String, Reference)>, Failure> {
    if reference.has_tag() || args.names.len() > 1 {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    let names = store.list_refs(IMAGES)?.into_iter().filter_map(|(name, _)| ImageName::from_ref(&name));
    let ours =
        |name: &ImageName| (name.registry(), name.repository()) == (reference.registry(), reference.repository());
    let found: Vec<_> = names
        .filter(ours)
        .map(|name| Ok((name.to_string(), reference.with_tag(name.tag())?)))
        .collect::<Result<_, Failure>>()?;
    if found.is_empty() {
        return Err(plumbing::Error::NotFound { what: "image", name: reference.repository().into() }.into());
    }
    Ok(found)
}

fn say(args: &Args, line: impl FnOnce() -> String) {
    if !args.quiet {
        println!("{}", line());
    }
}
