//! `rd diff-tree`

use std::io::{BufRead, BufWriter, StdoutLock, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use plumbing::gix::objs::Kind;
use plumbing::history::Header;
use plumbing::walk::{bases, flag};
use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git::diff::{self, Merges, Options};
use crate::git::revisions::Arguments;
use crate::git::{self, Abbrev};
use crate::output::commits::date::Style as DateStyle;
use crate::output::commits::names::Names;
use crate::output::commits::{self, Format};
use crate::output::screen::Screen;
use crate::report::Failure;

/// Compare two trees, or a commit with its parents
///
/// Options, output and exit status are those of git-diff-tree(1). The trees are git's: an image is a commit whose tree has
/// folders `rootfs` (names and contents), `meta` and `times`, so that `rd diff-tree -r A B -- rootfs` shows what changed in
/// the files; `rd diff A B` shows all three in one view.
///
/// What is compared: TREE TREE, A..B, a commit (with its parents), or with --stdin commits and pairs of trees, one a line;
/// -r (also in folders), -t (folders too), --root (first commits with nothing), -m, -c, --cc, --first-parent (merges),
/// --merge-base, -R (the other way round), --relative[=PATH], --diff-filter=LETTERS, then `-- PATH…`.
///
/// Form: --raw, -p (-u, -UN, --unified=N), --stat[=WIDTH[,NAME[,COUNT]]], --numstat, --shortstat, --summary,
/// --compact-summary, --name-only, --name-status, --patch-with-stat, --patch-with-raw, -s, -z, --abbrev[=N],
/// --full-index, --no-prefix, --src-prefix=P, --dst-prefix=P, --text; -v, --pretty[=FORM], --format=FORM, --oneline,
/// --date=FORM, --no-commit-id, --always; --exit-code, --quiet.
///
/// Moved files: -M[N] (--find-renames), -C[N] (--find-copies), --find-copies-harder, --no-renames.
///
/// Examples: `rd diff-tree -r --name-status debian:12 web -- rootfs`, `rd diff-tree --root -p web`.
///
/// Exit status: 0; with --exit-code and --quiet 1 where they differ; 128 failed; 129 wrong usage.
#[derive(clap::Args)]
pub struct Args {
    /// Options, trees and paths
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Options of this command alone.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "because each is an option of git's")]
struct Own {
    diff: Options,
    merges: Merges,
    root: bool,
    stdin: bool,
    merge_base: bool,
    no_commit_id: bool,
    always: bool,
    format: Option<Format>,
    date: DateStyle,
    abbreviated: bool,
}

