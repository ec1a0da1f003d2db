//! Containers on the real kernel: mounts, namespaces, cgroups, terminals and signals. Needs root.
//!
//! The binary is also what the tests run: `monitor` is the monitor of a container, and `front` plays `rd run`.

mod fixture;
mod run;

use std::os::fd::AsFd;
use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["monitor", ..] => {
            let orders = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            porcelain::container::run_monitor(orders).unwrap();
            ExitCode::SUCCESS
        }
        ["front", store, lower, config, io] => fixture::front(store.as_ref(), lower, config, io),
        _ => libtest_mimic::run(&Arguments::from_args(), run::tests()).exit_code(),
    }
}
