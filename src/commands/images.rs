//! `rd images`

use std::collections::HashMap;
use std::process::ExitCode;

use plumbing::{Id, ImageName, Store, Tracking};
use porcelain::image::facts::Facts;
use porcelain::image::filter::Filter;
use porcelain::image::listing::{self, Listing as Remembered};
use porcelain::image::{self, Image};
use porcelain::remote::standing::{self, Standing};
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::output::table::{Aligned, Listing, Row, Style};
use crate::output::{SHORT, age, emit, short, size};
use crate::report::{self, Failure};

/// List images
///
/// The newest first. IMAGE ID is the beginning of the image's commit id, SIZE the sum of its files' sizes; images share
/// what they have in common, so that the store is smaller than their sum.
///
/// Examples:
///   rd images debian                      all tags of one repository
///   rd images 'team/*:v1*'                patterns: * ? [...]
///   rd images -f since=debian:12 -q       ids of what is newer than debian:12
///   rd images -v                          what is ahead of remotes and what is behind
///   rd images --format '{{.ID}} {{.Repository}}:{{.Tag}}'
///
/// Exit status: 0, also where nothing is found; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only names that match
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    /// Also show the commits that images are made of
    #[arg(short, long)]
    all: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Also show the digests of manifests
    #[arg(long)]
    digests: bool,
    /// Also show the same images at remotes, as they were seen last, and how many commits each side has that the other
    /// hasn't: `[origin/app:1: ahead 1, behind 2]`
    #[arg(short, long, conflicts_with = "digests")]
    verbose: bool,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
    /// Only images for which it holds: reference=PATTERN, label=KEY[=VALUE], before=IMAGE, since=IMAGE, dangling=BOOL
    ///
    /// dangling=true shows commits that an image name pointed at before it was moved, and that have no name now.
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Another form: `table`, `table TEMPLATE`, `json` (an object a line) or a TEMPLATE of Go's text/template
    ///
    /// Fields: .ID .Repository .Tag .Digest .CreatedSince .CreatedAt .Size .VirtualSize .SharedSize .UniqueSize .Containers
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One JSON array, with docker's fields, sizes in bytes and times in seconds
    #[arg(long, conflicts_with_all = ["format", "quiet"])]
    json: bool,
}

/// Docker's fields, and one of rd's own.
const HEADERS: &[(&str, &str)] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Containers", "CONTAINERS"),
    ("Remotes", "REMOTES"),
];

const PLAIN: Listing = Listing {
    headers: HEADERS.split_at(HEADERS.len() - 1).0,
    columns: &["Repository", "Tag", "ID", "CreatedSince", "Size"],
    quiet: "ID",
};

const WITH_DIGESTS: Listing = Listing {
    headers: PLAIN.headers,
    columns: &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"],
    quiet: "ID",
};

const WITH_REMOTES: Listing =
    Listing { headers: HEADERS, columns: &["Repository", "Tag", "ID", "CreatedSince", "Size", "Remotes"], quiet: "ID" };

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    if args.is_plain()
        && let Ok(listing) = Remembered::open(&store)
    {
        emit(&plain(&listing.rows(), &args));
        return Ok(ExitCode::SUCCESS);
    }
    let mut facts = Facts::open(&store);
    let mut filter = Filter::default();
    args.reference.iter().for_each(|pattern| filter.add_reference(pattern));
    for text in &args.filter {
        filter.add(&store, &mut facts, text)?;
    }
    let (named, unreadable) = image::list(&store, &mut facts)?;
    let images = select(&store, &mut facts, &filter, named, args.all)?;
    facts.save();
    show(&store, &images, &args)?;
    let mut code = ExitCode::SUCCESS;
    for (name, error) in unreadable {
        code = report::print(&Failure::new(format!("can't read the image '{name}'")).caused_by(error));
    }
    Ok(code)
}

impl Args {
    /// Whether all images are listed in the usual form: that is what is remembered.
    fn is_plain(&self) -> bool {
        let asks = self.all
            || self.verbose
            || self.digests
            || self.json
            || self.reference.is_some()
            || !self.filter.is_empty();
        !asks && self.format.is_none()
    }
}

