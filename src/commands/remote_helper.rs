//! `rd remote-helper`: git's side of `rd::NAME` addresses (gitremote-helpers(7)).

use std::io::{BufRead, Write};
use std::process::ExitCode;

use plumbing::upload_pack::{self, Protocol};
use plumbing::view::{Scope, View};
use plumbing::{Error, ImageName, Store};

use crate::cli::Globals;
use crate::report::Failure;

/// Serve git's fetches from and pushes to images
///
/// `git-remote-rd` starts this, which git starts for addresses like `rd::debian:12`. A clone has a branch for each tag and the
/// image's files as they are: `git clone rd::debian:12 files`.
#[derive(clap::Args)]
pub struct Args {
    /// What the repository that git works in calls the remote
    remote: String,
    /// `NAME` or `NAME:TAG`
    address: String,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let scope = scope(&args.address)?;
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        match line.trim_end_matches('\n') {
            "" => return Ok(ExitCode::SUCCESS),
            "capabilities" => say("connect\n")?,
            "connect git-upload-pack" => return fetch(&Store::open(globals.store_dir())?, scope, input),
            "connect git-receive-pack" => {
                let store = Store::open_or_create(globals.store_dir())?;
                say("")?;
                return super::receive_pack::serve(&View::new(&store, scope), input);
            }
            option if option.starts_with("option ") => say("unsupported")?,
            connect if connect.starts_with("connect ") => say("fallback")?,
            other => return Err(Failure::new(format!("git asks for '{other}', which rd doesn't know"))),
        }
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// `NAME` or `NAME:TAG`, also as `rd://NAME`.
fn scope(address: &str) -> Result<Scope, Failure> {
    let address = address.strip_prefix("rd://").unwrap_or(address);
    let name = ImageName::parse(address)?;
    let has_tag = address.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let tag = has_tag.then(|| name.tag().to_owned());
    Ok(Scope::Repository { name, tag })
}

fn fetch(store: &Store, scope: Scope, input: impl BufRead) -> Result<ExitCode, Failure> {
    let view = View::new(store, scope.clone());
    if view.refs(|_| true)?.is_empty()
        && let Scope::Repository { name, tag } = scope
    {
        let name = if tag.is_some() { name.to_string() } else { name.familiar_repository() };
        return Err(Error::NotFound { what: "image", name }.into());
    }
    say("")?;
    upload_pack::serve(&view, Protocol::V2, input, std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_repository_or_one_image() {
        for (address, repository, want) in [
            ("debian", "debian", None),
            ("debian:12", "debian", Some("12")),
            ("rd://localhost:5000/a/b", "localhost:5000/a/b", None),
            ("localhost:5000/a/b:x", "localhost:5000/a/b", Some("x")),
        ] {
            let Ok(Scope::Repository { name, tag }) = scope(address) else { panic!("{address}") };
            assert_eq!((name.familiar_repository().as_str(), tag.as_deref()), (repository, want), "{address}");
        }
        assert!(scope("/some/path").is_err());
    }
}
