//! `rd for-each-ref`

use crate::judge::Court;
use crate::sandbox::Sandbox;

/// Formats, each tried on all refs.
const FORMATS: [&str; 66] = [
    "%(refname)",
    "%(refname:short)",
    "%(refname:lstrip=1) %(refname:lstrip=2) %(refname:lstrip=-1)",
    "%(refname:strip=9)|%(refname:rstrip=1)|%(refname:rstrip=-1)|%(refname:rstrip=7)",
    "%(refname:lstrip=x)",
    "%(refname:bogus)",
    "%(objecttype) %(objectsize) %(objectname:short) %(objectname:short=10) %(objectname:short=2)",
    "%(objectname:short=0)",
    "%(objectname:foo)",
    "%(*objecttype) %(*objectsize) %(*objectname) %(*refname)",
    "%(tree) %(tree:short) %(parent) %(parent:short=9) %(numparent)",
    "%(object) %(type) %(tag)",
    "%(*tree) %(*parent) %(*numparent) %(*object)",
    "%(author)|%(authorname)|%(authoremail)|%(authordate)",
    "%(committer)|%(committername)|%(committeremail)|%(committerdate)",
    "%(tagger)|%(taggername)|%(taggeremail)|%(taggerdate)",
    "%(creator)|%(creatordate)",
    "%(creatorname)",
    "%(authoremail:trim)|%(taggeremail:localpart)|%(*authoremail)",
    "%(authoremail:foo)",
    "%(authordate:iso)|%(authordate:iso8601)|%(authordate:iso-strict)|%(authordate:rfc)",
    "%(creatordate:short)|%(creatordate:unix)|%(creatordate:raw)|%(creatordate:default)",
    "%(creatordate:relative)|%(creatordate:human)",
    "%(creatordate:local)|%(creatordate:iso-local)|%(creatordate:raw-local)|%(creatordate:rfc-local)",
    "%(creatordate:format:%Y-%m-%d %H:%M:%S %z %s %%d)",
    "%(creatordate:format-local:%a %A %b %B %d %e %j %p %y)",
    "%(creatordate:bogus)",
    "%(subject)|%(body)|%(contents)|%(contents:subject)|%(contents:body)|%(contents:signature)|%(contents:size)",
    "%(contents:lines=1)|%(contents:lines=2)|%(contents:lines=9)|%(contents:lines=0)",
    "%(contents:lines=x)",
    "%(contents:foo)",
    "%(*subject)|%(*body)|%(*contents)",
    "%(subject:sanitize)",
    "%(raw:size) %(*raw:size)",
    "%(HEAD) %(symref) %(symref:short) %(symref:lstrip=2) %(flag)",
    "%(upstream)|%(upstream:short)|%(upstream:track)|%(push)",
    "%(if)%(symref)%(then)S %(symref)%(else)N%(end)",
    "%(if:equals=tag)%(objecttype)%(then)tag%(else)%(objecttype)%(end)!",
    "%(if:notequals=tag)%(objecttype)%(then)other%(end)!",
    "%(if:foo=tag)%(objecttype)%(then)other%(end)!",
    "%(if)%(numparent)%(then)%(if:equals=0)%(numparent)%(then)root%(else)child%(end)%(end).",
    "%(align:30)%(refname)%(end)|",
    "%(align:30,right)%(refname)%(end)|%(align:width=9,position=middle)ab%(end)|",
    "%(align:right,40)%(if)%(tag)%(then)%(tag)%(else)none%(end)%(end)|",
    "%(align:3)%(refname)%(end)|",
    "%(align)%(refname)%(end)|",
    "%(align:foo)%(refname)%(end)|",
    "%(then)",
    "%(else)",
    "%(end)",
    "%(if)%(then)",
    "%(if)x%(end)",
    "%(if)x%(else)y%(end)",
    "%(if)x%(then)y%(then)%(end)",
    "%(if)x%(then)y%(else)z%(else)%(end)",
    "%(align:20)%(refname)",
    "%% %x %41%0a%(objecttype)%",
    "%(",
    "%()",
    "%(bogus)",
    "%(objecttype:x)",
    "%(color:red)%(refname)",
    "%(color:bold blue)%(refname)%(color:reset) x",
    "%(color:mauve)",
    "%(rest)",
    "",
];

