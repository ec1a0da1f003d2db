//! `rd login`

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use porcelain::registry::{Credential, Credentials, Remote};

use crate::cli::Globals;
use crate::registries::{Access, registry_of};
use crate::report::Failure;

/// Log in to a registry
///
/// Asks the registry whether it knows name and password, and keeps them where docker does: in $DOCKER_CONFIG/config.json, else
/// ~/.docker/config.json, or with the credential helper that this file names. Who logged in with docker is logged in here.
///
/// Without SERVER it is docker.io. What isn't given is asked for on a terminal.
///
/// Examples: `rd login`; `rd login -u me quay.io`; `rd login -u me --password-stdin localhost:5000 <password`.
///
/// Exit status: 0 done; 2 failed, or the registry doesn't know you.
#[derive(clap::Args)]
pub struct Args {
    /// The registry: a host with an optional port [default: docker.io]
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// The name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The password; others can see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    access: Access,
}

pub fn run(args: Args, _globals: &Globals) -> Result<ExitCode, Failure> {
    let registry = registry_of(args.server.as_deref())?;
    let mut credentials = Credentials::read()?;
    let credential = credential(&args, &registry, &credentials)?;
    Remote::login(&registry, &args.access.settings()?, credential.clone())?.check_login()?;
    let place = credentials.store(&registry, &credential)?;
    if place.starts_with('/') {
        eprintln!(
            "warning: your password is kept unencrypted in '{place}'; a credential helper (credsStore) would hide it"
        );
    }
    println!("Login Succeeded");
    Ok(ExitCode::SUCCESS)
}

/// Who the user says to be.
fn credential(args: &Args, registry: &str, credentials: &Credentials) -> Result<Credential, Failure> {
    let known = || match credentials.get(registry) {
        Ok(Some(Credential::Password { user, .. })) => Some(user),
        _ => None,
    };
    let user = match &args.username {
        Some(user) => user.clone(),
        None if args.password_stdin => return Err(Failure::new("Must provide --username with --password-stdin")),
        None => ask_name(known())?,
    };
    let password = match &args.password {
        Some(password) => {
            eprintln!("warning: others can see a password on the command line; --password-stdin hides it");
            password.clone()
        }
        None if args.password_stdin => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => ask_password()?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(Failure::new("a name and a password are needed"));
    }
    Ok(Credential::Password { user, password })
}

fn need_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    let failure = Failure::new("can't ask for name and password: standard input is no terminal");
    Err(failure.hint("give the name with -u and the password with --password-stdin"))
}

fn ask_name(known: Option<String>) -> Result<String, Failure> {
    need_terminal()?;
    match &known {
        Some(name) => eprint!("Username ({name}): "),
        None => eprint!("Username: "),
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let name = line.trim().to_owned();
    Ok(if name.is_empty() { known.unwrap_or_default() } else { name })
}

/// Read a line that the terminal doesn't show.
fn ask_password() -> Result<String, Failure> {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    need_terminal()?;
    eprint!("Password: ");
    std::io::stderr().flush()?;
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(std::io::Error::from)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent).map_err(std::io::Error::from)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).map_err(std::io::Error::from)?;
    eprintln!();
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
