//! `rd show-ref`

use crate::judge::Court;

#[test]
fn show_ref_is_gits() {
    let mut court = Court::new();
    let options = [
        "",
        "--head",
        "--heads",
        "--branches",
        "--tags",
        "--heads|--tags",
        "--head|--tags",
        "-d",
        "--tags|-d",
        "-s",
        "--hash=9",
        "-s|--tags|-d",
        "--abbrev",
        "--abbrev=12",
        "-q",
        "--verify",
        "--verify|-q",
        "--verify|-d",
        "--verify|-s",
        "--verify|--hash=8",
        "--exists",
        "--exists|--verify",
        "--head|--verify",
        "--bogus",
    ];
    let operands = [
        "",
        "main",
        "v1",
        "nope",
        "heads/main",
        "ain",
        "refs/heads/main",
        "refs/tags/v1",
        "HEAD",
        "refs/heads/nope",
        "refs/heads/main|refs/tags/v1",
        "debian@12",
        "main|nope",
        "refs/heads/link",
        "refs/heads",
        "refs/heads/main|nope",
        "FOO",
        "refs/heads/a..b",
        "refs/heads/",
    ];
    court.compare_all("show-ref", &options, &operands);
    let existing = court.git_text(&court.git_dir(), &["rev-parse", "main"]);
    let input = format!(
        "{existing} refs/heads/main\n{existing} refs/heads/new\nrefs/tags/v1^{{}}\nrefs/tags/v9^{{}}\nbad..name\n\n"
    );
    for option in ["--exclude-existing", "--exclude-existing=refs/tags/", "--exclude-existing=nope"] {
        court.compare_with(&["show-ref", option], input.as_bytes(), &[]);
    }
    court.verdict(130);
}