const OPTIONS: [&str; 44] = [
    "",
    "--count=3",
    "--count=0",
    "--count=-1",
    "--sort=objectname",
    "--sort=-refname",
    "--sort=objecttype|--sort=-objectsize",
    "--sort=-objectsize|--sort=objecttype",
    "--sort=creatordate",
    "--sort=-taggerdate|--sort=-refname",
    "--sort=version:refname",
    "--sort=-v:refname",
    "--sort=*objectname",
    "--sort=authorname|--sort=-version:refname:short",
    "--sort=numparent",
    "--sort=bogus",
    "--sort=",
    "--points-at=main",
    "--points-at=main~1|--points-at|v1",
    "--points-at=nope",
    "--contains|main~1",
    "--contains=main",
    "--contains",
    "--no-contains=main",
    "--contains=main~1|--no-contains=main",
    "--contains=nope",
    "--contains=main^{tree}",
    "--merged=main~1",
    "--merged|main",
    "--no-merged=main~1",
    "--merged=main|--no-merged=main~1",
    "--merged=nope",
    "--shell",
    "--perl",
    "--python",
    "--tcl",
    "--shell|--perl",
    "--ignore-case",
    "--exclude=refs/tags",
    "--exclude=refs/*/m*|--exclude=refs/images/",
    "--omit-empty|--format=%(symref)",
    "--include-root-refs",
    "--color=always|--format=%(color:red)%(refname)%(color:reset)|--sort=refname",
    "--stdin",
];

const PATTERNS: [&str; 14] = [
    "",
    "refs/heads",
    "refs/heads/",
    "refs/tags/v*",
    "refs/*/main",
    "refs/*",
    "refs/**",
    "refs/heads/m[a-m]in",
    "refs/heads/main|refs/tags",
    "main",
    "refs/heads/ma",
    "REFS/HEADS/MAIN",
    "refs/images/**/debian@*",
    "nope",
];

#[test]
fn for_each_ref_is_gits() {
    let mut court = Court::new();
    court.compare_all("for-each-ref", &OPTIONS, &PATTERNS);
    for format in FORMATS {
        let format = format!("--format={format}");
        court.compare(&["for-each-ref", &format]);
        court.compare(&["for-each-ref", "--shell", &format, "refs/tags"]);
        court.compare(&["for-each-ref", "--python", &format, "refs/heads"]);
        court.compare(&["for-each-ref", "--tcl", &format, "refs/heads"]);
    }
    court.compare_with(&["for-each-ref", "--stdin"], b"refs/heads/main\nrefs/tags/v1\n", &[]);
    court.compare_with(&["for-each-ref", "--stdin", "x"], b"refs/heads/main\n", &[]);
    court.compare(&["for-each-ref", "--bogus"]);
    court.compare(&["for-each-ref", "--merged=main^{tree}"]);
    court.compare_in_place(&["for-each-ref", "--format=%(worktreepath)"]);
    court.verdict(300);
}

#[test]
fn messages_and_branches_that_follow_others_are_gits() {
    let mut court = Court::new();
    let messages =
        ["one", "a b\nc\n\nbody\n", "\n\nlate\n", "x\n\ny\n-----BEGIN PGP SIGNATURE-----\nz\n", "", "s\n\n\n\nb\n\n"];
    for dir in [court.git_dir(), court.sandbox.store_dir()] {
        for (number, message) in messages.iter().enumerate() {
            let parent = court.first.to_string();
            let tree = court.git_text(&dir, &["rev-parse", &format!("{parent}^{{tree}}")]);
            let id = court.git_input(&dir, &["commit-tree", "-p", &parent, &tree], message.as_bytes());
            court.git_text(&dir, &["update-ref", &format!("refs/heads/m{number}"), &id]);
            court.git_text(&dir, &["update-ref", &format!("refs/remotes/origin/m{number}"), &parent]);
            court.git_text(&dir, &["config", &format!("branch.m{number}.remote"), "origin"]);
            court.git_text(&dir, &["config", &format!("branch.m{number}.merge"), &format!("refs/heads/m{number}")]);
        }
        court.git_text(&dir, &["config", "remote.origin.url", "/nowhere"]);
        court.git_text(&dir, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
        court.git_text(&dir, &["update-ref", "-d", "refs/remotes/origin/m1"]);
    }
    for format in [
        "%(contents)|%(subject)|%(body)|%(contents:body)|%(contents:signature)|%(contents:size)|%(contents:lines=2)",
        "%(contents:lines=3)|%(contents:lines=9)",
        "%(upstream)|%(upstream:short)|%(upstream:track)|%(upstream:trackshort)|%(upstream:track,nobracket)",
        "%(upstream:remotename)|%(upstream:remoteref)|%(upstream:lstrip=2)",
        "%(ahead-behind:main)",
        "%(ahead-behind:nope)",
    ] {
        court.compare(&["for-each-ref", &format!("--format={format}"), "refs/heads"]);
    }
    court.verdict(6);
}

#[test]
fn broken_refs_are_left_out_with_a_warning() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web", &[]);
    std::fs::create_dir_all(sandbox.store_dir().join("refs/heads")).unwrap();
    std::fs::write(sandbox.store_dir().join("refs/heads/bad"), "no id\n").unwrap();
    std::fs::write(sandbox.store_dir().join("refs/heads/gone"), "ref: refs/heads/nowhere\n").unwrap();
    let line = format!("{id} commit\trefs/images/docker.io/library/web@latest\n");
    let warnings = "warning: ignoring broken ref refs/heads/bad\nwarning: ignoring broken ref refs/heads/gone\n";
    sandbox.rd(["for-each-ref"]).assert().success().stdout_eq(line).stderr_eq(warnings);
}
