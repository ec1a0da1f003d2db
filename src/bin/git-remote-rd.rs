//! `git-remote-rd`: what git starts for addresses like `rd::debian:12`. It hands over to `rd`, which lies beside it.

#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Exit status when rd can't be started.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let rd = beside().unwrap_or_else(|| "rd".into());
    let error = Command::new(&rd).arg("remote-helper").args(std::env::args_os().skip(1)).exec();
    eprintln!("error: can't start '{}'\ncaused by: {error}", rd.display());
    ExitCode::from(FAILED)
}

/// The rd that was installed with this program; `None` where only PATH can tell.
fn beside() -> Option<PathBuf> {
    let rd = std::env::current_exe().ok()?.with_file_name("rd");
    rd.is_file().then_some(rd)
}
