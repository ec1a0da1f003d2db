//! `rd system df`

use std::process::ExitCode;

use plumbing::{ImageName, Store};
use porcelain::container::{Containers, State};
use porcelain::housekeeping::{prune, usage};

use crate::cli::Globals;
use crate::output::table::{self, Listing, Row, Style};
use crate::output::{SHORT, age, emit, size};
use crate::report::Failure;

/// Show what takes the room of the store
///
/// SIZE is what is on the disk: of images all contents and objects, each once however many images share it. RECLAIMABLE
/// is what `rd system prune -a` would free; `rd gc` frees what no image has any more.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// Every image and container with what it takes
    #[arg(short, long, conflicts_with = "format")]
    verbose: bool,
    /// Another form: `table TEMPLATE`, `json` (an object a line) or a TEMPLATE of Go's text/template
    ///
    /// Fields: .Type .TotalCount .Active .Size .Reclaimable
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

const SUMMARY: Listing = Listing {
    headers: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    columns: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
    quiet: "Type",
};

const IMAGES: Listing = Listing {
    headers: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("Size", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("Containers", "CONTAINERS"),
    ],
    columns: &["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"],
    quiet: "ID",
};

const CONTAINERS: Listing = Listing {
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Size", "SIZE"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("Names", "NAMES"),
    ],
    columns: &["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"],
    quiet: "ID",
};

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    if args.verbose {
        emit(&verbose(&store)?);
        return Ok(ExitCode::SUCCESS);
    }
    let found = usage::usage(&store)?;
    let kinds = [
        ("Images", found.images),
        ("Containers", found.containers),
        ("Local Volumes", found.volumes),
        ("Caches", found.caches),
    ];
    let rows: Vec<Row> = kinds.iter().map(|(kind, share)| summary(kind, share)).collect();
    emit(&SUMMARY.render(&Style { format: args.format.as_deref(), quiet: false }, &rows)?);
    Ok(ExitCode::SUCCESS)
}

fn summary(kind: &str, share: &usage::Share) -> Row {
    let percent = (share.reclaimable * 100).checked_div(share.size);
    let reclaimable = match percent {
        Some(percent) => format!("{} ({percent}%)", size::decimal(share.reclaimable)),
        None => size::decimal(share.reclaimable),
    };
    table::row([
        ("Type", kind.to_owned()),
        ("TotalCount", share.total.to_string()),
        ("Active", share.active.to_string()),
        ("Size", size::decimal(share.size)),
        ("Reclaimable", reclaimable),
    ])
}

fn verbose(store: &Store) -> Result<String, Failure> {
    let style = Style::default();
    let images: Vec<Row> = usage::images(store)?.iter().flat_map(image_rows).collect();
    let containers = Containers::open(store.dir())?.list()?;
    let containers = containers.iter().map(|(container, state)| container_row(container, state));
    let containers = containers.collect::<Result<Vec<Row>, Failure>>()?;
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}",
        IMAGES.render(&style, &images)?,
        CONTAINERS.render(&style, &containers)?
    ))
}

fn image_rows(found: &usage::ImageUse) -> Vec<Row> {
    let image = &found.image;
    let row = |name: &ImageName| {
        table::row([
            ("Repository", name.familiar_repository()),
            ("Tag", name.tag().to_owned()),
            ("ID", image.id.to_hex_with_len(SHORT).to_string()),
            ("CreatedSince", age::ago(image.fact.created)),
            ("Size", size::decimal(image.fact.size)),
            ("SharedSize", size::decimal(found.shared)),
            ("UniqueSize", size::decimal(found.unique)),
            ("Containers", found.containers.to_string()),
        ])
    };
    image.names.iter().map(row).collect()
}

fn container_row(container: &porcelain::container::Container, state: &State) -> Result<Row, Failure> {
    let config = &container.config;
    Ok(table::row([
        ("ID", config.id.short().to_owned()),
        ("Image", config.image.clone()),
        ("Command", super::super::ps::command(&state.command)),
        ("LocalVolumes", "0".into()),
        ("Size", size::decimal(prune::container_size(container)?)),
        ("RunningFor", age::ago(config.created.as_second())),
        ("Status", super::super::ps::status(state)),
        ("Names", config.name.clone()),
    ]))
}
