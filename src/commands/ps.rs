//! `rd ps`

use std::process::ExitCode;

use porcelain::container::{Container, Containers, Network, State, Status};
use serde_json::json;

use crate::cli::Globals;
use crate::output::table::{self, Listing, Row, Style};
use crate::output::template::LABELS;
use crate::output::{age, emit};
use crate::report::Failure;

/// List containers
///
/// Those that run, the newest first; with -a all.
///
/// Examples:
///   rd ps -aq -f status=exited                        ids of containers that have ended
///   rd ps --format 'table {{.Names}}\t{{.Status}}'
///
/// Exit status: 0, also where nothing is found; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Also those that don't run
    #[arg(short, long)]
    all: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Whole ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// Only the newest container, running or not
    #[arg(short, long)]
    latest: bool,
    /// Only the N newest containers, running or not
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// Only containers for which it holds: name=PART, id=START, status=WORD, label=KEY[=VALUE], exited=CODE
    ///
    /// Filters of one kind are alternatives; all kinds must hold. A status shows containers that don't run as well.
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Another form: `table`, `table TEMPLATE`, `json` (an object a line) or a TEMPLATE of Go's text/template
    ///
    /// Fields: .ID .Image .Command .CreatedAt .RunningFor .Status .State .Ports .Names .Labels .Mounts .Networks
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

const LISTING: Listing = Listing {
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("State", "STATE"),
        ("Ports", "PORTS"),
        ("Names", "NAMES"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("Networks", "NETWORKS"),
    ],
    columns: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
    quiet: "ID",
};

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let containers = Containers::open(store.dir())?;
    let filters = args.filter.iter().map(|filter| Filter::parse(filter)).collect::<Result<Vec<_>, _>>()?;
    let with_status = filters.iter().any(|filter| matches!(filter, Filter::Status(_) | Filter::Exited(_)));
    let last = if args.latest { Some(1) } else { args.last };
    let all = args.all || with_status || last.is_some();
    let mut found = containers.list()?;
    found.retain(|(container, state)| (all || state.status.is_alive()) && hold(&filters, container, state));
    found.truncate(last.unwrap_or(usize::MAX));
    let rows: Vec<Row> = found.iter().map(|(container, state)| row(container, state, args.no_trunc)).collect();
    emit(&LISTING.render(&Style { format: args.format.as_deref(), quiet: args.quiet }, &rows)?);
    Ok(ExitCode::SUCCESS)
}

fn row(container: &Container, state: &State, whole: bool) -> Row {
    let config = &container.config;
    let created = config.created.as_second();
    let labels: Vec<String> = config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let binds = config.binds.iter().map(|bind| bind.source.display().to_string());
    let network = if config.network == Network::Host { "host" } else { "none" };
    let mut row = table::row([
        ("ID", if whole { config.id.to_string() } else { config.id.short().to_owned() }),
        ("Image", config.image.clone()),
        ("Command", quoted(&line(&state.command), whole)),
        ("CreatedAt", age::local(created)),
        ("RunningFor", age::ago(created)),
        ("Status", status(state)),
        ("State", state.status.as_str().to_owned()),
        ("Ports", String::new()),
        ("Names", config.name.clone()),
        ("Labels", labels.join(",")),
        ("Mounts", binds.collect::<Vec<_>>().join(",")),
        ("Networks", network.to_owned()),
    ]);
    row.insert(LABELS.into(), json!(config.labels));
    row
}

/// The words of a command line; arguments with spaces in quotes.
fn line(words: &[String]) -> String {
    let quoted = |(place, word): (usize, &String)| match place > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    words.iter().enumerate().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A container's command as the table shows it.
pub fn command(words: &[String]) -> String {
    quoted(&line(words), false)
}

/// The command in quotes, at most 20 characters of it.
fn quoted(line: &str, whole: bool) -> String {
    const WIDTH: usize = 20;
    let short: String = line.chars().take(WIDTH - 1).collect();
    let shown = if whole || line.chars().count() <= WIDTH { line.to_owned() } else { short + "…" };
    format!("\"{}\"", shown.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// docker's words: `Up 5 minutes`, `Exited (0) 2 hours ago`.
pub fn status(state: &State) -> String {
    let since = |time: Option<jiff::Timestamp>| time.map_or(0, |time| plumbing::commit::now() - time.as_second());
    match state.status {
        Status::Created => "Created".into(),
        Status::Running => format!("Up {}", age::duration(since(state.started_at))),
        Status::Paused => format!("Up {} (Paused)", age::duration(since(state.started_at))),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, age::duration(since(state.finished_at))),
        Status::Dead => "Dead".into(),
    }
}

/// One `--filter`.
enum Filter {
    Name(String),
    Id(String),
    Status(String),
    Label(String, Option<String>),
    Exited(i32),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Failure> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Failure::new(format!("invalid filter '{text}': it is not of the form KEY=VALUE")));
        };
        match key {
            "name" => Ok(Filter::Name(value.trim_start_matches('/').to_owned())),
            "id" => Ok(Filter::Id(value.to_owned())),
            "status" if ["created", "running", "paused", "exited", "dead"].contains(&value) => {
                Ok(Filter::Status(value.to_owned()))
            }
            "status" => Err(Failure::new(format!("invalid filter '{text}': no container has such a status"))
                .hint("there are created, running, paused, exited and dead")),
            "label" => {
                let (key, value) = value.split_once('=').map_or((value, None), |(key, value)| (key, Some(value)));
                Ok(Filter::Label(key.to_owned(), value.map(str::to_owned)))
            }
            "exited" => match value.parse() {
                Ok(code) => Ok(Filter::Exited(code)),
                Err(_) => Err(Failure::new(format!("invalid filter '{text}': an exit status is a number"))),
            },
            _ => {
                Err(Failure::new(format!("invalid filter '{text}'"))
                    .hint("there are name, id, status, label and exited"))
            }
        }
    }

    fn holds(&self, container: &Container, state: &State) -> bool {
        let config = &container.config;
        match self {
            Filter::Name(part) => config.name.contains(part.as_str()),
            Filter::Id(start) => config.id.as_str().starts_with(start.as_str()),
            Filter::Status(word) => state.status.as_str() == word,
            Filter::Label(key, value) => match (config.labels.get(key), value) {
                (Some(label), Some(value)) => label == value,
                (label, None) => label.is_some(),
                (None, Some(_)) => false,
            },
            Filter::Exited(code) => state.status == Status::Exited && state.exit_code == *code,
        }
    }
}

fn hold(filters: &[Filter], container: &Container, state: &State) -> bool {
    filters.iter().all(|filter| {
        // Labels must all hold; of the others one of the same kind is enough.
        let same = |other: &&Filter| std::mem::discriminant(*other) == std::mem::discriminant(filter);
        match filter {
            Filter::Label(..) => filter.holds(container, state),
            _ => filters.iter().filter(same).any(|filter| filter.holds(container, state)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut_as_dockers() {
        assert_eq!(quoted("sleep 5", false), "\"sleep 5\"");
        assert_eq!(quoted("docker-entrypoint.sh postgres", false), "\"docker-entrypoint.s…\"");
        assert_eq!(quoted("docker-entrypoint.sh postgres", true), "\"docker-entrypoint.sh postgres\"");
        assert_eq!(quoted("sh -c \"a\\b\nc\"", true), "\"sh -c \\\"a\\\\b\\nc\\\"\"");
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for bad in ["name", "status=asleep", "exited=x", "size=1"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
