//! `rd ls-root`

use crate::import::{git_agrees, sh};
use crate::sandbox::Sandbox;

/// A folder `r` that has everything that a root can have, and the tree that it is stored as.
pub fn everything(sandbox: &Sandbox) -> String {
    sh(
        sandbox.path(),
        r#"mkdir -p r/etc/.git r/dev r/bin r/empty "r/$(printf 'new\nline')" && cd r &&
        printf 'hi\n' > etc/motd && chown 7:4294967294 etc/motd && chmod 6751 etc/motd && ln etc/motd bin/second &&
        : > "$(printf 'etc/a b\t\377')" && ln -s '../a b=#' etc/link && chown -h 5:6 etc/link && ln etc/link bin/link &&
        mknod dev/null c 1 3 && mknod dev/disk b 259 1048575 && mkfifo -m 600 dev/pipe && chmod 1777 empty &&
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("dev/socket")' &&
        setfattr -n user.note -v 'a b' etc/motd && setfattr -n trusted.overlay.opaque -v y bin &&
        setfattr -h -n trusted.x -v '' etc/link && setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= bin/second &&
        setfacl -d -m u:9:rwx empty && truncate -s 3000000 etc/sparse && printf end >> etc/sparse && : > .wh.x &&
        touch -h -d '1969-12-31 23:59:58.5 UTC' etc/link && touch -d '2031-05-06 07:08:09.123456789 UTC' dev dev/null &&
        touch -d '@0' empty"#,
    );
    sandbox.ok(["write-tree", "r"]).trim().to_owned()
}

#[test]
fn ls_root_says_what_find_says_of_the_folder() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    git_agrees(&sandbox.store_dir());
    let format = "%(type) %(mode) %(uid) %(gid) %(path)";
    let found = sh(&sandbox.path().join("r"), r"find -printf '%y %04m %U %G %P\0' | sort -z");
    let found = String::from_utf8_lossy(&found);
    let words =
        [("f", "file"), ("d", "dir"), ("l", "link"), ("c", "char"), ("b", "block"), ("p", "fifo"), ("s", "socket")];
    let mut wanted: Vec<String> = found
        .split_terminator('\0')
        .map(|line| {
            let (kind, rest) = line.split_once(' ').unwrap();
            let (_, word) = words.iter().find(|(letter, _)| *letter == kind).unwrap();
            let top = if rest.ends_with(' ') { "." } else { "" };
            format!("{word} {rest}{top}")
        })
        .collect();
    let listed =
        sandbox.rd(["ls-root", "-z", "--format", format, &tree]).assert().success().get_output().stdout.clone();
    let listed = String::from_utf8_lossy(&listed);
    let mut listed: Vec<_> = listed.split_terminator('\0').collect();
    listed.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(listed, wanted);
    assert_eq!(listed.len(), 18);
}

#[test]
fn ls_root_has_everything_on_a_line() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    let id = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
    assert_eq!(
        sandbox.ok(["ls-root", &tree, "etc/link", "dev", ":!dev/socket", ":!dev/disk", ":!dev/pipe"]),
        "type=dir mode=0755 uid=0 gid=0 size=0 time=1935817689.123456789\tdev\n\
         type=char mode=0644 uid=0 gid=0 device=linux,1,3 time=1935817689.123456789\tdev/null\n\
         type=link mode=0777 uid=5 gid=6 time=-2.500000000 link=../a\\040b\\075\\043 nlink=2 hardlink=bin/link xattr.trusted.x=\tetc/link\n",
    );
    let motd = sandbox.ok(["ls-root", &tree, "etc/motd"]);
    assert!(motd.starts_with("type=file mode=6751 uid=7 gid=4294967294 size=3 time="), "{motd}");
    let end = " nlink=2 hardlink=bin/second xattr.security.capability=AQAAAgAgAAAAAAAAAAAAAAAAAAA= xattr.user.note=YSBi\tetc/motd\n";
    assert!(motd.ends_with(end) && !motd.contains(id), "{motd}");
    let blob = motd.split(" id=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(sandbox.ok(["cat-file", "blob", blob]), "hi\n");
    let etc = sandbox.ok(["ls-root", "--name-only", &format!("{tree}:/etc")]);
    assert_eq!(etc, ".\n.git\n\"a b\\t\\377\"\nlink\nmotd\nsparse\n");
    // In the folder alone the file has one name.
    assert!(!sandbox.ok(["ls-root", &format!("{tree}:/etc"), "motd"]).contains("nlink"));
}

#[test]
fn ls_root_shows_what_is_asked_for() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    let depth = |depth: &str| sandbox.ok(["ls-root", "--name-only", "--depth", depth, &tree]).lines().count();
    assert_eq!((depth("0"), depth("1"), depth("2"), depth("9")), (1, 7, 18, 18));
    sandbox
        .rd(["ls-root", "--format", "%(path)%x09%(xattrs) %(xattr.user.note)%%%(link)%n-", &tree, "etc/motd"])
        .assert()
        .success()
        .stdout_eq("etc/motd\txattr.security.capability=AQAAAgAgAAAAAAAAAAAAAAAAAAA= xattr.user.note=YSBi YSBi%\n-\n");
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(["ls-root", "--json", &tree, "etc/link"])).unwrap();
    assert_eq!(json["target"], "../a b=#");
    assert_eq!(json["links"], serde_json::json!(["bin/link", "etc/link"]));
    let all = sandbox.rd(["ls-root", "--json", &tree]).assert().success().get_output().stdout.clone();
    let lines = String::from_utf8(all).unwrap();
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{lines}");
    assert_eq!(sandbox.ok(["ls-root", &tree, "nothing"]), "");
}

#[test]
fn ls_root_takes_revisions_containers_and_trees() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/a", "a")]);
    for name in ["web:1", "web:1^{tree}", "refs/images/docker.io/library/web@1"] {
        assert_eq!(sandbox.ok(["ls-root", "--name-only", name]), ".\netc\netc/a\n", "{name}");
    }
    for (name, why) in [
        ("none", "error: no such image: 'none'"),
        ("web:1:config", "error: 'web:1:config' names neither a commit nor a tree"),
        ("web:1:rootfs", "error: 'web:1:rootfs' holds no root"),
        ("web:1:/etc/a", "error: '/etc/a' is no folder in"),
        ("web:1:/none", "error: no such path: '/none"),
    ] {
        let stderr = sandbox.fails(2, ["ls-root", name]);
        assert!(stderr.starts_with(why), "{name}: {stderr}");
    }
    let stderr = sandbox.fails(2, ["ls-root", "--format", "%(nonsense)", "web:1"]);
    assert!(stderr.contains("there is no field 'nonsense'"), "{stderr}");
    sandbox.fails(2, ["ls-root"]);
}
