//! Questions to which rd's answer differs from git's, with what is known of the reason. They aren't asked; the list is to get shorter.

/// A command, what its arguments have among them, and what differs.
const KNOWN: &[(&str, &[&str], &str)] = &[
    (
        "rev-parse",
        &["@{0}^{tag}"],
        "git, which finds no tag, takes '0}^{tag' for the date of a log's entry; with --symbolic-full-name it prints nothing then",
    ),
    (
        "reflog",
        &["delete", "HEAD@{"],
        "in some repositories git finds no log of HEAD after it removed an entry of another log, rd does; why isn't known",
    ),
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
