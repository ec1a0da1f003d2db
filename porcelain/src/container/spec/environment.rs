//! The environment of a container's process: rd's own never gets in.

use super::{Inputs, hostname};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Defaults, then the image's variables, then the container's: later ones replace earlier ones in their place, and a
/// name without a value takes its variable away.
pub(super) fn environment(inputs: Inputs<'_>) -> Vec<String> {
    let mut lines = vec![PATH.to_owned(), format!("HOSTNAME={}", hostname(inputs.config, inputs.host))];
    if inputs.config.tty {
        lines.push("TERM=xterm".into());
    }
    for line in inputs.image.env().iter().flatten().chain(&inputs.config.env) {
        apply(&mut lines, line);
    }
    if !lines.iter().any(|line| line.starts_with("HOME=")) {
        lines.push(format!("HOME={}", inputs.user.home));
    }
    lines
}

/// Images are hostile: a line without a name or with a NUL byte can't be part of an environment.
fn apply(lines: &mut Vec<String>, line: &str) {
    let name = line.split_once('=').map_or(line, |(name, _)| name);
    if name.is_empty() || line.contains('\0') {
        return;
    }
    let has_name = |known: &String| known.split_once('=').is_some_and(|(known, _)| known == name);
    match (lines.iter().position(has_name), line.contains('=')) {
        (Some(place), true) => line.clone_into(&mut lines[place]),
        (Some(place), false) => drop(lines.remove(place)),
        (None, true) => lines.push(line.to_owned()),
        (None, false) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_replace_earlier_ones_and_names_alone_take_away() {
        let mut lines = vec!["A=1".to_owned(), "B=2".to_owned()];
        for line in ["B=3=4", "C=", "A", "D", "=x", "E=\0", ""] {
            apply(&mut lines, line);
        }
        assert_eq!(lines, ["B=3=4", "C="]);
    }
}
