//! `rd version`

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::Globals;
use crate::output::emit;
use crate::output::table::unescape;
use crate::output::template::Template;
use crate::report::Failure;

/// The version of libcontainer that is built in; a test holds it against Cargo.lock.
pub const LIBCONTAINER: &str = "0.7.0";
/// The version of gix that is built in.
pub const GIX: &str = "0.90.0";

/// Show the versions of rd and of what is built into it
///
/// Without a daemon there is one version: templates find the same under .Client and .Server.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// `json` or a TEMPLATE of Go's text/template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

pub fn run(args: Args, _globals: &Globals) -> Result<ExitCode, Failure> {
    let version = version();
    match args.format.as_deref() {
        None | Some("") => print!("{}", layout(&version["Client"])),
        Some("json") => println!("{version}"),
        Some(format) => emit(&(Template::parse(&unescape(format))?.render(&version)? + "\n")),
    }
    Ok(ExitCode::SUCCESS)
}

/// docker's fields, as far as they mean anything here.
fn version() -> Value {
    let this = json!({
        "Platform": {"Name": "rd"},
        "Version": env!("CARGO_PKG_VERSION"),
        "StoreFormat": plumbing::store::FORMAT,
        "Os": std::env::consts::OS,
        "Arch": plumbing::config::host_architecture(),
        "Components": [{"Name": "libcontainer", "Version": LIBCONTAINER}, {"Name": "gix", "Version": GIX}],
    });
    json!({"Client": this, "Server": this})
}

fn layout(version: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = vec![
        ("Version".to_owned(), text(&version["Version"])),
        ("Store format".to_owned(), text(&version["StoreFormat"])),
    ];
    let components = version["Components"].as_array().into_iter().flatten();
    lines.extend(components.map(|component| (text(&component["Name"]), text(&component["Version"]))));
    lines.push(("OS/Arch".to_owned(), format!("{}/{}", text(&version["Os"]), text(&version["Arch"]))));
    let mut shown = String::from("rd:\n");
    for (label, value) in lines {
        shown += &format!(" {:<18} {value}\n", label + ":");
    }
    shown
}
