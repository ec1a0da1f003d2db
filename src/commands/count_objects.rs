//! `rd count-objects`

use std::process::ExitCode;

use plumbing::bstr::BStr;

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Count git's objects and the room they take
///
/// Output and exit status are those of git-count-objects(1). Contents of files lie outside of git's database and are not
/// counted: `rd info` tells their number and size.
///
/// Example: `rd count-objects -v -H`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
#[command(args(git::options::negations(&[("no-verbose", "verbose"), ("no-human-readable", "human_readable")])))]
pub struct Args {
    /// Count packs and what doesn't belong among them, too
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Sizes in KiB, MiB and GiB
    #[arg(short = 'H', long)]
    human_readable: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let counts = globals.repository()?.count_objects()?;
    let size = |bytes: u64, unit: &str| match args.human_readable {
        true => humanise(bytes),
        false => format!("{}{unit}", bytes / 1024),
    };
    if args.verbose == 0 {
        git::print_line(format!("{} objects, {}", counts.loose, size(counts.loose_bytes, " kilobytes")))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (path, why) in &counts.garbage {
        eprintln!("warning: {why}: {}", crate::output::printable(&path.to_string_lossy()));
    }
    let mut lines = vec![
        format!("count: {}", counts.loose),
        format!("size: {}", size(counts.loose_bytes, "")),
        format!("in-pack: {}", counts.packed),
        format!("packs: {}", counts.packs),
        format!("size-pack: {}", size(counts.pack_bytes, "")),
        format!("prune-packable: {}", counts.prunable),
        format!("garbage: {}", counts.garbage.len()),
        format!("size-garbage: {}", size(counts.garbage_bytes, "")),
    ];
    for path in &counts.alternates {
        let mut quoted = Vec::new();
        git::tree::push_path(&mut quoted, BStr::new(path.as_os_str().as_encoded_bytes()), true);
        lines.push(format!("alternate: {}", String::from_utf8_lossy(&quoted)));
    }
    git::print_line(lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A size as git writes it for people.
fn humanise(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let hundredths = |bytes: u64, unit: u64| format!("{}.{:02}", bytes / unit, bytes % unit * 100 / unit);
    // What is added rounds the last digit; gibibytes git doesn't round.
    match bytes {
        1 => "1 byte".into(),
        0 | 2..=KIB => format!("{bytes} bytes"),
        1_025..=MIB => format!("{} KiB", hundredths(bytes + 5, KIB)),
        1_048_577..=GIB => format!("{} MiB", hundredths(bytes + 5243, MIB)),
        _ => format!("{}.{:02} GiB", bytes / GIB, bytes % GIB / 10_737_419),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_gits() {
        for (bytes, want) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1024, "1024 bytes"),
            (1025, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (1 << 20, "1024.00 KiB"),
            ((1 << 20) + 1, "1.00 MiB"),
            (1 << 30, "1024.00 MiB"),
            (5 << 28, "1.24 GiB"),
        ] {
            assert_eq!(humanise(bytes), want, "{bytes}");
        }
    }
}
