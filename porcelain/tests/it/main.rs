//! Containers on the real kernel: mounts, namespaces, cgroups, terminals and signals. Needs root.
//!
//! The binary is also what the tests run: `monitor` is the monitor of a container, and `front` plays `rd run`.

mod fixture;
mod life;
mod mount;
mod run;
mod tty;

/// Makes `tests()` of the functions of a module.
#[macro_export]
macro_rules! trials {
    ($($name:ident,)*) => {
        pub fn tests() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(concat!(module_path!(), "::", stringify!($name)), || {
                $name();
                Ok(())
            }),)*]
        }
    };
}

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
        ["freeze", store, id] => {
            let containers = porcelain::container::Containers::open(store.as_ref()).unwrap();
            let frozen = containers.find(id).unwrap().freeze().unwrap();
            println!("frozen");
            loop {
                std::thread::park();
                assert!(frozen.is_some());
            }
        }
        _ => {
            let tests = [run::tests(), life::tests(), tty::tests(), mount::tests()].into_iter().flatten().collect();
            libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
        }
    }
}
