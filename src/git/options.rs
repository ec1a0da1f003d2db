//! Git's manners on the command line that the arguments of clap don't have by themselves.

use clap::{Arg, ArgAction};

/// Hidden options `--no-X` that take back the options `ids` if they came before: git has one for most of its options.
///
/// Given are pairs of the option's spelling without dashes (`no-full-name`) and the id of what it takes back.
pub fn negations(pairs: &[(&'static str, &'static str)]) -> Vec<Arg> {
    pairs
        .iter()
        .map(|(long, id)| {
            Arg::new(*long).long(*long).action(ArgAction::SetTrue).overrides_with_all([*id, *long]).hide(true)
        })
        .collect()
}
