//! `rd reflog show`: the entries of reflogs as `git log -g` prints them.

use std::process::ExitCode;

use plumbing::Store;
use plumbing::bstr::{BStr, ByteSlice};
use plumbing::gix::date::Time;
use plumbing::gix::objs::Kind;
use plumbing::revision::Shorten;
use plumbing::store::refs::LogLine;

use crate::git::date::DateFormat;
use crate::git::message;
use crate::git::{self, Abbrev};
use crate::output::commits::{self, Format, Style};
use crate::output::screen::Screen;
use crate::report::Failure;

#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct ShowArgs {
    /// At most N entries; `-N` is the same
    #[arg(short = 'n', long, value_name = "N", allow_hyphen_values = true)]
    max_count: Option<String>,
    /// Not the first N entries
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    /// Name entries by their dates, in this form, instead of their numbers
    #[arg(long, value_name = "FORM")]
    date: Option<String>,
    /// oneline, or a text with placeholders of git-log(1): %h %gd %gs %gn %ge %s …
    #[arg(long, alias = "pretty", value_name = "FORMAT", value_parser = Format::parse, overrides_with = "oneline")]
    format: Option<Format>,
    /// A line an entry, the default
    #[arg(long, overrides_with_all = ["no_abbrev_commit", "format"])]
    oneline: bool,
    /// Whole ids
    #[arg(long)]
    no_abbrev_commit: bool,
    /// Cut ids to N digits
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    abbrev: Option<String>,
    /// The logs of all refs
    #[arg(long)]
    all: bool,
    /// The refs: HEAD by default; `web@{2}` begins with that entry
    #[arg(value_name = "REF", allow_negative_numbers = true)]
    refs: Vec<String>,
}

/// A log that is walked from its youngest entry.
struct Walk {
    /// The ref's name as it was given.
    name: String,
    /// Its short name.
    short: String,
    /// The oldest first.
    lines: Vec<LogLine>,
    /// How many of them are still to be shown.
    left: usize,
    /// How entries are named where it was said.
    by: Option<Selector>,
}

/// What names an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selector {
    Number,
    Date,
}

pub fn run(mut args: ShowArgs, store: &Store) -> Result<ExitCode, Failure> {
    let (counts, refs): (Vec<_>, Vec<_>) = args.refs.drain(..).partition(|text| text.starts_with('-'));
    args.refs = refs;
    if let Some(text) = counts.last() {
        args.max_count = Some(text[1..].to_owned());
    }
    let date = args
        .date
        .as_deref()
        .map(|text| DateFormat::parse(text).ok_or_else(|| Failure::fatal(format!("unknown date format {text}"))));
    let date = date.transpose()?;
    let mut walks = walks(store, &args)?;
    let mut screen = Screen::new();
    let shower = Shower { store, args: &args, date };
    let mut skip = args.skip;
    let mut left = match &args.max_count {
        None => usize::MAX,
        Some(text) => {
            let number = git::number(text).ok_or_else(|| Failure::fatal(format!("'{text}': not an integer")))?;
            // Fewer than none are all.
            usize::try_from(number).unwrap_or(usize::MAX)
        }
    };
    let mut first = true;
    while left > 0 {
        let Some(walk) = next(store, &mut walks)? else { break };
        if skip > 0 {
            skip -= 1;
        } else {
            shower.show(&mut screen, walk, first)?;
            first = false;
            left -= 1;
        }
        walk.left -= 1;
    }
    screen.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn walks(store: &Store, args: &ShowArgs) -> Result<Vec<Walk>, Failure> {
    let mut names = args.refs.clone();
    if args.all {
        let all = git::refs::list(store, "", false)?;
        for listed in all {
            if matches!(store.find_header(&listed.id)?, Some((Kind::Commit, _))) {
                names.push(listed.name.to_string());
            }
        }
        names.push("HEAD".into());
    } else if names.is_empty() {
        if store.follow_ref(b"HEAD".as_bstr())?.is_none() {
            let branch = git::refs::end_of(store, "HEAD")?;
            let branch = branch.strip_prefix(b"refs/heads/").unwrap_or(&branch).as_bstr();
            return Err(Failure::fatal(format!("your current branch '{branch}' does not have any commits yet")));
        }
        names.push("HEAD".into());
    }
    let mut walks = Vec::new();
    for name in &names {
        walks.extend(walk(store, name)?);
    }
    Ok(walks)
}

/// The log that `name`, `name@{2}` or `name@{yesterday}` means; `None` where the ref has none.
fn walk(store: &Store, text: &str) -> Result<Option<Walk>, Failure> {
    let (name, from) = match text.split_once("@{") {
        Some((name, rest)) => (name, rest.strip_suffix('}')),
        None => (text, None),
    };
    if git::name_to_id(store, text)?.is_none() {
        return Err(Failure::fatal(format!(
            "ambiguous argument '{text}': unknown revision or path not in the working tree.\n\
             Use '--' to separate paths from revisions, like this:\n\
             'git <command> [<revision>...] -- [<file>...]'"
        )));
    }
    let Some(full) = super::logged(store, name)? else { return Ok(None) };
    let lines = store.read_log(full.as_str().into())?.unwrap_or_default();
    let (left, by) = match from.map(|from| (from, from.parse::<usize>())) {
        None => (lines.len(), None),
        Some((_, Ok(number))) => (lines.len().saturating_sub(number), Some(Selector::Number)),
        Some((date, Err(_))) => {
            let now = plumbing::gix::date::Zoned::now();
            let seconds = plumbing::gix::date::parse(date, Some(now)).map_or(i64::MAX, |time| time.seconds);
            (lines.iter().rposition(|line| line.seconds <= seconds).map_or(0, |at| at + 1), Some(Selector::Date))
        }
    };
    let name = if name.is_empty() { full } else { name.to_owned() };
    let short = git::refs::shorten(store, &name, Shorten::Loose);
    Ok(Some(Walk { name, short, lines, left, by }))
}

/// The walk whose next entry is the youngest; entries that name no commit are passed over.
fn next<'w>(store: &Store, walks: &'w mut [Walk]) -> Result<Option<&'w mut Walk>, Failure> {
    for walk in walks.iter_mut() {
        while let Some(line) = walk.left.checked_sub(1).map(|at| &walk.lines[at]) {
            if matches!(store.find_header(&line.new)?, Some((Kind::Commit, _))) {
                break;
            }
            walk.left -= 1;
        }
    }
    let mut best: Option<usize> = None;
    for (index, walk) in walks.iter().enumerate().filter(|(_, walk)| walk.left > 0) {
        let seconds = |walk: &Walk| walk.lines[walk.left - 1].seconds;
        if best.is_none_or(|best| seconds(walk) > seconds(&walks[best])) {
            best = Some(index);
        }
    }
    Ok(best.map(|index| &mut walks[index]))
}

