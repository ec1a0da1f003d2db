//! `rd push`

use std::process::ExitCode;

use plumbing::oci::{Encoding, Image};
use plumbing::revision::{Lookup, Prefer, resolve_commit_with};
use plumbing::store::refs::IMAGES;
use plumbing::{Id, ImageName, Store, artifact, travel};
use porcelain::registry::{self, Remote};
use porcelain::remote::rules::{Force, Present, Push, Refusal};
use porcelain::remote::store::push as push_to_store;
use porcelain::remote::{Target, decide_push, track};

use crate::cli::Globals;
use crate::output::progress::Progress;
use crate::registries::{Access, Wanted};
use crate::report::Failure;

/// Push an image to its registry
///
/// What came from a registry or an archive with a manifest goes out byte for byte, with the digest that it came with. Anything
/// else (a container's commit, an import) becomes an image whose digest follows from the commit alone. Nothing is sent that the
/// registry has; layers that another of its repositories has are taken from there. A push that is broken off goes on where it
/// was.
///
/// A push that isn't a fast-forward of what the registry has is refused, so that nobody's image is lost: `rd pull` first, or
/// -f. A name may begin with a remote (`rd remote`), also with one that is another store. Beside an image that was made of a commit
/// of rd's goes its history, so that another rd gets the very same commits; other engines just see an image.
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
    /// Overwrite whatever the remote has by that name
    #[arg(short, long)]
    force: bool,
    /// Overwrite it only if it is what was seen there last, by pull, push or fetch
    #[arg(long, conflicts_with = "force")]
    force_with_lease: bool,
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
    let store = globals.store()?;
    let name = args.names.last().expect("because one is required");
    let wanted = Wanted::parse(&store, name)?;
    if wanted.reference.digest().is_some() {
        return Err(Failure::new("a digest can't be pushed to: it follows from the image").hint("give a tag"));
    }
    let pushes = match args.all_tags {
        true => all_tags(&store, &args, &wanted)?,
        false => vec![(source(&args, &wanted)?, wanted)],
    };
    if pushes[0].1.is_at_store()? {
        return to_store(&store, &args, &pushes);
    }
    let place = format!("{}/{}", pushes[0].1.reference.registry(), pushes[0].1.reference.repository());
    say(&args, || format!("The push refers to repository [{place}]"));
    for (source, wanted) in &pushes {
        push(&store, &args, source, wanted)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is pushed: what was named, or the image that is called here what it is to be called there.
fn source(args: &Args, wanted: &Wanted) -> Result<String, Failure> {
    if args.names.len() > 1 { Ok(args.names[0].clone()) } else { Ok(wanted.local()?.to_string()) }
}

impl Args {
    fn force(&self) -> Force {
        match (self.force, self.force_with_lease) {
            (true, _) => Force::Yes,
            (_, true) => Force::WithLease,
            _ => Force::No,
        }
    }
}

fn find(store: &Store, source: &str) -> Result<Id, Failure> {
    Ok(resolve_commit_with(store, source, Lookup { prefer: Prefer::Images, aliases: None })?)
}

fn to_store(store: &Store, args: &Args, pushes: &[(String, Wanted)]) -> Result<ExitCode, Failure> {
    if args.compression.is_some() || args.referrers {
        return Err(Failure::new("--compression and --referrers are for registries"));
    }
    for (source, wanted) in pushes {
        let target = wanted.target.as_ref().expect("because it is at a store that was configured");
        let commit = find(store, source)?;
        let pushed = push_to_store(store, target, commit, args.force())?;
        refuse(target, pushed.outcome)?;
        if args.quiet {
            println!("{commit}");
        }
        say(args, || {
            format!("{}: {commit}{}", target.tracking, if pushed.outcome.moves() { "" } else { ": up to date" })
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn push(store: &Store, args: &Args, source: &str, wanted: &Wanted) -> Result<(), Failure> {
    let _hold = store.hold()?;
    let target = wanted.target.as_ref().expect("because no digest was given");
    let commit = find(store, source)?;
    let image = Image::of(store, &commit, args.compression)?;
    let remote = args.access.open(wanted)?;
    let tracked = store.get_ref(&target.tracking.to_ref())?;
    let present = present(store, &remote, &image, tracked, target)?;
    refuse(target, decide_push(store, present, tracked, commit, args.force())?)?;
    let listener = Progress::new(args.quiet).listener();
    registry::push(store, &remote, &image, wanted.reference.tag(), &listener)?;
    registry::push_history(store, &remote, &image, &listener)?;
    if args.referrers {
        for referrer in registry::push_referrers(store, &remote, &image.digest(), &listener)? {
            say(args, || format!("Referrer: {referrer}"));
        }
    }
    track(store, &target.tracking, commit, "push")?;
    if args.quiet {
        println!("{}", image.digest());
    }
    let size = image.manifest().len();
    say(args, || format!("{}: digest: {} size: {size}", wanted.reference.tag(), image.digest()));
    Ok(())
}

/// What the registry has by the name: a commit is known by its image's digest, or because the image says of which it is.
fn present(
    store: &Store,
    remote: &Remote,
    image: &Image,
    tracked: Option<Id>,
    target: &Target,
) -> Result<Present, Failure> {
    let Some(manifest) = remote.find_manifest(target.name.tag())? else { return Ok(Present::Nothing) };
    let digest = manifest.digest();
    if digest == image.digest() {
        return Ok(Present::Known(image.commit()));
    }
    let local = store.get_ref(&target.local.to_ref())?;
    for id in tracked.into_iter().chain(local) {
        if store.has(&id) && Image::of(store, &id, None)?.digest() == digest {
            return Ok(Present::Known(id));
        }
    }
    let said = artifact::Manifest::parse(&manifest.bytes, None).ok().and_then(|manifest| travel::commit(&manifest));
    Ok(said.filter(|id| store.has(id)).map_or(Present::Unknown, Present::Known))
}

/// git's words for a push that isn't done.
fn refuse(target: &Target, outcome: Push) -> Result<(), Failure> {
    let Push::Refused(why) = outcome else { return Ok(()) };
    let name = &target.tracking;
    let failure = Failure::new(format!("failed to push to '{name}': rejected ({})", why.word()));
    Err(failure.hint(match why {
        Refusal::FetchFirst => {
            format!("it has what this store never saw; `rd pull {}` brings it, -f overwrites it", spelling(target))
        }
        Refusal::NotFastForward => format!("it has what isn't in yours: `rd log {name}`; -f overwrites it"),
        Refusal::Stale => {
            format!("it isn't what was seen there last; `rd pull {}` looks again, -f overwrites it", spelling(target))
        }
    }))
}

/// How a pull names it.
fn spelling(target: &Target) -> String {
    if target.remote.is_some() { target.tracking.to_string() } else { target.name.to_string() }
}

/// The images of a repository, and what they are called there.
fn all_tags(store: &Store, args: &Args, wanted: &Wanted) -> Result<Vec<(String, Wanted)>, Failure> {
    let name = args.names.last().expect("because one is required");
    let last = name.rsplit_once('/').map_or(name.as_str(), |(_, last)| last);
    if last.contains(':') || args.names.len() > 1 {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    let local = wanted.local()?;
    let names = store.list_refs(IMAGES)?.into_iter().filter_map(|(name, _)| ImageName::from_ref(&name));
    let ours = |name: &ImageName| (name.registry(), name.repository()) == (local.registry(), local.repository());
    let each = |name: ImageName| Ok((name.to_string(), wanted.with_tag(name.tag())?));
    let found: Vec<_> = names.filter(ours).map(each).collect::<Result<_, Failure>>()?;
    if found.is_empty() {
        return Err(plumbing::Error::NotFound { what: "image", name: local.familiar_repository() }.into());
    }
    Ok(found)
}

fn say(args: &Args, line: impl FnOnce() -> String) {
    if !args.quiet {
        println!("{}", line());
    }
}
