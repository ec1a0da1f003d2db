//! `rd inspect`

use std::process::ExitCode;

use clap::ValueEnum;
use plumbing::Store;
use plumbing::revision::similar;
use porcelain::container::{self, Containers};
use porcelain::image::{describe, find_commit};
use serde_json::Value;

use crate::cli::Globals;
use crate::output::template::Template;
use crate::output::{emit, table};
use crate::report::{self, Failure};

/// Show all that is known of images and containers as JSON
///
/// One array with docker's fields, in the order of the names; what only rd has is under `Rd`. With --format each is put
/// through the template, which is one of Go's text/template with docker's functions (json, join, split, upper, lower,
/// title, pad, truncate).
///
/// Examples:
///   rd inspect -f '{{.Config.Env}}' debian:12
///   rd inspect -f '{{json .Config.Labels}}' debian:12
///   rd inspect -f '{{range .RootFS.Layers}}{{println .}}{{end}}' debian:12
///
/// Exit status: 0 done; 1 one of the names is neither image nor container; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Images, containers or any revisions
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// `json` (everything on one line) or a TEMPLATE
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only things of this kind
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<Kind>,
    /// Also show the sizes of containers (SizeRw, SizeRootFs)
    #[arg(short, long)]
    size: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Image,
    Container,
}

/// Exit status where there is no such thing, which scripts ask for.
const NO: u8 = 1;

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let template = match args.format.as_deref() {
        None | Some("" | "json") => None,
        Some(format) => Some(Template::parse(&table::unescape(format))?),
    };
    let store = globals.store()?;
    let mut found = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for name in &args.names {
        match describe_one(&store, name, &args) {
            Ok(value) => found.push(value),
            Err(error) => code = report::print_with(&error, |name| similar(&store, name)),
        }
    }
    match &template {
        Some(template) => {
            for value in &found {
                emit(&(template.render(value)? + "\n"));
            }
        }
        None if args.format.as_deref() == Some("json") => emit(&(Value::Array(found).to_string() + "\n")),
        None => emit(&(pretty(&Value::Array(found)) + "\n")),
    }
    Ok(code)
}

/// JSON with docker's indentation.
fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(value, &mut serializer).expect("because JSON can be written to memory");
    String::from_utf8(bytes).expect("because JSON is text")
}

fn describe_one(store: &Store, name: &str, args: &Args) -> Result<Value, Failure> {
    if args.kind != Some(Kind::Image) {
        match Containers::open(store.dir())?.find(name) {
            Ok(container) => return Ok(container::describe::describe(store, &container, args.size)?),
            Err(porcelain::Error::NotFound { .. }) if args.kind.is_none() => {}
            Err(error) => return Err(not_found(error, args.kind)),
        }
    }
    let id = find_commit(store, name).map_err(|error| not_found(error, args.kind))?;
    Ok(describe::describe(store, &id)?)
}

fn not_found(error: porcelain::Error, kind: Option<Kind>) -> Failure {
    match error {
        porcelain::Error::NotFound { name, .. } | porcelain::Error::Store(plumbing::Error::NotFound { name, .. }) => {
            let what = match kind {
                None => "image or container",
                Some(Kind::Image) => "image",
                Some(Kind::Container) => "container",
            };
            let failure: Failure = plumbing::Error::NotFound { what, name }.into();
            failure.hint("`rd images` lists images, `rd ps -a` containers").status(NO)
        }
        error => error.into(),
    }
}
