//! `rev-parse --parseopt`: reads what options a shell script has, and its arguments, and gives these back in order
//! (git-rev-parse(1), "PARSEOPT").

use std::io::Read;
use std::process::ExitCode;

use super::show::shell_quoted;
use crate::git;
use crate::report::{Failure, USAGE};

/// An option of the script, or a heading among them.
struct Spec {
    short: Option<char>,
    long: Option<String>,
    value: Takes,
    /// What help calls the value.
    hint: Option<String>,
    negatable: bool,
    hidden: bool,
    help: String,
    is_heading: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// A value only where it is in the same word.
    Perhaps,
}

/// How the script wants its arguments.
#[derive(Default)]
struct Style {
    keep_dashes: bool,
    stop_early: bool,
    stuck_long: bool,
}

/// What came of the arguments.
enum Outcome {
    Parsed(String),
    Help,
    /// An option that there is not: help is for stderr.
    Unknown(String),
    /// A value that is missing, or one too many.
    Wrong(String),
}

pub fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let mut style = Style::default();
    let mut rest = args;
    loop {
        match rest.first().map(String::as_str) {
            Some("--keep-dashdash") => style.keep_dashes = true,
            Some("--stop-at-non-option") => style.stop_early = true,
            Some("--stuck-long") => style.stuck_long = true,
            Some("--") => break,
            _ => return Err(Failure::usage("give --parseopt [OPTIONS] -- ARGUMENTS")),
        }
        rest = &rest[1..];
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    let (usage, specs) = read(&text)?;
    let help = || manual(&usage, &specs);
    match parse(&specs, &style, &rest[1..]) {
        Outcome::Parsed(line) => {
            git::print_line(line)?;
            return Ok(ExitCode::SUCCESS);
        }
        Outcome::Help => git::print_line(format!("cat <<\\EOF\n{}EOF", help()))?,
        Outcome::Unknown(option) => eprint!("error: unknown {option}\n{}", help()),
        Outcome::Wrong(why) => eprintln!("error: {why}"),
    }
    Ok(ExitCode::from(USAGE))
}

/// The lines of usage, and the options after the line of dashes.
fn read(text: &str) -> Result<(Vec<String>, Vec<Spec>), Failure> {
    let mut lines = text.lines();
    let mut usage = Vec::new();
    loop {
        match lines.next() {
            None => return Err(Failure::fatal("premature end of input")),
            Some("--") => break,
            Some(line) => usage.push(line.to_owned()),
        }
    }
    if usage.is_empty() {
        return Err(Failure::fatal("no usage string given before the `--' separator"));
    }
    let specs = lines.filter(|line| !line.is_empty()).map(spec).collect::<Result<_, _>>()?;
    Ok((usage, specs))
}

fn spec(line: &str) -> Result<Spec, Failure> {
    let heading = |text: &str| Spec {
        short: None,
        long: None,
        value: Takes::Nothing,
        hint: None,
        negatable: false,
        hidden: false,
        help: text.into(),
        is_heading: true,
    };
    let Some(space) = line.find(char::is_whitespace).filter(|at| *at > 0) else {
        return Ok(heading(line.trim_start()));
    };
    let (word, help) = (&line[..space], line[space..].trim_start());
    let end = word.find(['*', '=', '?', '!']).unwrap_or(word.len());
    let (name, flags) = word.split_at(end);
    let (short, long) = match (name.chars().next(), name.chars().nth(1)) {
        (None, _) => return Err(Failure::fatal("missing opt-spec before option flags")),
        (Some(short), None) => (Some(short), None),
        (Some(short), Some(',')) => (Some(short), Some(name[short.len_utf8() + 1..].to_owned())),
        _ => (None, Some(name.to_owned())),
    };
    let hint = flags.trim_start_matches(['*', '=', '?', '!']);
    let flags = &flags[..flags.len() - hint.len()];
    let value = match (flags.contains('?'), flags.contains('=')) {
        (true, _) => Takes::Perhaps,
        (_, true) => Takes::Value,
        _ => Takes::Nothing,
    };
    Ok(Spec {
        short,
        long,
        value,
        hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
        negatable: !flags.contains('!'),
        hidden: flags.contains('*'),
        help: help.into(),
        is_heading: false,
    })
}

/// What `-h` shows.
fn manual(usage: &[String], specs: &[Spec]) -> String {
    let mut out = String::new();
    let blank = usage.iter().position(String::is_empty).unwrap_or(usage.len());
    for (index, line) in usage[..blank].iter().enumerate() {
        let word = if index == 0 { "usage:" } else { "   or:" };
        out += &format!("{word} {line}\n");
    }
    for line in &usage[blank..] {
        out += &if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") };
    }
    let mut parted = false;
    for spec in specs {
        if spec.is_heading {
            out += &format!("\n{}", if spec.help.is_empty() { String::new() } else { format!("{}\n", spec.help) });
            parted = true;
        } else if !spec.hidden {
            out += if parted { "" } else { "\n" };
            parted = true;
            out += &spec.manual_line();
        }
    }
    out + "\n"
}

/// Where the words about options begin, less the gap before them.
const COLUMN: usize = 24;

