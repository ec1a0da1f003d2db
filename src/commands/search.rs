//! `rd search`

use std::collections::BTreeMap;
use std::process::ExitCode;

use plumbing::{ImageName, Store, Tracking};
use porcelain::registry::{Found, Patience, Reference, Remote, search};

use crate::cli::Globals;
use crate::output::emit;
use crate::output::table::{self, Listing, Row, Style};
use crate::registries::Access;
use crate::report::Failure;

/// Search for images: at docker.io, at another registry, and here
///
/// A TERM that begins with a registry's host (quay.io/app, localhost:5000/) is looked for in that registry's list of repositories,
/// any other in docker.io's search. Images that are here, and those that were seen at remotes, come first; their names have
/// to hold TERM.
///
/// Examples: `rd search -f is-official=true debian`; `rd search localhost:5000/`; `rd search --list-tags debian`.
///
/// Exit status: 0 done; 2 failed: where a registry can't be asked, what is known here is printed all the same.
#[derive(clap::Args)]
pub struct Args {
    /// What to look for; with --list-tags a repository
    #[arg(value_name = "TERM")]
    term: String,
    /// Print at most this many of a registry's
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
    /// Only those for which it holds: is-official=BOOL, stars=N (at least), local=BOOL
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_filter)]
    filter: Vec<Filter>,
    /// List the tags of the repository TERM
    #[arg(long)]
    list_tags: bool,
    /// Whole descriptions
    #[arg(long)]
    no_trunc: bool,
    /// Another form: `table`, `table TEMPLATE`, `json` (an object a line) or a TEMPLATE of Go's text/template
    ///
    /// Fields: .Name .Description .StarCount .IsOfficial .Place; with --list-tags .Name .Tag
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    #[command(flatten)]
    access: Access,
}

/// What a repository must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Official(bool),
    Stars(u64),
    Local(bool),
}

const LISTING: Listing = Listing {
    headers: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
        ("Place", "PLACE"),
    ],
    columns: &["Name", "Description", "StarCount", "IsOfficial", "Place"],
    quiet: "Name",
};

const TAGS: Listing = Listing { headers: &[("Name", "NAME"), ("Tag", "TAG")], columns: &["Name", "Tag"], quiet: "Tag" };

/// The width to which docker cuts descriptions.
const WIDTH: usize = 45;

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let style = Style { format: args.format.as_deref(), quiet: false };
    if args.list_tags {
        emit(&TAGS.render(&style, &tags(&args)?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<Row> = here(&globals.store()?, &args.term)?
        .into_iter()
        .filter(|_| args.filter.iter().all(|filter| *filter == Filter::Local(true)))
        .map(|(name, place)| row(&Found { name, ..Found::default() }, &place, &args))
        .collect();
    let wants_registry = !args.filter.contains(&Filter::Local(true));
    let found = match wants_registry {
        true => search(&args.term, usize::from(args.limit), &args.access.settings()?),
        false => Ok(Vec::new()),
    };
    let (found, failure) = found.map_or_else(|error| (Vec::new(), Some(error)), |found| (found, None));
    let fits = |found: &&Found| {
        args.filter.iter().all(|filter| match filter {
            Filter::Official(is) => found.official == *is,
            Filter::Stars(least) => found.stars >= *least,
            Filter::Local(is) => !is,
        })
    };
    rows.extend(found.iter().filter(fits).map(|found| row(found, "registry", &args)));
    emit(&LISTING.render(&style, &rows)?);
    failure.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

/// Repositories whose images are here or were seen at a remote, and where; each once.
fn here(store: &Store, term: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut found = BTreeMap::new();
    for (name, _) in store.list_refs("refs/")? {
        if let Some(image) = ImageName::from_ref(&name) {
            found.insert(image.familiar_repository(), "local");
        } else if let Some(tracking) = Tracking::from_ref(&name) {
            // What is here as well is no news.
            found.entry(format!("{}/{}", tracking.remote(), tracking.repository())).or_insert("remote-tracking");
        }
    }
    found.retain(|name, _| name.contains(term));
    Ok(found.into_iter().map(|(name, place)| (name, place.to_owned())).collect())
}

fn row(found: &Found, place: &str, args: &Args) -> Row {
    let description = found.description.replace(['\t', '\n', '\r'], " ");
    let cut = !args.no_trunc && description.chars().count() > WIDTH;
    let short = || description.chars().take(WIDTH - 1).chain(['…']).collect();
    table::row([
        ("Name", found.name.clone()),
        ("Description", if cut { short() } else { description.clone() }),
        ("StarCount", found.stars.to_string()),
        ("IsOfficial", if found.official { "[OK]".into() } else { String::new() }),
        ("Place", place.to_owned()),
    ])
}

fn tags(args: &Args) -> Result<Vec<Row>, Failure> {
    let reference = Reference::parse(&args.term)?;
    let remote = Remote::open(&reference, &args.access.settings()?, Patience::default())?;
    let tags = remote.tags()?.into_iter().take(usize::from(args.limit));
    Ok(tags.map(|tag| table::row([("Name", args.term.clone()), ("Tag", tag)])).collect())
}

fn parse_filter(text: &str) -> Result<Filter, String> {
    let (key, value) = text.split_once('=').ok_or("it is KEY=VALUE")?;
    let flag = || value.parse::<bool>().map_err(|_| format!("'{value}' is neither true nor false"));
    match key {
        "is-official" => Ok(Filter::Official(flag()?)),
        "local" => Ok(Filter::Local(flag()?)),
        "stars" => value.parse().map(Filter::Stars).map_err(|_| format!("'{value}' is no number")),
        _ => Err("the keys are is-official, stars and local".into()),
    }
}
