//! `rd pull`

use std::process::ExitCode;

use plumbing::archive::Platform;
use plumbing::digest::Digest;
use plumbing::{ImageName, Store};
use porcelain::registry::{Remote, pull_referrers};
use porcelain::remote::rules::Pull;

use crate::cli::Globals;
use crate::output::progress::Progress;
use crate::registries::{Access, How, Wanted, pull, pull_store};
use crate::report::Failure;

/// Pull an image from its registry
///
/// A name without a registry is docker.io's. Layers whose files are in the store aren't fetched; the others come at the same
/// time, and are read while they come. Every digest is checked before the name moves. A pull that was broken off goes on at the
/// byte where it was.
///
/// What the registry has is remembered as REGISTRY/NAME (`rd log debian..docker.io/library/debian`), and the local image follows if it
/// holds nothing but what the registry had: else it has diverged, and is left alone. A name may begin with a remote (`rd remote`),
/// also with one that is another store.
///
/// Mirrors, and registries without https, are read from registries.conf (containers-registries.conf(5)); who we are, from
/// docker's config.json, which `rd login` writes.
///
/// Prints the digest of what the registry has by that name, and docker's lines; with -q the digest alone.
///
/// Examples: `rd pull debian`; `rd pull -q localhost:5000/web:1`; `rd pull quay.io/team/app@sha256:…`; `rd pull -a debian`.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// The image
    #[arg(value_name = "[REMOTE/]NAME[:TAG|@DIGEST]")]
    image: String,
    /// Pull all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Take the image for this platform, where there are several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Take the remote's image even where the local one holds something else
    #[arg(short, long)]
    force: bool,
    /// Bring what refers to the image, too: signatures, attestations and the like; they are kept below refs/artifacts/
    #[arg(long)]
    referrers: bool,
    /// Print the digest alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    access: Access,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let store = globals.store()?;
    let wanted = Wanted::parse(&store, &args.image)?;
    if wanted.is_at_store()? {
        from_store(&args, &store, &wanted)?;
    } else {
        from_registry(&args, &store, &wanted, platform.as_ref())?;
    }
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

fn from_store(args: &Args, store: &Store, wanted: &Wanted) -> Result<(), Failure> {
    if args.all_tags || args.referrers || args.platform.is_some() {
        return Err(Failure::new("--all-tags, --referrers and --platform are for registries")
            .hint("`rd fetch` takes all of a store"));
    }
    let pulled = pull_store(store, wanted, args.force)?;
    if args.quiet {
        println!("{}", pulled.commit);
    }
    say(args, || format!("Commit: {}", pulled.commit));
    say(args, || format!("Status: {} for {}", status(pulled.outcome), pulled.name));
    Ok(())
}

fn from_registry(args: &Args, store: &Store, wanted: &Wanted, platform: Option<&Platform>) -> Result<(), Failure> {
    let remote = args.access.open(wanted)?;
    for wanted in &each(args, wanted, &remote)? {
        let reference = &wanted.reference;
        say(args, || format!("{}: Pulling from {}", reference.target(), reference.repository()));
        let how = How { platform, force: args.force, listener: Progress::new(args.quiet).listener() };
        let pulled = pull(store, &remote, wanted, &how)?;
        let Some((digest, manifest)) = pulled.digests else { continue };
        if args.referrers {
            bring_referrers(args, store, &remote, &pulled.name, &[manifest, digest])?;
        }
        if args.quiet {
            println!("{digest}");
        }
        say(args, || format!("Digest: {digest}"));
        say(args, || format!("Status: {} for {}", status(pulled.outcome), pulled.name));
        say(args, || format!("{}/{}:{}", pulled.name.registry(), pulled.name.repository(), pulled.name.tag()));
    }
    Ok(())
}

/// docker's words, and one for what docker doesn't know.
fn status(outcome: Pull) -> &'static str {
    match outcome {
        Pull::UpToDate => "Image is up to date",
        Pull::Ahead => "Image is ahead of its registry's",
        _ => "Downloaded newer image",
    }
}

/// Bring what refers to the image, and to the index that it is in.
fn bring_referrers(
    args: &Args,
    store: &Store,
    remote: &Remote,
    name: &ImageName,
    subjects: &[Digest; 2],
) -> Result<(), Failure> {
    let _hold = store.hold()?;
    let distinct = if subjects[0] == subjects[1] { &subjects[..1] } else { &subjects[..] };
    for subject in distinct {
        for referrer in pull_referrers(store, remote, name, subject)? {
            say(args, || format!("Referrer: {referrer}"));
        }
    }
    Ok(())
}

/// The images that the command line means.
fn each(args: &Args, wanted: &Wanted, remote: &Remote) -> Result<Vec<Wanted>, Failure> {
    let last = args.image.rsplit_once('/').map_or(args.image.as_str(), |(_, last)| last);
    let has_tag = last.contains([':', '@']);
    if args.all_tags {
        if has_tag {
            return Err(Failure::new("tag can't be used with --all-tags/-a"));
        }
        return remote.tags()?.iter().map(|tag| wanted.with_tag(tag)).collect();
    }
    if !has_tag {
        say(args, || "Using default tag: latest".into());
    }
    Ok(vec![Wanted { reference: wanted.reference.clone(), target: wanted.target.clone() }])
}

fn say(args: &Args, line: impl FnOnce() -> String) {
    if !args.quiet {
        println!("{}", line());
    }
}
