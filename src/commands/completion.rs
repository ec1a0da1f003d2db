//! `rd completion`

use std::process::ExitCode;

use clap::ValueEnum;
use clap_complete::env::Shells;

use crate::cli::Globals;
use crate::completion::VARIABLE;
use crate::report::Failure;

/// Print a script that makes a shell complete rd's commands, options, images and containers
///
/// Examples:
///   source <(rd completion bash)                                      in ~/.bashrc
///   source <(rd completion zsh)                                       in ~/.zshrc
///   rd completion fish > ~/.config/fish/completions/rd.fish
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        }
    }
}

/// bash takes a colon for the end of a word, and so would complete no tag.
const BASH_COLON: &str = "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}\n";

pub fn run(args: Args, _globals: &Globals) -> Result<ExitCode, Failure> {
    let shells = Shells::builtins();
    let completer = shells.completer(args.shell.name()).expect("because the crate knows these shells");
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "rd", "rd", "rd", &mut script)?;
    print!("{}", String::from_utf8_lossy(&script));
    if args.shell == Shell::Bash {
        print!("{BASH_COLON}");
    }
    Ok(ExitCode::SUCCESS)
}
