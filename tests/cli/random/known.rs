//! Questions to which rd's answer was seen to differ from git's, each with what was seen; why was not looked into. They aren't asked;
//! the list is to get shorter.

/// A command, what its arguments have among them, and what differs.
const KNOWN: &[(&str, &[&str], &str)] = &[
    ("rev-list", &["--objects", "of-blob.."], "a blob that is excluded by name is listed where a tree has it"),
    ("diff-tree", &["--pretty=oneline", "-v"], "git prints one line a commit, rd whole messages"),
    ("for-each-ref", &["--format=%(bogus)"], "git ends with 129 over a bad operand, rd with 128 over the format"),
    ("show-ref", &["--abbrev=x"], "after --hash=N an --abbrev that is no number is taken"),
    ("rev-parse", &["of-tree^!"], "git ends with 128, rd takes it"),
    ("rev-parse", &["=:/"], "git ends with 0, rd with 128; both print it"),
    ("rev-parse", &["@{0}^{tag}"], "with --symbolic-full-name git prints nothing and ends with 0, rd with 128"),
    ("reflog", &["delete", "HEAD@{"], "where another entry goes too, git refuses that of HEAD, rd removes it"),
];

/// What differs about this question, if that is known.
pub fn difference(args: &[String]) -> Option<&'static str> {
    let has = |word: &str| match word.strip_prefix('=') {
        Some(whole) => args.iter().any(|arg| arg == whole),
        None => args.iter().any(|arg| arg.contains(word)),
    };
    let known = KNOWN.iter().find(|(command, words, _)| args[0] == *command && words.iter().all(|word| has(word)));
    known.map(|(_, _, what)| *what)
}
