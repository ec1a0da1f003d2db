//! `rd pull`

use std::process::ExitCode;

use plumbing::Store;
use plumbing::archive::Platform;
use porcelain::registry::{Reference, Remote, pull_referrers};

use crate::cli::Globals;
use crate::output::progress::Progress;
use crate::registries::{Access, Pulled, pull};
use crate::report::Failure;

/// Pull an image from its registry
///
/// A name without a registry is docker.io's. Layers whose files are in the store aren't fetched; the others come at the same
/// time, and are read while they come. Every digest is checked before the name moves. A pull that was broken off goes on at the
/// byte where it was.
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
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
    /// Pull all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Take the image for this platform, where there are several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
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
    let reference = Reference::parse(&args.image)?;
    let remote = args.access.open(&reference)?;
    let store = globals.store()?;
    let references = wanted(&args, &reference, &remote)?;
    for reference in &references {
        say(&args, || format!("{}: Pulling from {}", reference.target(), reference.repository()));
        let listener = Progress::new(args.quiet).listener();
        let pulled = pull(&store, &remote, reference, platform.as_ref(), &listener)?;
        if args.referrers {
            bring_referrers(&args, &store, &remote, &pulled)?;
        }
        if args.quiet {
            println!("{}", pulled.digest);
        }
        say(&args, || format!("Digest: {}", pulled.digest));
        let status = if pulled.is_same { "Image is up to date" } else { "Downloaded newer image" };
        say(&args, || format!("Status: {status} for {}", pulled.name));
        say(&args, || format!("{}/{}:{}", pulled.name.registry(), pulled.name.repository(), pulled.name.tag()));
    }
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

/// Bring what refers to the image, and to the index that it is in.
fn bring_referrers(args: &Args, store: &Store, remote: &Remote, pulled: &Pulled) -> Result<(), Failure> {
    let _hold = store.hold()?;
    let mut subjects = vec![pulled.manifest, pulled.digest];
    subjects.dedup();
    for subject in subjects {
        for referrer in pull_referrers(store, remote, &pulled.name, &subject)? {
            say(args, || format!("Referrer: {referrer}"));
        }
    }
    Ok(())
}

/// The images that the command line means.
fn wanted(args: &Args, reference: &Reference, remote: &porcelain::registry::Remote) -> Result<Vec<Reference>, Failure> {
    if args.all_tags {
        if reference.has_tag() || reference.digest().is_some() {
            return Err(Failure::new("tag can't be used with --all-tags/-a"));
        }
        return Ok(remote.tags()?.iter().map(|tag| reference.with_tag(tag)).collect::<Result<_, _>>()?);
    }
    if !reference.has_tag() && reference.digest().is_none() {
        say(args, || "Using default tag: latest".into());
    }
    Ok(vec![reference.clone()])
}

fn say(args: &Args, line: impl FnOnce() -> String) {
    if !args.quiet {
        println!("{}", line());
    }
}
