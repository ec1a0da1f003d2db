//! Colours as git's configuration spells them (git-config(1), "color").

use crate::report::Failure;

const NAMES: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// Attributes, with the codes that set and unset them.
const ATTRIBUTES: [(&str, u8, u8); 7] = [
    ("bold", 1, 22),
    ("dim", 2, 22),
    ("italic", 3, 23),
    ("ul", 4, 24),
    ("blink", 5, 25),
    ("reverse", 7, 27),
    ("strike", 9, 29),
];

/// The terminal's codes for a colour.
pub fn code(text: &str) -> Result<String, Failure> {
    read(text).ok_or_else(|| Failure::fatal(format!("unrecognized color: %(color:{text})")))
}

fn read(text: &str) -> Option<String> {
    let mut codes: Vec<String> = Vec::new();
    let mut attributes = Vec::new();
    let mut colors = 0;
    let mut reset = false;
    for word in text.split_whitespace() {
        if word == "reset" {
            reset = true;
        } else if let Some(code) = attribute(word) {
            attributes.push(code);
        } else {
            colors += 1;
            match (color(word, colors == 2)?, colors) {
                (_, 3..) => return None,
                (Some(code), _) => codes.push(code),
                (None, _) => {}
            }
        }
    }
    attributes.sort_unstable();
    let all: Vec<String> = attributes.iter().map(u8::to_string).chain(codes).collect();
    Some(match (all.is_empty(), reset) {
        (true, false) => String::new(),
        (true, true) => "\x1b[m".into(),
        (false, false) => format!("\x1b[{}m", all.join(";")),
        (false, true) => format!("\x1b[;{}m", all.join(";")),
    })
}

fn attribute(word: &str) -> Option<u8> {
    let negated = word.strip_prefix("no");
    let name = negated.map_or(word, |name| name.strip_prefix('-').unwrap_or(name));
    let (_, on, off) = ATTRIBUTES.iter().find(|(attribute, _, _)| *attribute == name)?;
    Some(if negated.is_some() { *off } else { *on })
}

/// The code of a colour; `Some(None)` for one that changes nothing.
fn color(word: &str, background: bool) -> Option<Option<String>> {
    let base = if background { 40 } else { 30 };
    if word == "normal" {
        return Some(None);
    }
    if word == "default" {
        return Some(Some((base + 9).to_string()));
    }
    if let Some(hex) = word.strip_prefix('#') {
        let wide = hex.len() == 6;
        let part = |at: usize| {
            let digits = if wide { hex.get(2 * at..2 * at + 2)?.to_owned() } else { hex.get(at..at + 1)?.repeat(2) };
            u8::from_str_radix(&digits, 16).ok()
        };
        let rgb = (wide || hex.len() == 3).then(|| Some((part(0)?, part(1)?, part(2)?))).flatten()?;
        return Some(Some(format!("{};2;{};{};{}", base + 8, rgb.0, rgb.1, rgb.2)));
    }
    let (name, bright) = word.strip_prefix("bright").map_or((word, 0), |name| (name, 60));
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return Some(Some((base + bright + at).to_string()));
    }
    match word.parse::<i16>().ok()? {
        -1 => Some(None),
        number @ 0..8 => Some(Some((base as i16 + number).to_string())),
        number @ 8..16 => Some(Some((base as i16 + 60 + number - 8).to_string())),
        number @ 16..256 => Some(Some(format!("{};5;{number}", base + 8))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_become_codes() {
        for (text, code) in [
            ("red", Some("\x1b[31m")),
            ("bold red", Some("\x1b[1;31m")),
            ("red blue ul", Some("\x1b[4;31;44m")),
            ("reset", Some("\x1b[m")),
            ("brightgreen", Some("\x1b[92m")),
            ("200", Some("\x1b[38;5;200m")),
            ("#ff0010", Some("\x1b[38;2;255;0;16m")),
            ("nobold", Some("\x1b[22m")),
            ("normal", Some("")),
            ("mauve", None),
            ("red red red", None),
        ] {
            assert_eq!(read(text).as_deref(), code, "{text}");
        }
    }
}
