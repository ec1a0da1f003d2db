//! One table a command: the options and operands it is asked with.
//!
//! To add a command, write a table and name it in [`TABLES`]. In options, operands and lines of input, words are parted by
//! `|`, and `<name>` stands for a choice of the rule `name` in [`super::words`]. What a git of 2.39 doesn't know yet is
//! listed in `judge.rs` (`LEARNED`).

use super::Table;

pub const TABLES: &[Table] = &[LS_TREE, LS_TREE_FORMAT, MKTREE];

const LS_TREE: Table = Table {
    command: "ls-tree",
    rounds: 350,
    options: &[
        "-r",
        "-r",
        "-t",
        "-d",
        "-l",
        "-z",
        "--name-only",
        "--name-status",
        "--object-only",
        "--abbrev",
        "--abbrev=<number>",
        "--full-name",
        "--full-tree",
        "--long",
        "-rt",
        "-rz",
        "-rd",
        "-ltr",
        "--no-abbrev",
        "--no-full-name",
        "--full-t",
        "--name-o",
        "--name",
        "--bogus",
        "-x",
        "--no-full-tree",
        "--object",
        "--abbrev=<n>",
        "--no-long",
    ],
    operands: &[
        "<treeish>",
        "<treeish>",
        "<treeish>|<pathspec>",
        "<treeish>|<pathspec>",
        "<treeish>|<pathspec>|<pathspec>",
        "<rev>",
        "<branch>|<path>",
        "<branch>|<path>|<folder>/",
        "",
        "--|<treeish>|<pathspec>",
        "<treeish>|--|<pathspec>",
    ],
    ..Table::READS
};

const LS_TREE_FORMAT: Table = Table {
    command: "ls-tree",
    rounds: 150,
    always: &[
        "--format=<tree-format>",
        "--format|<tree-format>",
        "--format=<tree-format>|-r",
        "--format=<tree-format>|-r|-t",
    ],
    options: &["-r", "-t", "-d", "-z", "--abbrev=<n>", "--name-only", "-l", "--format=<tree-format>", "--full-name"],
    most_options: 2,
    operands: &["<treeish>", "<branch>", "<branch>|<pathspec>", "<treeish>|<pathspec>", "<rev>", ""],
    ..Table::READS
};

const MKTREE: Table = Table {
    command: "mktree",
    rounds: 120,
    options: &["-z", "--missing", "--batch", "--no-missing", "--no-batch", "--bogus", "-z"],
    most_options: 2,
    operands: &["", "", "", "", "", "", "", "x"],
    lines: &[
        "100644 blob <blob-id>\tb<n>",
        "100755 blob <blob-id>\ta<n>",
        "40000 tree <tree-id>\tc<n>",
        "040000 tree <tree-id>\td",
        "120000 blob <blob-id>\tl",
        "160000 commit <commit-id>\ts",
        "100644 blob <missing>\tm",
        "100644 blob <tree-id>\tb",
        "100644 tree <tree-id>\tb",
        "100664 blob <blob-id>\tg",
        "100600 blob <blob-id>\tp",
        "100644 blob <blob-id>\t\"q\\tx\"",
        "100644 blob <blob-id>\t<text>",
        "100644 blob <blob-id> b",
        "x",
        "",
        "100644 blob <blob-id>\t\"q",
        "0 blob <blob-id>\tz",
        "100644 blob <blob-id>\ta/b",
        "100644  blob <blob-id>\tb",
        "100644 <kind> <id>\tk",
        "160000 commit <missing>\ts",
        "100644 blob <short>\tb",
        "+100644 blob <blob-id>\tplus",
        " 100644 blob <blob-id>\tspace",
        "100644 blob <blob-id>\t",
    ],
    ..Table::WRITES
};
