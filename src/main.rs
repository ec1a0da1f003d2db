//! rd: git for containers. Words in, words out; the work is done in `porcelain` and `plumbing`.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod completion;
mod git;
mod output;
mod registries;
mod report;
mod revisions;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    output::end_when_output_fails();
    completion::answer();
    let cli = match cli::Cli::try_parse_from(cli::arguments()) {
        Ok(cli) => cli,
        Err(error) => return cli::misused(&error),
    };
    output::set_color(cli.globals.color);
    let store = cli.globals.store_dir();
    match cli.run() {
        Ok(code) => code,
        Err(failure) => report::print_with(&failure, |name| similar_names(store, name)),
    }
}

/// Names of images and containers that are nearly `name`; none where there is no store.
fn similar_names(store: std::path::PathBuf, name: &str) -> Vec<String> {
    let store = plumbing::Store::open(store);
    store.map(|store| plumbing::revision::similar(&store, name)).unwrap_or_default()
}
