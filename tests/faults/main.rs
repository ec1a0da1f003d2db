//! What a store survives: power cuts, kills, full disks, write errors, and crowds.
//!
//! `RD_FAULT_ROUNDS` sets how many rounds there are, `RD_FAULT_SEED` repeats those of another run, whose seed a failure
//! names.

mod arena;
mod crowd;
mod disk;
mod judge;
mod kill;
mod power_cut;
mod random;
#[allow(dead_code)]
#[path = "../cli/sandbox.rs"]
mod sandbox;
mod trace;
