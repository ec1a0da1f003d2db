//! Questions to which rd's answer is known to differ from git's, each with what differs. They aren't asked; the list is to get shorter.

/// A command, what its arguments have among them, and what differs.
const KNOWN: &[(&str, &[&str], &str)] = &[
    ("rev-list", &["--objects", "of-blob.."], "a blob that is excluded by name is listed where a tree has it"),
    ("diff-tree", &["--pretty=oneline", "-v"], "git's -v keeps a format that was given before it"),
    ("for-each-ref", &["--format=%(bogus)"], "of several mistakes git tells the one in the operands first"),
    ("show-ref", &["--abbrev=x"], "after --hash=N an --abbrev that is no number is taken"),
    ("rev-parse", &["of-tree^!"], "of a tag of a tree git refuses it"),
    ("rev-parse", &["=:/"], "git takes it for a path"),
    ("rev-parse", &["@{0}^{tag}"], "with --symbolic-full-name git says nothing of what is no tag"),
    ("reflog", &["delete", "HEAD@{"], "git opens HEAD's log anew for each entry"),
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