/// The usual table, or the ids; written at once, since there may be ten thousand rows.
fn plain(rows: &[listing::Row<'_>], args: &Args) -> String {
    let prefix = if args.no_trunc { "sha256:" } else { "" };
    let id = |row: &listing::Row<'_>| if args.no_trunc { row.id.to_owned() } else { short(row.id).to_owned() };
    if args.quiet {
        return rows.iter().map(|row| format!("{prefix}{}\n", id(row))).collect();
    }
    let now = plumbing::commit::now();
    let mut sizes: HashMap<u64, String> = HashMap::new();
    let mut table = Aligned::new(PLAIN.columns.iter().map(|column| PLAIN.header(column)));
    for row in rows {
        let size = sizes.entry(row.size).or_insert_with(|| size::decimal(row.size));
        table.cell(|text| text.push_str(row.repository));
        table.cell(|text| text.push_str(row.tag));
        table.cell(|text| {
            text.push_str(prefix);
            text.push_str(if args.no_trunc { row.id } else { short(row.id) });
        });
        table.cell(|text| age::write_ago(text, row.created, now));
        table.cell(|text| text.push_str(size));
    }
    table.finish()
}

fn show(store: &Store, images: &[Image], args: &Args) -> Result<(), Failure> {
    if args.json {
        println!("{:#}", to_json(store, images)?);
        return Ok(());
    }
    let listing = match (args.digests, args.verbose) {
        (true, _) => &WITH_DIGESTS,
        (_, true) => &WITH_REMOTES,
        _ => &PLAIN,
    };
    let style = Style { format: args.format.as_deref(), quiet: args.quiet };
    let fields = listing.fields(&style);
    let remotes = if args.verbose { standing::all_tracked(store)? } else { Vec::new() };
    let mut all = Vec::new();
    for image in images {
        all.extend(rows(store, image, &fields, args.no_trunc, &remotes)?);
    }
    emit(&listing.render(&style, &all)?);
    Ok(())
}

/// The images that pass the filter, each with those of its names that do.
fn select(
    store: &Store,
    facts: &mut Facts<'_>,
    filter: &Filter,
    named: Vec<Image>,
    all: bool,
) -> Result<Vec<Image>, Failure> {
    let mut unnamed = Vec::new();
    if filter.shows_unnamed() && filter.dangling == Some(true) {
        unnamed = image::list_dangling(store, facts, &named)?;
    } else if filter.shows_unnamed() && all {
        unnamed = image::list_unnamed(store, facts, &named)?;
    }
    let mut selected = Vec::new();
    for mut image in named.into_iter().filter(|_| filter.dangling != Some(true)) {
        image.names.retain(|name| filter.shows_name(name));
        if !image.names.is_empty() && filter.shows(store, &image)? {
            selected.push(image);
        }
    }
    for image in unnamed {
        if filter.shows(store, &image)? {
            selected.push(image);
        }
    }
    selected.sort_by_key(|image| std::cmp::Reverse(image.fact.created));
    Ok(selected)
}

/// A row for each name; one with `<none>` for a commit without.
fn rows(store: &Store, image: &Image, fields: &[&str], whole: bool, remotes: &[Tracked]) -> Result<Vec<Row>, Failure> {
    let row = |name: Option<&ImageName>| {
        let mut row = Row::new();
        for field in fields {
            let text = match *field {
                "Remotes" => at_remotes(store, image, name, remotes)?,
                field => text(image, name, field, whole),
            };
            row.insert((*field).to_owned(), Value::String(text));
        }
        Ok(row)
    };
    if image.names.is_empty() {
        return row(None).map(|row| vec![row]);
    }
    image.names.iter().map(|name| row(Some(name))).collect()
}

/// What is known of an image of a remote, by the name of the local image.
type Tracked = (ImageName, Tracking, Id);

/// How an image stands to those of remotes that have its name.
fn at_remotes(store: &Store, image: &Image, name: Option<&ImageName>, remotes: &[Tracked]) -> Result<String, Failure> {
    let mut all = Vec::new();
    for (_, tracking, id) in remotes.iter().filter(|(local, ..)| Some(local) == name) {
        all.push(match Standing::between(store, image.id, *id)? {
            Standing { ahead: 0, behind: 0 } => format!("[{tracking}]"),
            standing => format!("[{tracking}: {}]", super::remote::words(&standing)),
        });
    }
    Ok(all.join(" "))
}

/// One field of a row.
fn text(image: &Image, name: Option<&ImageName>, field: &str, whole: bool) -> String {
    let none = || "<none>".to_owned();
    match field {
        "ID" if whole => format!("sha256:{}", image.id),
        "ID" => image.id.to_hex_with_len(SHORT).to_string(),
        "Repository" => name.map_or_else(none, ImageName::familiar_repository),
        "Tag" => name.map_or_else(none, |name| name.tag().to_owned()),
        "Digest" => image.fact.digest.map_or_else(none, |digest| digest.to_string()),
        "CreatedSince" => age::ago(image.fact.created),
        "CreatedAt" => age::local(image.fact.created),
        "Size" | "VirtualSize" => size::decimal(image.fact.size),
        // docker, too, works these out for `docker system df` alone.
        _ => "N/A".to_owned(),
    }
}

/// The answer of docker's `GET /images/json`.
fn to_json(store: &Store, images: &[Image]) -> Result<Value, Failure> {
    let one = |image: &Image| {
        let commit = store.read_commit(&image.id)?;
        let config = image::config(store, &image.id)?;
        let digests =
            image.fact.digest.iter().flat_map(|digest| {
                image.names.iter().map(move |name| format!("{}@{digest}", name.familiar_repository()))
            });
        Ok::<_, Failure>(json!({
            "Id": format!("sha256:{}", image.id),
            "ParentId": commit.parents.first().map(|parent| format!("sha256:{parent}")).unwrap_or_default(),
            "RepoTags": image.names.iter().map(ImageName::to_string).collect::<Vec<_>>(),
            "RepoDigests": digests.collect::<Vec<_>>(),
            "Created": image.fact.created,
            "Size": image.fact.size,
            "SharedSize": -1,
            "Labels": config.execution().labels().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "Containers": -1,
        }))
    };
    images.iter().map(one).collect()
}
