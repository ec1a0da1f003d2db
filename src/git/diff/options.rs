//! The options of commands that show differences.

use plumbing::bstr::BString;
use plumbing::diff::renames::{DEFAULT_SCORE, Detect, MAX_SCORE, Pair, Status};
use plumbing::diff::trees;
use plumbing::pathspec::Pathspec;

use super::stat::Widths;
use crate::git::Abbrev;
use crate::report::Failure;

/// How differences are looked for and shown.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "because each is an option of git's")]
pub struct Options {
    pub formats: Formats,
    pub recursive: bool,
    pub trees: bool,
    /// Names end with NUL and aren't quoted.
    pub nul: bool,
    pub reverse: bool,
    pub detect: Option<Detect>,
    /// Sources of copies may be files that stay as they are.
    pub copies_of_all: bool,
    pub filter: Filter,
    /// Only below this path, with names from there on.
    pub relative: Option<BString>,
    pub abbrev: Abbrev,
    pub full_index: bool,
    pub context: u32,
    pub text: bool,
    pub prefixes: [BString; 2],
    pub widths: Widths,
    pub compact_summary: bool,
    pub exit_code: bool,
    pub quiet: bool,
    pub paths: Pathspec,
}

/// The forms that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "because any of them may be asked for together")]
pub struct Formats {
    pub raw: bool,
    pub name_only: bool,
    pub name_status: bool,
    pub numstat: bool,
    pub stat: bool,
    pub shortstat: bool,
    pub summary: bool,
    pub patch: bool,
    /// Nothing at all.
    pub none: bool,
}

impl Formats {
    /// Whether no form was chosen.
    pub fn is_default(self) -> bool {
        self == Self::default()
    }

    pub fn has_lists(self) -> bool {
        self.raw || self.name_only || self.name_status
    }

    /// Forms that are made of lines of files.
    fn needs_files(self) -> bool {
        self.numstat || self.stat || self.shortstat || self.summary || self.patch
    }
}

/// What becomes of merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merges {
    /// They are not shown.
    #[default]
    Off,
    /// The difference to each parent.
    Separate,
    /// The difference to the first parent.
    FirstParent,
    /// What differs from all parents; with `dense` only where no side was simply taken.
    Combined { dense: bool },
}

/// `--diff-filter`
#[derive(Debug, Clone, Default)]
pub struct Filter {
    wanted: Option<Vec<char>>,
    /// All of a difference, if anything in it is wanted.
    all_or_none: bool,
}

impl Filter {
    fn parse(&mut self, text: &str) -> Result<(), Failure> {
        const ALL: &str = "ACDMRTUXB";
        if text.starts_with(|c: char| c.is_ascii_lowercase()) && self.wanted.is_none() {
            self.wanted = Some(ALL.chars().collect());
        }
        let wanted = self.wanted.get_or_insert_default();
        for letter in text.chars() {
            match letter {
                '*' => self.all_or_none = true,
                _ if !ALL.contains(letter.to_ascii_uppercase()) => {
                    let what = format!("unknown change class '{letter}' in --diff-filter={text}");
                    return Err(Failure::usage(what));
                }
                _ if letter.is_ascii_uppercase() => wanted.push(letter),
                _ => wanted.retain(|other| *other != letter.to_ascii_uppercase()),
            }
        }
        Ok(())
    }

    /// Leave out what isn't wanted.
    pub fn apply(&self, pairs: &mut Vec<Pair>) {
        let Some(wanted) = &self.wanted else { return };
        let is_wanted = |status: Status| wanted.contains(&status.letter());
        match self.all_or_none {
            true if pairs.iter().any(|pair| is_wanted(pair.status)) => {}
            true => pairs.clear(),
            false => pairs.retain(|pair| is_wanted(pair.status)),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            formats: Formats::default(),
            recursive: false,
            trees: false,
            nul: false,
            reverse: false,
            detect: None,
            copies_of_all: false,
            filter: Filter::default(),
            relative: None,
            abbrev: Abbrev::Full,
            full_index: false,
            context: 3,
            text: false,
            prefixes: ["a/".into(), "b/".into()],
            widths: Widths::default(),
            compact_summary: false,
            exit_code: false,
            quiet: false,
            paths: Pathspec::default(),
        }
    }
}

