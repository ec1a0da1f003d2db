//! rd: git for containers. Words in, words out; the work is done in `porcelain` and `plumbing`.

mod cli;
mod commands;
mod completion;
mod output;
mod report;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    output::die_quietly_on_a_broken_pipe();
    completion::answer();
    let cli = cli::Cli::parse();
    output::set_color(cli.globals.color);
    match cli.run() {
        Ok(code) => code,
        Err(failure) => report::print(&failure),
    }
}
