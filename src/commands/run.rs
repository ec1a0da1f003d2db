//! `rd run`

use std::io::IsTerminal;
use std::process::ExitCode;

use porcelain::container::Io;

use super::create::{Options, RD_FAILED, make};
use crate::cli::Globals;
use crate::report::Failure;

/// Run a command in a new container
///
/// The container sees the image's files and keeps its changes, so that `rd commit` can make an image of them. Signals
/// are passed on to it. Without -t its streams are this command's own, and its input is empty without -i.
///
/// Examples:
///   rd run --rm debian cat /etc/os-release
///   rd run -it --name work -v "$PWD:/src" -w /src debian bash
///   rd run --rm -u www-data --read-only --tmpfs /run debian id
///
/// Exit status: the command's own; 128+n where signal n ended it; 125 where rd failed; 126 where the command can't be
/// invoked; 127 where it isn't found.
#[derive(clap::Args)]
#[command(verbatim_doc_comment, disable_help_flag = true, override_usage = "rd run [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// Remove the container when it has ended
    #[arg(long)]
    rm: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    attached(&args, globals).map_err(|failure| failure.or_status(RD_FAILED))
}

fn attached(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let options = &args.options;
    check_terminal(options.interactive, options.tty)?;
    let store = globals.store()?;
    // Nothing of its root may be packed away before it runs.
    let hold = store.hold()?;
    let made = make(options, args.rm, &store)?;
    let launch = made.launch(Io::Attached { stdin: options.interactive });
    let attached = made.containers.start(&made.container, made.lock, launch)?;
    drop((hold, store));
    wait(attached, globals)
}

/// Keys can't be read from what is no terminal.
pub fn check_terminal(interactive: bool, tty: bool) -> Result<(), Failure> {
    if interactive && tty && !std::io::stdin().is_terminal() {
        return Err(Failure::new("the input device is not a TTY").hint("leave -t out to pass the input on as it is"));
    }
    Ok(())
}

/// Wait for a container's end; its exit status.
pub fn wait(attached: porcelain::container::Attached, globals: &Globals) -> Result<ExitCode, Failure> {
    if globals.debug {
        for note in attached.notes() {
            eprintln!("debug: {note}");
        }
    }
    let code = attached.wait()?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