impl Options {
    /// Take an option and the value that follows it; false where it is none of these.
    pub fn take<'a>(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> {
        Ok(self.format(arg)? || self.switch(arg, rest)? || self.detection(arg)?)
    }

    fn format(&mut self, arg: &str) -> Result<bool, Failure> {
        let was_none = self.formats.none;
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        let formats = &mut self.formats;
        match (name, value) {
            ("-p" | "-u" | "--patch", None) => formats.patch = true,
            ("--raw", None) => formats.raw = true,
            ("--patch-with-raw", None) => (formats.raw, formats.patch) = (true, true),
            ("--patch-with-stat", None) => (formats.stat, formats.patch) = (true, true),
            ("--name-only", None) => formats.name_only = true,
            ("--name-status", None) => formats.name_status = true,
            ("--numstat", None) => formats.numstat = true,
            ("--shortstat", None) => formats.shortstat = true,
            ("--summary", None) => formats.summary = true,
            ("--compact-summary", None) => (formats.stat, self.compact_summary) = (true, true),
            ("-s" | "--no-patch", None) => {
                *formats = Formats { none: true, ..Formats::default() };
                return Ok(true);
            }
            ("--unified", Some(lines)) => {
                formats.patch = true;
                self.context = context(lines)?;
            }
            (_, None) if arg.starts_with("-U") && arg.len() > 2 => {
                formats.patch = true;
                self.context = context(&arg[2..])?;
            }
            ("--stat", _) | ("--stat-width" | "--stat-name-width" | "--stat-graph-width" | "--stat-count", Some(_)) => {
                formats.stat = true;
                self.widths.set(name, value)?;
            }
            _ => return Ok(false),
        }
        // git leaves it to its user to see that these two contradict -s.
        self.formats.none = was_none && matches!(name, "--name-only" | "--name-status");
        Ok(true)
    }

    fn switch<'a>(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> {
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("-r", None) => self.recursive = true,
            ("-t", None) => (self.recursive, self.trees) = (true, true),
            ("-z", None) => self.nul = true,
            ("-R", None) => self.reverse = true,
            ("-a" | "--text", None) => self.text = true,
            ("--exit-code", None) => self.exit_code = true,
            ("--quiet", None) => self.quiet = true,
            ("--full-index", None) => self.full_index = true,
            ("--abbrev", None) => self.abbrev = Abbrev::Auto,
            ("--no-abbrev", None) => self.abbrev = Abbrev::Full,
            ("--abbrev", Some(digits)) => self.abbrev = Abbrev::AtLeast(digits.parse().unwrap_or(0).clamp(4, 64)),
            ("--relative", None) => self.relative = Some(BString::default()),
            ("--relative", Some(prefix)) => self.relative = Some(prefix.into()),
            ("--no-relative", None) => self.relative = None,
            ("--no-prefix", None) => self.prefixes = Default::default(),
            ("--default-prefix", None) => self.prefixes = Self::default().prefixes,
            ("--src-prefix", Some(prefix)) => self.prefixes[0] = prefix.into(),
            ("--dst-prefix", Some(prefix)) => self.prefixes[1] = prefix.into(),
            ("--diff-filter", Some(letters)) => self.filter.parse(letters)?,
            ("--diff-filter", None) => {
                let letters = rest.next().ok_or_else(|| Failure::usage("--diff-filter requires a value"))?;
                self.filter.parse(letters)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn detection(&mut self, arg: &str) -> Result<bool, Failure> {
        let long = |name: &str| arg.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('='));
        let value = |rest: &str| score(rest.trim_start_matches('='));
        let invalid = || Failure::usage(format!("invalid argument to {arg}"));
        let copies = self.detect.is_some_and(|detect| detect.copies);
        match arg {
            "--no-renames" => (self.detect, self.copies_of_all) = (None, false),
            "--find-copies-harder" => {
                let score = self.detect.map_or(DEFAULT_SCORE, |detect| detect.score);
                self.detect = Some(Detect { copies: true, score });
                self.copies_of_all = true;
            }
            _ => {
                let rename = arg.strip_prefix("-M").or_else(|| long("--find-renames"));
                let copy = arg.strip_prefix("-C").or_else(|| long("--find-copies"));
                match (rename, copy) {
                    (Some(rest), _) => {
                        self.detect = Some(Detect { copies: false, score: value(rest).ok_or_else(invalid)? });
                    }
                    (_, Some(rest)) => {
                        self.copies_of_all |= copies;
                        self.detect = Some(Detect { copies: true, score: value(rest).ok_or_else(invalid)? });
                    }
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    /// Settle what the options mean together.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let formats = self.formats;
        let lists = [formats.name_only, formats.name_status, formats.none];
        if lists.iter().filter(|list| **list).count() > 1 {
            let what = "options '--name-only', '--name-status', '--check', and '-s' cannot be used together";
            return Err(Failure::fatal(what));
        }
        if lists.contains(&true) {
            let Formats { name_only, name_status, none, .. } = formats;
            self.formats = Formats { name_only, name_status, none, ..Formats::default() };
        }
        self.recursive |= self.formats.needs_files();
        if let Some(detect) = self.detect.as_mut().filter(|_| self.copies_of_all) {
            detect.copies = true;
        }
        if self.quiet {
            self.formats = Formats { none: true, ..Formats::default() };
            self.exit_code = true;
        }
        Ok(())
    }

    /// What a comparison of trees is to look at.
    pub fn trees(&self) -> trees::Options {
        trees::Options {
            recursive: self.recursive,
            trees: self.trees,
            unchanged: self.copies_of_all,
            paths: self.paths.clone(),
        }
    }
}

fn context(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::usage("--unified expects a non-negative integer value".to_owned()))
}

/// A similarity as git reads it: `50%`, `.5`, `5` (five tenths), `50` (fifty hundredths).
fn score(text: &str) -> Option<u32> {
    let (mut number, mut scale, mut dot) = (0u64, 1u64, false);
    let mut rest = text.chars();
    for c in rest.by_ref() {
        match c {
            '.' if !dot => (scale, dot) = (1, true),
            '%' => {
                scale = if dot { scale * 100 } else { 100 };
                break;
            }
            '0'..='9' if scale < 100_000 => {
                scale *= 10;
                number = number * 10 + u64::from(c) - u64::from('0');
            }
            '0'..='9' => {}
            _ => return None,
        }
    }
    if rest.next().is_some() {
        return None;
    }
    let score = if number >= scale { u64::from(MAX_SCORE) } else { u64::from(MAX_SCORE) * number / scale };
    Some(if score == 0 { DEFAULT_SCORE } else { score as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarities_are_read_as_git_reads_them() {
        for (text, wanted) in [
            ("", 30_000),
            ("5", 30_000),
            ("50", 30_000),
            ("50%", 30_000),
            ("90%", 54_000),
            (".25", 15_000),
            ("100%", MAX_SCORE),
        ] {
            assert_eq!(score(text), Some(wanted), "{text}");
        }
        assert_eq!(score("x"), None);
        assert_eq!(score("50%x"), None);
    }
}
