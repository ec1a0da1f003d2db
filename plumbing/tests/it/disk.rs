//! Reading a real folder.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use plumbing::Store;
use plumbing::disk::OpenDir;
use plumbing::root::{Kind, Time};

fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success(), "{program} {args:?}");
}

#[test]
fn every_type_of_entry_is_read_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let root = dir.path().join("r");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), "hello").unwrap();
    std::fs::set_permissions(root.join("file"), std::fs::Permissions::from_mode(0o4711)).unwrap();
    let path = |name: &str| root.join(name).display().to_string();
    run("touch", &["-h", "-d", "@1000000000.123456789", &path("file")]);
    run("setfattr", &["-n", "user.x", "-v", "0x00ff0a", &path("file")]);
    symlink("/etc/passwd", root.join("link")).unwrap();
    run("setfattr", &["-h", "-n", "trusted.l", "-v", "1", &path("link")]);
    run("mkfifo", &[&path("pipe")]);
    run("mknod", &[&path("null"), "c", "1", "3"]);
    run("mknod", &[&path("gone"), "c", "0", "0"]);
    drop(std::os::unix::net::UnixListener::bind(root.join("sock")).unwrap());
    std::fs::create_dir(root.join("sub")).unwrap();

    let open = OpenDir::open(&root).unwrap();
    assert_eq!(open.names().unwrap(), ["file", "gone", "link", "null", "pipe", "sock", "sub"]);
    let mut batch = store.batch();
    let contents = batch.contents().unwrap();
    let mut leaf = |name: &str| {
        let stat = open.stat(name.into()).unwrap();
        open.leaf(name.into(), &stat, &contents, &mut batch).unwrap()
    };
    let file = leaf("file");
    assert_eq!(file.kind, Kind::File { id: plumbing::store::hash_content(b"hello"), size: 5 });
    assert_eq!((file.attrs.mode, file.mtime), (0o4711, Time { sec: 1_000_000_000, nsec: 123_456_789 }));
    assert_eq!(file.attrs.xattrs[bstr("user.x")], [0, 255, 10]);
    let link = leaf("link");
    assert_eq!(link.kind, Kind::Symlink { id: plumbing::store::hash_content(b"/etc/passwd") });
    assert_eq!(link.attrs.xattrs[bstr("trusted.l")], "1");
    assert_eq!(leaf("null").kind, Kind::Char { major: 1, minor: 3 });
    assert_eq!(leaf("pipe").kind, Kind::Fifo);
    assert_eq!(leaf("sock").kind, Kind::Socket);
    assert!(open.stat("gone".into()).unwrap().is_whiteout());
    assert!(open.open_dir("sub".into()).unwrap().own_stat().unwrap().is_dir());
    assert!(open.open_dir("link".into()).is_err());
}

fn bstr(text: &str) -> &plumbing::bstr::BStr {
    text.into()
}
