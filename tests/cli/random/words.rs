//! What the words of a table stand for: a grammar of which each `<name>` is a rule, and choices from the store itself.
//!
//! A choice may hold `<name>` again. `<empty>` is a word without letters, `<lt>` the sign `<` itself.

use std::collections::HashMap;

use super::dice::Dice;
use crate::judge::Court;

/// Rules that don't depend on the store. The first choice of a rule that leads to itself must not.
const RULES: &[(&str, &[&str])] = &[
    ("empty", &[""]),
    ("lt", &["<"]),
    ("n", &["0", "1", "2", "3", "4", "7", "10", "40", "64", "99"]),
    ("number", &["<n>", "<n>", "<n>", "-1", "x", "<empty>", "1k", "0x10", "99999999999", " 5", "+3"]),
    // Names of refs, by git's rules; names of images are rd's alone.
    ("name", &["main", "HEAD", "@", "<ref>", "<ref>", "<branch>", "heads/main", "tags/v1", "v1", "nested", "link"]),
    ("branch", &["main", "side/way", "v1", "link", "h0", "h1", "h2", "h3", "h4"]),
    ("tag", &["tags/v1", "nested", "light", "of-tree", "of-blob", "t1", "t2"]),
    (
        "op",
        &["~", "^", "~1", "~<n>", "^1", "^2", "^0", "^{}", "^{commit}", "^{tree}", "^{tag}", "^{blob}", "^{object}"],
    ),
    ("log", &["@{0}", "@{1}", "@{<n>}"]),
    ("short", &["<commit-short>", "<object-short>"]),
    (
        "commit",
        &["<name>", "<branch>", "<branch>~<n>", "<branch>^", "<commit-id>", "<commit-short>", "<tag>", "<branch>^2"],
    ),
    ("treeish", &["<commit>", "<branch>^{tree}", "<branch>:rootfs", "<branch>:rootfs/etc", "<tree-id>", "<tag>"]),
    (
        "rev",
        &[
            "<name>",
            "<commit>",
            "<commit>",
            "<id>",
            "<short>",
            "<name><op>",
            "<branch><op><op>",
            "<branch><log>",
            "<branch>:<path>",
            "<treeish>",
            "<tag>",
            "<odd>",
        ],
    ),
    (
        "range",
        &[
            "<commit>..<commit>",
            "<commit>...<commit>",
            "^<commit>",
            "<commit>^@",
            "<commit>^!",
            "<commit>^-",
            "..<commit>",
            "<commit>..",
            "<commit>^-<n>",
        ],
    ),
    (
        "odd",
        &[
            "<empty>",
            "nope",
            "-",
            "..",
            "...",
            "^main",
            "main^{",
            "main@{",
            "@{0}",
            "main@{99}",
            "main~99",
            "main^9",
            "main^{/second}",
            "main^{/nothing}",
            ":/second",
            ":/nothing",
            "main:",
            "main:nope",
            "main:config/",
            "main:rootfs/",
            "main:/nope",
            "<zero>",
            "<missing>",
            "0123",
            "zzzz",
            "refs/heads/",
            "refs/heads/../main",
            "main^{nonsense}",
            "main^0^{}~0",
            "\u{fc}",
            "a b",
            "main ",
            " main",
            "heads/",
            "refs",
            "*",
            "@@",
            "HEAD^{}^{}",
            "main^{commit",
            "main:./config",
            "main:rootfs//etc",
            "main~-1",
            "FETCH_HEAD",
            "main.lock",
        ],
    ),
    ("zero", &["0000000000000000000000000000000000000000000000000000000000000000"]),
    ("missing", &["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
    (
        "pathspec",
        &[
            "<path>",
            "<path>",
            "<folder>",
            "<folder>/",
            "rootfs/",
            "meta",
            ".",
            "./rootfs",
            "rootfs/../meta",
            "nope",
            "rootfs//etc",
            "<empty>",
            "/x",
            "../x",
            "config/",
            "rootfs/et",
            "*",
            "rootfs/e*",
            "rootfs/etc/.",
        ],
    ),
    ("kind", &["blob", "tree", "commit", "tag", "bogus", "<empty>", "Blob", "blo"]),
    // Names for refs that don't exist yet, good and bad.
    (
        "new-ref",
        &[
            "refs/x/a",
            "refs/x/b",
            "refs/x/c",
            "refs/x/a/b",
            "refs/y/a",
            "refs/heads/new",
            "refs/heads/main/sub",
            "refs/tags/new",
            "refs/x",
            "FOO",
            "refs/x/a..b",
            "refs/x/a.lock",
            "refs/x/",
            "refs//x",
            "refs/x/a b",
            "refs/x/\u{e4}",
            "refs/x/.a",
            "refs/x/@{",
            "refs/x/a.",
            "<empty>",
        ],
    ),
    // What a symbolic ref may stand for; not `HEAD`, which would stand for itself.
    ("target", &["<ref>", "<ref>", "<new-ref>"]),
    ("any-ref", &["<ref>", "<ref>", "<new-ref>", "HEAD", "refs/heads/link"]),
    (
        "date",
        &["2024-05-01", "1714559400", "yesterday", "2 hours ago", "now", "2024-05-01 10:30:00 +0200", "nonsense", "0"],
    ),
    (
        "batch-atom",
        &[
            "%(objectname)",
            "%(objecttype)",
            "%(objectsize)",
            "%(rest)",
            "%(deltabase)",
            "%%",
            "%(bogus)",
            "%",
            " ",
            "x",
        ],
    ),
    (
        "batch-format",
        &[
            "%(objectname) %(objecttype) %(objectsize)",
            "<batch-atom>",
            "<batch-atom> <batch-atom>",
            "<empty>",
            "<batch-atom><batch-atom>:<batch-atom>",
            "%(objectsize:bogus)",
            "%(objectname",
        ],
    ),
    ("disk-format", &["%(objectsize:disk)", "%(deltabase) %(objectname) %(objectsize:disk)", "<batch-format>"]),
    (
        "tree-atom",
        &[
            "%(objectmode)",
            "%(objecttype)",
            "%(objectname)",
            "%(objectsize)",
            "%(objectsize:padded)",
            "%(path)",
            "%x09",
            "%x41",
            "%n",
            "%%",
            "%(bogus)",
            "%",
            "%x0",
            " ",
            "x",
        ],
    ),
    (
        "tree-format",
        &[
            "<tree-atom>",
            "<tree-atom> <tree-atom>",
            "<tree-atom><tree-atom>-<tree-atom>",
            "<empty>",
            "%(path)",
            "%(objectmode) %(objecttype) %(objectname)%x09%(path)",
            "%(objectname)",
            "%(path",
            "%(objectmode) %(objecttype) %(objectname) %(objectsize:padded)%x09%(path)",
        ],
    ),
    (
        "link",
        &[
            "to-file",
            "to-dir",
            "to-passwd",
            "chain",
            "loop",
            "self",
            "dangling",
            "out",
            "far-out",
            "absolute",
            "not-a-dir",
            "dot",
            "slash",
            "dir/up",
            "file",
            "dir",
            "nope",
        ],
    ),
    ("text", &["why", "two words", "<empty>", "-dash", "line\nline\n", "\u{fc}mlaut", "x\n\n\n"]),
    ("host-file", &["a", "b", "c d", "nope", "folder", ".", "./a", "folder/../b"]),
];

/// All rules over one store.
pub struct Words {
    rules: HashMap<&'static str, Vec<String>>,
}

impl Words {
    /// The rules, with choices from git's copy of the store.
    pub fn new(court: &Court) -> Self {
        let list = |choices: &&[&str]| choices.iter().map(|choice| (*choice).to_owned()).collect();
        let mut rules: HashMap<&str, Vec<String>> =
            RULES.iter().chain(super::refs::RULES).map(|(name, choices)| (*name, list(choices))).collect();
        let git = |args: &[&str]| -> Vec<String> {
            court.git_text(&court.git_dir(), args).lines().map(str::to_owned).collect()
        };
        let objects = git(&["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"]);
        let of = |kind: &str| -> Vec<String> {
            objects
                .iter()
                .filter_map(|line| line.split_once(' ').filter(|(found, _)| *found == kind))
                .map(|(_, id)| id.to_owned())
                .collect()
        };
        let cut = |ids: &[String]| -> Vec<String> {
            ids.iter().enumerate().map(|(at, id)| id[..[4, 5, 7, 12, 40, 63][at % 6]].to_owned()).collect()
        };
        let all: Vec<String> = ["blob", "tree", "commit", "tag"].iter().flat_map(|kind| of(kind)).collect();
        rules.insert("commit-short", cut(&of("commit")));
        rules.insert("object-short", cut(&all));
        rules.insert("id", all);
        rules.insert("blob-id", of("blob"));
        rules.insert("tree-id", of("tree"));
        rules.insert("commit-id", of("commit"));
        rules.insert("tag-id", of("tag"));
        rules.insert("ref", git(&["for-each-ref", "--format=%(refname)"]));
        let unquoted =
            |paths: Vec<String>| -> Vec<String> { paths.into_iter().filter(|path| !path.starts_with('"')).collect() };
        rules.insert("path", unquoted(git(&["ls-tree", "-r", "--name-only", "main"])));
        rules.insert("folder", unquoted(git(&["ls-tree", "-r", "-d", "--name-only", "main"])));
        Self { rules }
    }

    /// `template` with a choice in place of every `<rule>`.
    pub fn expand(&self, dice: &mut Dice, template: &str) -> String {
        self.expand_at(dice, template, 0)
    }

    fn expand_at(&self, dice: &mut Dice, template: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('<') {
            let end = at + rest[at..].find('>').unwrap_or_else(|| panic!("'{template}' doesn't close a rule's name"));
            let choices = self.rules.get(&rest[at + 1..end]).unwrap_or_else(|| panic!("'{template}' names no rule"));
            let choice = if depth < 6 { dice.pick(choices) } else { &choices[0] };
            out += &rest[..at];
            // `<lt>` ends here, everything else goes on.
            match &rest[at + 1..end] {
                "lt" => out.push('<'),
                _ => out += &self.expand_at(dice, choice, depth + 1),
            }
            rest = &rest[end + 1..];
        }
        out + rest
    }
}