struct Shower<'a> {
    store: &'a Store,
    args: &'a ShowArgs,
    date: Option<DateFormat>,
}

impl Shower<'_> {
    fn show(&self, screen: &mut Screen, walk: &Walk, first: bool) -> Result<(), Failure> {
        let line = &walk.lines[walk.left - 1];
        let format = match &self.args.format {
            Some(Format::Custom { text, terminated }) => {
                if !terminated && !first {
                    screen.put("\n")?;
                }
                Format::Custom { text: self.fill(text, walk, line), terminated: *terminated }
            }
            None | Some(Format::Oneline) => {
                let text = format!("{} %gD: %gs", git::abbreviate(self.store, &line.new, self.commit_abbrev()?)?);
                Format::Custom { text: self.fill(&text, walk, line), terminated: true }
            }
            Some(_) => {
                return Err(Failure::fatal(
                    "rd shows reflogs by line or by a format with placeholders; `rd log` shows commits",
                ));
            }
        };
        let style = Style {
            format,
            date: Default::default(),
            short_ids: true,
            abbrev: Some(self.abbrev()?),
            decorate: false,
            names: Default::default(),
        };
        commits::print(screen, self.store, &self.store.read_header(&line.new)?, &style)
    }

    /// How long ids are at the beginning of a line.
    fn commit_abbrev(&self) -> Result<Abbrev, Failure> {
        if self.args.no_abbrev_commit { Ok(Abbrev::Full) } else { self.abbrev() }
    }

    fn abbrev(&self) -> Result<Abbrev, Failure> {
        match self.args.abbrev.as_deref() {
            None | Some("auto") => Ok(Abbrev::Auto),
            Some(digits) => Abbrev::parse(digits),
        }
    }

    /// The format with what it says of the entry filled in.
    fn fill(&self, format: &str, walk: &Walk, line: &LogLine) -> String {
        let who = line.who.as_bstr();
        let email = message::email(who).to_str_lossy().into_owned();
        let email = email.trim_start_matches('<').trim_end_matches('>').to_owned();
        let name = message::name(who).to_str_lossy().into_owned();
        let values = [
            ("%gD", self.selector(&walk.name, walk, line)),
            ("%gd", self.selector(&walk.short, walk, line)),
            ("%gs", line.message.to_str_lossy().into_owned()),
            ("%gn", name.clone()),
            ("%gN", name),
            ("%ge", email.clone()),
            ("%gE", email),
        ];
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            match values.iter().find(|(sign, _)| rest.starts_with(sign)) {
                Some((sign, value)) => {
                    // What a value holds is no placeholder.
                    out.push_str(&value.replace('%', "%%"));
                    rest = &rest[sign.len()..];
                }
                None => {
                    let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
            }
        }
        out + rest
    }

    /// `web@{2}`, or with a date in the braces.
    fn selector(&self, name: &str, walk: &Walk, line: &LogLine) -> String {
        let by_date = walk.by.map_or(self.date.is_some(), |by| by == Selector::Date);
        if !by_date {
            return format!("{name}@{{{}}}", walk.lines.len() - walk.left);
        }
        let time = Time { seconds: line.seconds, offset: offset(line.zone.as_bstr()) };
        format!("{name}@{{{}}}", self.date.clone().unwrap_or_default().format(time))
    }
}

/// `-0130` in seconds.
fn offset(zone: &BStr) -> i32 {
    let number: i32 = zone.to_str().ok().and_then(|zone| zone.parse().ok()).unwrap_or(0);
    number.signum() * (number.abs() / 100 * 3600 + number.abs() % 100 * 60)
}
