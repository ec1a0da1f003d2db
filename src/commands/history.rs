//! `rd history`

use std::process::ExitCode;

use porcelain::image::find_commit;
use porcelain::image::history::{Step, steps};

use crate::cli::Globals;
use crate::output::table::{self, Listing, Row, Style};
use crate::output::{age, emit, short, size};
use crate::report::Failure;

/// Show how an image was made
///
/// One line a commit, the newest first: when it was made, by which command, and the size of the files that it added or
/// changed. Every IMAGE is an image that can be run, tagged and compared. `rd log` shows the same as git does.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// An image, a container or any revision
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Ages and sizes for people; `-H=false` for times and bytes
    #[arg(
        short = 'H', long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_value_t = true, default_missing_value = "true"
    )]
    human: bool,
    /// Whole ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Another form: `table`, `table TEMPLATE`, `json` (an object a line) or a TEMPLATE of Go's text/template
    ///
    /// Fields: .ID .CreatedSince .CreatedAt .CreatedBy .Size .Comment
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

const LISTING: Listing = Listing {
    headers: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    columns: &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
    quiet: "ID",
};

/// The width to which docker cuts commands.
const COMMAND_WIDTH: usize = 45;

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let id = find_commit(&store, &args.image)?;
    let rows: Vec<Row> = steps(&store, &id)?.iter().map(|step| row(step, &args)).collect();
    emit(&LISTING.render(&Style { format: args.format.as_deref(), quiet: args.quiet }, &rows)?);
    Ok(ExitCode::SUCCESS)
}

fn row(step: &Step, args: &Args) -> Row {
    let id = step.id.to_string();
    let created_at = age::rfc3339_local(step.created);
    let created_by = step.created_by.replace(['\t', '\n'], " ");
    table::row([
        ("ID", if args.no_trunc { format!("sha256:{id}") } else { short(&id).to_owned() }),
        ("CreatedSince", if args.human { age::ago(step.created) } else { created_at.clone() }),
        ("CreatedAt", created_at),
        ("CreatedBy", if args.no_trunc { created_by } else { ellipsis(&created_by, COMMAND_WIDTH) }),
        ("Size", if args.human { size::decimal(step.size) } else { step.size.to_string() }),
        ("Comment", step.comment.clone()),
    ])
}

/// At most `width` characters, the last of them `…` where some were cut.
fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_cut_at_characters() {
        assert_eq!(ellipsis("äöü", 3), "äöü");
        assert_eq!(ellipsis("äöüß", 3), "äö…");
    }
}
