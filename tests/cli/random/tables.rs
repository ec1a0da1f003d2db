//! One table a command: the options and operands it is asked with.
//!
//! To add a command, write a table and name it in [`TABLES`]. In options, operands and lines of input, words are parted by
//! `|`, and `<name>` stands for a choice of the rule `name` in [`super::words`]. What a git of 2.39 doesn't know yet is
//! listed in `judge.rs` (`LEARNED`).

use super::Table;

pub const TABLES: &[Table] = &[
    CAT_FILE,
    CAT_FILE_BATCH,
    CAT_FILE_COMMANDS,
    CAT_FILE_ALL,
    LS_TREE,
    LS_TREE_FORMAT,
    HASH_OBJECT,
    MKTREE,
    COMMIT_TREE,
    COUNT_OBJECTS,
];

const CAT_FILE: Table = Table {
    command: "cat-file",
    rounds: 250,
    options: &[
        "-t",
        "-s",
        "-p",
        "-e",
        "-t",
        "-s",
        "-p",
        "-e",
        "--batch",
        "--buffer",
        "-z",
        "--no-buffer",
        "--follow-symlinks",
        "--unordered",
        "--batch-all-objects",
        "--bogus",
        "-x",
    ],
    most_options: 2,
    operands: &["<rev>", "<rev>", "<rev>", "<rev>", "<kind>|<rev>", "<kind>|<id>", "", "<rev>|<rev>", "--|<rev>"],
    ..Table::READS
};

const CAT_FILE_BATCH: Table = Table {
    command: "cat-file",
    rounds: 200,
    always: &[
        "--batch",
        "--batch-check",
        "--batch-check=<batch-format>",
        "--batch=<batch-format>",
        "--batch-c=<batch-format>",
    ],
    options: &[
        "--buffer",
        "--no-buffer",
        "--follow-symlinks",
        "-z",
        "-Z",
        "--unordered",
        "--batch",
        "-t",
        "--no-follow-symlinks",
    ],
    most_options: 2,
    operands: &["", "", "", "", "", "", "", "", "", "", "<rev>"],
    lines: &[
        "<rev>",
        "<rev>",
        "<id>",
        "<id> <rev>",
        "<id>\t x y",
        "<short>",
        "<branch>:<path>",
        "<rev>\r",
        "",
        " <rev>",
        "<branch>:links/<link>",
        "<branch>:links/<link>/passwd",
    ],
    ..Table::READS
};

const CAT_FILE_COMMANDS: Table = Table {
    command: "cat-file",
    rounds: 100,
    always: &["--batch-command", "--batch-command=<batch-format>"],
    options: &["--buffer", "--buffer", "-z", "-Z", "--follow-symlinks"],
    most_options: 2,
    lines: &[
        "info <rev>",
        "contents <rev>",
        "info <id>",
        "contents <id>",
        "flush",
        "contents <short>",
        "info",
        "flush now",
        "contents <branch>:<path>",
        "bogus <rev>",
        "info  <rev>",
        " info <rev>",
        "infox <rev>",
    ],
    ..Table::READS
};

const CAT_FILE_ALL: Table = Table {
    command: "cat-file",
    rounds: 30,
    always: &[
        "--batch-all-objects|--batch-check",
        "--batch-all-objects|--batch-check=<disk-format>",
        "--batch-all-objects|--batch",
        "--batch-check=<disk-format>",
    ],
    options: &["--buffer", "--no-buffer", "-Z", "--unordered"],
    most_options: 2,
    lines: &["<id>", "<rev>", "<short>"],
    in_place: true,
    ..Table::READS
};

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

const HASH_OBJECT: Table = Table {
    command: "hash-object",
    rounds: 120,
    options: &[
        "-w",
        "--stdin",
        "--stdin",
        "--stdin-paths",
        "-t|<kind>",
        "-t|blob",
        "--path=<host-file>",
        "--no-filters",
        "-t<kind>",
        "--filters",
        "--no-stdin",
        "--no-path",
        "--filters",
        "--stdin-p",
        "--path|<host-file>",
        "--no-stdin-paths",
    ],
    operands: &["", "", "<host-file>", "<host-file>|<host-file>", "--|<host-file>"],
    lines: &["a", "b", "c d", "\"c d\"", "nope", "tree <tree-id>", "<text>", "\"bad", "object <id>", ""],
    ..Table::WRITES
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

const COMMIT_TREE: Table = Table {
    command: "commit-tree",
    rounds: 120,
    options: &[
        "-p|<commit>",
        "-p|<branch>",
        "-p|<rev>",
        "-m|<text>",
        "-m|<text>",
        "-F|a",
        "-F|-",
        "-F|nope",
        "-m<text>",
        "-Fb",
        "-p<branch>",
        "--no-gpg-sign",
        "-F|folder",
    ],
    operands: &["<branch>^{tree}", "<tree-id>", "<treeish>", "<rev>", "", "<tree-id>|<tree-id>", "--|<tree-id>"],
    lines: &["subject", "", "body <n>", "\u{fc}"],
    ..Table::WRITES
};

const COUNT_OBJECTS: Table = Table {
    command: "count-objects",
    rounds: 20,
    options: &[
        "-v",
        "-H",
        "--human-readable",
        "--verbose",
        "-vH",
        "--no-verbose",
        "--no-human-readable",
        "--human",
        "--bogus",
        "-vv",
    ],
    operands: &["", "", "", "", "x"],
    in_place: true,
    ..Table::READS
};