impl Own {
    fn take<'a>(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> {
        match arg {
            "--root" => self.root = true,
            "--stdin" => self.stdin = true,
            "--merge-base" => self.merge_base = true,
            "--no-commit-id" => self.no_commit_id = true,
            "--always" => self.always = true,
            "--abbrev-commit" => self.abbreviated = true,
            "--no-abbrev-commit" => self.abbreviated = false,
            "-m" | "--diff-merges=on" | "--diff-merges=m" | "--diff-merges=separate" => self.merges = Merges::Separate,
            "-c" | "--diff-merges=c" | "--diff-merges=combined" => self.merges = Merges::Combined { dense: false },
            "--cc" | "--diff-merges=cc" | "--diff-merges=dense-combined" => {
                self.merges = Merges::Combined { dense: true };
            }
            "--diff-merges=1" | "--diff-merges=first-parent" => self.merges = Merges::FirstParent,
            "--diff-merges=off" | "--diff-merges=none" | "--no-diff-merges" => self.merges = Merges::Off,
            "-v" => self.format = self.format.take().or(Some(Format::Medium)),
            "--pretty" => self.format = Some(Format::Medium),
            "--oneline" => (self.format, self.abbreviated) = (Some(Format::Oneline), true),
            _ => return Ok(self.text(arg)? || self.diff.take(arg, rest)?),
        }
        Ok(true)
    }

    fn text(&mut self, arg: &str) -> Result<bool, Failure> {
        match arg.split_once('=') {
            Some(("--pretty" | "--format", text)) => {
                let invalid = |_| Failure::fatal(format!("invalid --pretty format: {text}"));
                self.format = Some(Format::parse(text).map_err(invalid)?);
            }
            Some(("--date", text)) => {
                let invalid = |_| Failure::fatal(format!("unknown date format {text}"));
                self.date = DateStyle::from_str(text, false).map_err(invalid)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.repository()?;
    let mut arguments = Arguments::new(&store);
    arguments.reads_stdin = false;
    let mut own = Own::default();
    arguments.take(&args.args, &mut |arg, rest| own.take(arg, rest))?;
    own.diff.paths = arguments.options.paths.clone();
    if own.diff.formats.is_default() {
        match own.merges {
            Merges::Combined { dense: true } => own.diff.formats.patch = true,
            _ => own.diff.formats.raw = true,
        }
    }
    own.diff.finish()?;
    if own.stdin && own.merge_base {
        return Err(Failure::fatal("options '--stdin' and '--merge-base' cannot be used together"));
    }
    if own.merge_base && arguments.tips.len() != 2 {
        return Err(Failure::fatal("--merge-base only works with two commits"));
    }
    let mut command = DiffTree::new(&store, own)?;
    match arguments.tips.as_slice() {
        [] if !command.own.stdin => return Err(Failure::usage("no tree was given")),
        [one] => command.commit(&one.id, None)?,
        [a, b] => {
            let (before, after) = if b.flags & flag::UNINTERESTING != 0 { (b.id, a.id) } else { (a.id, b.id) };
            let before = if command.own.merge_base { command.merge_base(before, after)? } else { before };
            command.trees(&before, &after)?;
        }
        _ => {}
    }
    if command.own.stdin {
        command.lines()?;
    }
    command.out.flush()?;
    Ok(if command.own.diff.exit_code && command.differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct DiffTree<'s> {
    store: &'s Store,
    own: Own,
    commits: commits::Style,
    screen: Screen,
    out: BufWriter<StdoutLock<'static>>,
    /// Whether a commit was shown already.
    shown: bool,
    /// Whether the last comparison found a difference.
    differs: bool,
}

impl<'s> DiffTree<'s> {
    fn new(store: &'s Store, own: Own) -> Result<Self, Failure> {
        let format = own.format.clone().unwrap_or(Format::Medium);
        let names = if format.wants_names() { Names::of_git(store)? } else { Names::default() };
        let (date, abbrev) = (own.date, Some(own.diff.abbrev));
        let commits = commits::Style { format, date, short_ids: false, abbrev, decorate: false, names };
        Ok(Self { store, own, commits, screen: Screen::plain(), out: git::stdout(), shown: false, differs: false })
    }

    fn merge_base(&self, one: Id, two: Id) -> Result<Id, Failure> {
        let commit = |id| {
            let found = git::peel(self.store, id, Kind::Commit)?;
            found.ok_or_else(|| Failure::fatal("--merge-base only works with commits"))
        };
        match bases::merge_bases(self.store, commit(one)?, &[commit(two)?])?.as_slice() {
            [] => Err(Failure::fatal("no merge base found")),
            [base] => Ok(*base),
            _ => Err(Failure::fatal("multiple merge bases found")),
        }
    }

    fn tree_of(&self, id: &Id) -> Result<Id, Failure> {
        let found = git::peel(self.store, *id, Kind::Tree)?;
        found.ok_or_else(|| Failure::fatal(format!("unable to read tree ({id})")))
    }

    /// Compare two trees, or the trees of two commits.
    fn trees(&mut self, before: &Id, after: &Id) -> Result<(), Failure> {
        let (before, after) = (self.tree_of(before)?, self.tree_of(after)?);
        self.compare(Some(&before), &after, &mut None)
    }

    /// Compare and print; what stands above the first difference is printed once.
    fn compare(&mut self, before: Option<&Id>, after: &Id, above: &mut Option<Above>) -> Result<(), Failure> {
        if self.own.diff.quiet && std::mem::take(&mut self.differs) {
            // With --quiet git is content with the difference that it found before.
            return Ok(());
        }
        let pairs = diff::pairs(self.store, before, Some(after), &self.own.diff)?;
        self.differs = !pairs.is_empty();
        if pairs.is_empty() {
            return Ok(());
        }
        if let Some(above) = above.take() {
            self.header(&above)?;
        }
        diff::print(&mut self.out, self.store, &pairs, &self.own.diff)
    }

    /// Compare a commit with its parents, or with others in their place.
    fn commit(&mut self, id: &Id, parents: Option<Vec<Id>>) -> Result<(), Failure> {
        let Some(id) = git::peel(self.store, *id, Kind::Commit)? else {
            let kind = self.store.find_header(id)?.map_or("nothing".to_owned(), |(kind, _)| kind.to_string());
            eprintln!("error: object {id} is a {kind}, not a commit");
            return Ok(());
        };
        let header = self.store.read_header(&id)?;
        let parents = parents.unwrap_or(header.parents);
        let above = |parent| Some(Above { commit: id, parent, parents: parents.clone() });
        let mut waiting = above(None);
        match (parents.as_slice(), self.own.merges) {
            ([], _) if self.own.root => self.compare(None, &header.tree, &mut waiting)?,
            ([], _) => {}
            ([_, _, ..], Merges::Off) => {}
            ([_, _, ..], Merges::Combined { dense }) => {
                waiting = None;
                self.combined(&id, &header.tree, &parents, dense)?;
            }
            ([_, _, ..], Merges::Separate) => {
                let mut any = false;
                for parent in &parents {
                    let tree = self.store.read_header(parent)?.tree;
                    waiting = above(Some(*parent));
                    self.compare(Some(&tree), &header.tree, &mut waiting)?;
                    any |= waiting.is_none();
                }
                waiting = waiting.filter(|_| !any);
            }
            ([first, ..], _) => {
                let tree = self.store.read_header(first)?.tree;
                self.compare(Some(&tree), &header.tree, &mut waiting)?;
            }
        }
        if self.own.always && (waiting.is_some() || self.own.no_commit_id) {
            self.commit_header(&Above { commit: id, parent: None, parents })?;
        }
        Ok(())
    }

    /// Print what a merge has from none of its parents.
    fn combined(&mut self, id: &Id, tree: &Id, parents: &[Id], dense: bool) -> Result<(), Failure> {
        if !self.own.no_commit_id {
            self.commit_header(&Above { commit: *id, parent: None, parents: parents.to_vec() })?;
            if self.own.format.as_ref().is_some_and(|format| !format.is_empty()) && !self.own.diff.formats.none {
                self.out.write_all(self.end())?;
            }
        }
        let mut options = self.own.diff.clone();
        options.recursive = true;
        let mut by_parent = Vec::new();
        for parent in parents {
            let before = self.store.read_header(parent)?.tree;
            by_parent.push(diff::pairs(self.store, Some(&before), Some(tree), &options)?);
        }
        diff::combined(&mut self.out, self.store, &by_parent, dense, &options)
    }

    fn end(&self) -> &'static [u8] {
        if self.own.diff.nul { b"\0" } else { b"\n" }
    }

    /// Print what stands above a commit's differences.
    fn header(&mut self, above: &Above) -> Result<(), Failure> {
        if self.own.no_commit_id {
            return Ok(());
        }
        self.commit_header(above)?;
        let formats = self.own.diff.formats;
        let Some(format) = &self.own.format else { return Ok(()) };
        if !formats.none && *format != Format::Oneline && !format.is_empty() {
            if formats.stat && formats.patch {
                self.out.write_all(b"---")?;
            }
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Print the commit itself.
    fn commit_header(&mut self, above: &Above) -> Result<(), Failure> {
        let end = self.end();
        let abbrev = if self.own.abbreviated { self.own.diff.abbrev } else { Abbrev::Full };
        let id = git::abbreviate(self.store, &above.commit, abbrev)?;
        let Some(format) = self.own.format.clone() else {
            self.out.write_all(id.as_bytes())?;
            return Ok(self.out.write_all(end)?);
        };
        if self.shown && format.has_separators() {
            self.out.write_all(end)?;
        }
        self.shown = true;
        if !matches!(format, Format::Custom { .. }) {
            let word = if format == Format::Oneline { "" } else { "commit " };
            write!(self.out, "{word}{id}")?;
            if let Some(parent) = &above.parent {
                write!(self.out, " (from {})", git::abbreviate(self.store, parent, abbrev)?)?;
            }
            self.out.write_all(if format == Format::Oneline { b" " } else { b"\n" })?;
        }
        let data = self.store.read_object(&above.commit, Kind::Commit)?;
        let header = Header { parents: above.parents.clone(), ..self.store.read_header(&above.commit)? };
        let text = commits::text(self.store, &header, &data, &self.commits, &self.screen)?;
        self.out.write_all(&text)?;
        if !format.has_separators() && !format.is_empty() {
            self.out.write_all(end)?;
        }
        Ok(())
    }

    /// Compare what the lines of standard input name; other lines are handed through.
    fn lines(&mut self) -> Result<(), Failure> {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line).into_owned();
            let mut words = text.split_ascii_whitespace().map(|word| Id::from_hex(word.as_bytes()));
            match words.next() {
                // git takes no line that its writer didn't finish.
                Some(Ok(_)) if !line.ends_with(b"\n") => {}
                Some(Ok(first)) => self.line(&first, words.map_while(Result::ok).collect())?,
                _ => self.out.write_all(&line)?,
            }
            line.clear();
        }
        Ok(())
    }

    fn line(&mut self, first: &Id, others: Vec<Id>) -> Result<(), Failure> {
        match self.store.find_header(first)?.map(|(kind, _)| kind) {
            Some(Kind::Commit) => self.commit(first, Some(others).filter(|others| !others.is_empty())),
            Some(Kind::Tree) => match others.as_slice() {
                [second] => {
                    writeln!(self.out, "{first} {second}")?;
                    self.trees(first, second)
                }
                _ => {
                    eprintln!("error: Need exactly two trees, separated by a space");
                    Ok(())
                }
            },
            Some(kind) => {
                eprintln!("error: Object {first} is a {kind}, not a commit or tree");
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What is printed above a difference.
struct Above {
    commit: Id,
    /// The parent that it is compared with, where that isn't clear.
    parent: Option<Id>,
    /// Its parents, or what the caller put in their place.
    parents: Vec<Id>,
}