impl Spec {
    fn manual_line(&self) -> String {
        let long = self.long.as_ref().map(|long| match self.negatable && !long.starts_with("no-") {
            true => format!("--[no-]{long}"),
            false => format!("--{long}"),
        });
        let names: Vec<String> = self.short.map(|short| format!("-{short}")).into_iter().chain(long).collect();
        let left = format!("    {}{}", names.join(", "), self.shown_value());
        let width = left.chars().count();
        let gap = if width > COLUMN { format!("\n{}", " ".repeat(COLUMN)) } else { " ".repeat(COLUMN - width) };
        format!("{left}{gap}  {}\n", self.help)
    }

    fn shown_value(&self) -> String {
        let shown = match &self.hint {
            Some(hint) if hint.contains(['(', ')', '<', '>', '[', ']', '|']) => hint.clone(),
            Some(hint) => format!("<{hint}>"),
            None => "...".into(),
        };
        match self.value {
            Takes::Nothing => String::new(),
            Takes::Value => format!(" {shown}"),
            Takes::Perhaps if self.long.is_some() => format!("[={shown}]"),
            Takes::Perhaps => format!("[{shown}]"),
        }
    }

    /// How the script gets the option.
    fn given(&self, value: Option<&str>, negated: bool, style: &Style) -> String {
        let long = self.long.as_deref().unwrap_or_default();
        let mut out = match self.short {
            _ if negated => format!(" --no-{long}"),
            Some(short) if self.long.is_none() || !style.stuck_long => format!(" -{short}"),
            _ => format!(" --{long}"),
        };
        if let Some(value) = value {
            out += match (style.stuck_long, &self.long) {
                (false, _) => " ",
                (true, Some(_)) => "=",
                (true, None) => "",
            };
            out += &shell_quoted(value);
        }
        out
    }
}

fn parse(specs: &[Spec], style: &Style, args: &[String]) -> Outcome {
    let mut out = String::from("set --");
    let mut others: Vec<&str> = Vec::new();
    let mut rest = args.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let outcome = if word == "--" {
            others.extend(if style.keep_dashes { Some("--") } else { None });
            others.extend(rest.by_ref());
            break;
        } else if let Some(name) = word.strip_prefix("--") {
            if name == "help" {
                return Outcome::Help;
            }
            long_option(specs, style, name, &mut rest)
        } else if word.len() > 1 && word.starts_with('-') {
            if word == "-h" && args.len() == 1 {
                return Outcome::Help;
            }
            short_options(specs, style, &word[1..], &mut rest)
        } else {
            others.push(word);
            if style.stop_early {
                others.extend(rest.by_ref());
                break;
            }
            continue;
        };
        match outcome {
            Outcome::Parsed(text) => out += &text,
            other => return other,
        }
    }
    out += " --";
    others.iter().for_each(|word| out += &format!(" {}", shell_quoted(word)));
    Outcome::Parsed(out)
}

fn long_option<'a>(specs: &[Spec], style: &Style, word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Outcome {
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let mut exact = None;
    let mut begun = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let Some(long) = spec.long.as_deref() else { continue };
        let negated = format!("no-{long}");
        if name == long {
            exact = exact.or(Some((index, false)));
        } else if spec.negatable && name == negated {
            exact = exact.or(Some((index, true)));
        } else if long.starts_with(name) {
            begun.push((index, false));
        } else if spec.negatable && negated.starts_with(name) {
            begun.push((index, true));
        }
    }
    let found = match (exact, begun.as_slice()) {
        (Some(found), _) => found,
        (None, [found]) => *found,
        (None, []) => return Outcome::Unknown(format!("option `{name}'")),
        (None, [(one, first), .., (other, second)]) => {
            let named = |index: usize, negated| {
                format!("--{}{}", if negated { "no-" } else { "" }, specs[index].long.as_deref().unwrap_or_default())
            };
            let (one, other) = (named(*one, *first), named(*other, *second));
            eprintln!("error: ambiguous option: {name} (could be {one} or {other})");
            return Outcome::Help;
        }
    };
    let (spec, negated) = (&specs[found.0], found.1);
    match (value, spec.value) {
        (Some(_), _) if negated => Outcome::Wrong(format!("option `no-{name}' takes no value")),
        (Some(_), Takes::Nothing) => Outcome::Wrong(format!("option `{name}' takes no value")),
        (None, Takes::Value) if !negated => match rest.next() {
            Some(value) => Outcome::Parsed(spec.given(Some(value), false, style)),
            None => Outcome::Wrong(format!("option `{name}' requires a value")),
        },
        (value, _) => Outcome::Parsed(spec.given(value, negated, style)),
    }
}

fn short_options<'a>(specs: &[Spec], style: &Style, word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Outcome {
    let mut out = String::new();
    let mut chars = word.chars();
    while let Some(sign) = chars.next() {
        let Some(spec) = specs.iter().find(|spec| spec.short == Some(sign)) else {
            return if sign == 'h' { Outcome::Help } else { Outcome::Unknown(format!("switch `{sign}'")) };
        };
        let stuck = Some(chars.as_str()).filter(|text| !text.is_empty());
        let value = match spec.value {
            Takes::Nothing => {
                out += &spec.given(None, false, style);
                continue;
            }
            Takes::Perhaps => stuck,
            Takes::Value => match stuck.or_else(|| rest.next()) {
                Some(value) => Some(value),
                None => return Outcome::Wrong(format!("switch `{sign}' requires a value")),
            },
        };
        out += &spec.given(value, false, style);
        break;
    }
    Outcome::Parsed(out)
}
