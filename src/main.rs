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

fn main() -> ExitCode {
    output::end_when_output_fails();
    completion::answer();
    cli::run()
}
