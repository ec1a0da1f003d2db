//! `rd ls-tree`

use crate::judge::Court;

#[test]
fn ls_tree_is_gits() {
    let mut court = Court::new();
    let options = [
        "",
        "-r",
        "-t",
        "-d",
        "-l",
        "-z",
        "-r|-t",
        "-r|-d",
        "-rtl",
        "-r|-z|-l",
        "--name-only",
        "--name-status|-r",
        "--object-only|-r",
        "--abbrev",
        "--abbrev=10|-r",
        "--abbrev=2",
        "--abbrev=0",
        "--abbrev=99",
        "--abbrev=x",
        "--full-tree|-r",
        "--full-name",
        "-l|--name-only",
        "--object-only|--name-only",
        "--long|-r",
        "-d|-l",
        "-r|-r|--name-o",
        "--bogus",
    ];
    let operands = [
        "main",
        "main:rootfs",
        "main:rootfs/etc",
        "tags/v1",
        "of-tree",
        "of-blob",
        "main:config",
        "nope",
        "",
        "main|rootfs",
        "main|rootfs/",
        "main|rootfs/etc|meta/",
        "main|rootfs/etc/passwd",
        "main|rootfs/etc/apt",
        "main|rootfs/etc/ap",
        "main|nope",
        "main|config/",
        "main|./rootfs//etc/",
        "main|.",
        "main|rootfs/../meta",
        "main|../x",
        "main|/x",
        "main|EMPTY",
        "main|rootfs/etc|rootfs",
        "main|rootfs/usr/share/doc/",
        "main|*",
    ];
    court.compare_all("ls-tree", &options, &operands);
    court.verdict(180);
}
