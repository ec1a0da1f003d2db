//! `rd diff-root`

use crate::import::sh;
use crate::ls_root::everything;
use crate::sandbox::Sandbox;

#[test]
fn diff_root_tells_each_field_from_what_to_what() {
    let sandbox = Sandbox::new();
    let before = everything(&sandbox);
    sh(
        sandbox.path(),
        r#"cd r && printf 'hello\n' > bin/second && chmod 755 etc/motd && rm dev/pipe && mkdir -m 700 dev/pipe && rm dev/disk &&
        touch -d '@1' dev/pipe && ln -sf x etc/link && touch -h -d '@2' etc/link && ln etc/sparse bin/sparse && setfattr -x user.note etc/motd &&
        touch -d '@3' etc/motd && chown 1:2 empty && touch -d '@0' . bin etc dev dev/pipe"#,
    );
    let after = sandbox.ok(["write-tree", "r"]).trim().to_owned();
    let blank = |text: &str| {
        let hex = |word: &str| word.len() > 60 && word.chars().all(|c| c.is_ascii_hexdigit());
        let words = text.split(' ').map(|word| match word.split_once('=') {
            Some((key, value))
                if hex(value.split('\t').next().unwrap()) || key.ends_with("time") && value.starts_with('1') =>
            {
                format!("{key}=…{}", value.find('\t').map_or("", |at| &value[at..]))
            }
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let listed = sandbox.ok(["diff-root", &before, &after]);
    let listed: Vec<String> = listed.lines().map(blank).collect();
    assert_eq!(
        listed.join("\n"),
        "M\t-time=… +time=0.000000000\t.\n\
         M\t-time=… +time=0.000000000\tbin\n\
         M\t-nlink=2 -hardlink=bin/link\tbin/link\n\
         M\t-mode=6751 +mode=0755 -size=3 +size=6 -time=… +time=3.000000000 -id=… +id=… \
         -xattr.security.capability=AQAAAgAgAAAAAAAAAAAAAAAAAAA= -xattr.user.note=YSBi\tbin/second\n\
         A\t+type=file +mode=0644 +uid=0 +gid=0 +size=3000003 +time=… +id=… +nlink=2 +hardlink=bin/sparse\tbin/sparse\n\
         M\t-time=… +time=0.000000000\tdev\n\
         D\t-type=block -mode=0644 -uid=0 -gid=0 -device=linux,259,1048575 -time=…\tdev/disk\n\
         T\t-type=fifo +type=dir -mode=0600 +mode=0700 -time=… +time=0.000000000\tdev/pipe\n\
         M\t-uid=0 +uid=1 -gid=0 +gid=2\tempty\n\
         M\t-time=… +time=0.000000000\tetc\n\
         M\t-uid=5 +uid=0 -gid=6 +gid=0 -time=-2.500000000 +time=2.000000000 -link=../a\\040b\\075\\043 +link=x \
         -nlink=2 -hardlink=bin/link -xattr.trusted.x=\tetc/link\n\
         M\t-mode=6751 +mode=0755 -size=3 +size=6 -time=… +time=3.000000000 -id=… +id=… \
         -xattr.security.capability=AQAAAgAgAAAAAAAAAAAAAAAAAAA= -xattr.user.note=YSBi\tetc/motd"
    );
}

#[test]
fn diff_root_ends_as_git_diff_does() {
    let sandbox = Sandbox::new();
    sandbox.image("a", &[("etc/a", "1"), ("x y", "1")]);
    sandbox.image("b", &[("etc/a", "2"), ("x y", "1"), ("\u{e4}", "")]);
    assert_eq!(sandbox.ok(["diff-root", "--name-status", "a", "b"]), "M\tetc/a\nA\t\"\\303\\244\"\n");
    assert_eq!(sandbox.ok(["diff-root", "--name-only", "-z", "a", "b"]), "etc/a\0\u{e4}\0");
    assert_eq!(sandbox.ok(["diff-root", "a", "a"]), "");
    sandbox.rd(["diff-root", "--exit-code", "--name-only", "a", "b", "etc"]).assert().code(1).stdout_eq("etc/a\n");
    sandbox.rd(["diff-root", "--exit-code", "a", "b", "x y"]).assert().code(0).stdout_eq("");
    sandbox.rd(["diff-root", "-q", "a", "b"]).assert().code(1).stdout_eq("");
    sandbox.rd(["diff-root", "--quiet", "a:/etc", "a:/etc"]).assert().code(0).stdout_eq("");
    assert_eq!(sandbox.ok(["diff-root", "--name-status", "a:/etc", "b:/etc"]), "M\ta\n");
    assert!(sandbox.fails(2, ["diff-root", "a", "none"]).starts_with("error: no such image: 'none'"));
    sandbox.fails(2, ["diff-root", "a"]);
}

#[test]
fn diff_root_can_leave_out_times() {
    let sandbox = Sandbox::new();
    let before = everything(&sandbox);
    sh(sandbox.path(), "touch -d @7 r/etc/motd r/etc && chmod 700 r/bin");
    let after = sandbox.ok(["write-tree", "r"]);
    let after = after.trim();
    assert_eq!(sandbox.ok(["diff-root", "--name-only", &before, after]), "bin\nbin/second\netc\netc/motd\n");
    assert_eq!(sandbox.ok(["diff-root", "--ignore-times", &before, after]), "M\t-mode=0755 +mode=0700\tbin\n");
}
