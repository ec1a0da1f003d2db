//! What entries of layers mean, and which are refused.

use std::time::{Duration, Instant};

use plumbing::layer::{Form, Unpacker};
use plumbing::root::{Kind, Node, Root};
use plumbing::{Error, Store};
use tar::{EntryType, Header};

use crate::layer::{Place, git_agrees};
use crate::tarball::{Tarball, header};

/// The paths of the root that these layers make, folders with a slash, files with their content, links with their target.
fn stack(place: &Place, layers: &[Tarball]) -> Result<Vec<String>, Error> {
    let mut batch = place.store.batch();
    let mut unpacker = Unpacker::new(&mut batch);
    for layer in layers {
        let tar = layer.clone().end();
        unpacker.unpack(Box::new(std::io::Cursor::new(tar)), Form::Layer)?;
    }
    let ids = unpacker.write_root()?;
    batch.finish()?;
    Ok(list(&place.store, &mut Root::open(&place.store, &ids)?))
}

fn list(store: &Store, root: &mut Root) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![String::new()];
    while let Some(path) = todo.pop() {
        let names = root.dir(store, path.as_str().into()).unwrap().unwrap().names();
        for name in names {
            let below = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            let read = |id| String::from_utf8(store.read_blob(id).unwrap()).unwrap();
            match root.get(store, below.as_str().into()).unwrap().unwrap() {
                Node::Dir(dir) => {
                    lines.push(format!("{below}/ {:o} {}", dir.attrs.mode, dir.mtime.sec));
                    todo.push(below);
                }
                Node::Leaf(leaf) => match &leaf.kind {
                    Kind::File { id, .. } => lines.push(format!("{below} {}", read(id))),
                    Kind::Symlink { id } => lines.push(format!("{below} -> {}", read(id))),
                    kind => lines.push(format!("{below} {}", kind.word())),
                },
            }
        }
    }
    lines.sort();
    lines
}

fn tar() -> Tarball {
    Tarball::default()
}

/// The lower layer of the tests.
fn lower() -> Tarball {
    tar().dir("d").file("d/old", "o").dir("d/sub").file("d/sub/old", "o").file("f", "f").symlink("l", "d")
}

#[test]
fn whiteouts_hide_lower_layers_only_whatever_the_order() {
    let new = |tar: Tarball| tar.dir("d").file("d/new", "n");
    let gone = ["d/ 644 1000", "d/new n", "f f", "l -> d"];
    let table: Vec<(&str, Tarball, Vec<&str>)> = vec![
        ("first", new(tar().file(".wh.d", "")), gone.to_vec()),
        ("last", new(tar()).file(".wh.d", ""), gone.to_vec()),
        ("between", tar().dir("d").file(".wh.d", "").file("d/new", "n"), gone.to_vec()),
        ("twice", new(tar().file(".wh.d", "")).file(".wh.d", ""), gone.to_vec()),
        ("implied folder", tar().file("d/new", "n").file(".wh.d", ""), vec!["d/ 755 0", "d/new n", "f f", "l -> d"]),
        ("implied, first", tar().file(".wh.d", "").file("d/new", "n"), vec!["d/ 755 0", "d/new n", "f f", "l -> d"]),
        (
            "one file",
            tar().file("d/.wh.old", ""),
            vec!["d/ 644 1000", "d/sub/ 644 1000", "d/sub/old o", "f f", "l -> d"],
        ),
        (
            "what is not there",
            tar().file(".wh.none", "").file("no/.wh.none", ""),
            vec!["d/ 644 1000", "d/old o", "d/sub/ 644 1000", "d/sub/old o", "f f", "l -> d"],
        ),
        (
            "a file of the layer itself",
            tar().file("f", "2").file(".wh.f", ""),
            vec!["d/ 644 1000", "d/old o", "d/sub/ 644 1000", "d/sub/old o", "f 2", "l -> d"],
        ),
        (
            "through a link",
            tar().file("l/.wh.old", "").file("l/new", "n"),
            vec!["d/ 644 1000", "d/new n", "d/sub/ 644 1000", "d/sub/old o", "f f", "l -> d"],
        ),
        ("opaque, first", tar().file("d/.wh..wh..opq", "").file("d/new", "n"), gone.to_vec()),
        ("opaque, last", new(tar()).file("d/.wh..wh..opq", ""), gone.to_vec()),
        (
            "opaque keeps what is new below",
            tar().file("d/sub/new", "n").file("d/.wh..wh..opq", ""),
            vec!["d/ 644 1000", "d/sub/ 755 0", "d/sub/new n", "f f", "l -> d"],
        ),
        ("opaque root", tar().file("x", "x").file(".wh..wh..opq", ""), vec!["x x"]),
        (
            "opaque new folder",
            tar().file("n/.wh..wh..opq", ""),
            vec!["d/ 644 1000", "d/old o", "d/sub/ 644 1000", "d/sub/old o", "f f", "l -> d", "n/ 755 0"],
        ),
        (
            "aufs's own",
            tar().file(".wh..wh.plnk/x", "").file(".wh..wh.aufs", ""),
            vec!["d/ 644 1000", "d/old o", "d/sub/ 644 1000", "d/sub/old o", "f f", "l -> d"],
        ),
        ("a folder becomes a file", tar().file("d", "D"), vec!["d D", "f f", "l -> d"]),
        (
            "a file becomes a folder",
            tar().dir("f").file("f/x", "x"),
            vec!["d/ 644 1000", "d/old o", "d/sub/ 644 1000", "d/sub/old o", "f/ 644 1000", "f/x x", "l -> d"],
        ),
        (
            "a folder replaces a link",
            tar().dir("l").file("l/x", "x"),
            vec!["d/ 644 1000", "d/old o", "d/sub/ 644 1000", "d/sub/old o", "f f", "l/ 644 1000", "l/x x"],
        ),
        (
            "a link to a lower file",
            tar().link("h", "d/old").file("d/.wh.old", ""),
            vec!["d/ 644 1000", "d/sub/ 644 1000", "d/sub/old o", "f f", "h o", "l -> d"],
        ),
    ];
    for (what, upper, want) in table {
        let place = Place::new();
        assert_eq!(stack(&place, &[lower(), upper]).unwrap(), want, "{what}");
    }
}

#[test]
fn links_lead_to_places_inside_the_root_only() {
    for (what, tar, want) in [
        ("absolute", tar().symlink("a", "/etc").file("a/x", "x"), vec!["a -> /etc", "etc/ 755 0", "etc/x x"]),
        (
            "up and out",
            tar().symlink("a", "../../../tmp").file("a/x", "x"),
            vec!["a -> ../../../tmp", "tmp/ 755 0", "tmp/x x"],
        ),
        (
            "relative",
            tar().dir("usr/lib").symlink("usr/l", "lib").file("usr/l/x", "x"),
            vec!["usr/ 755 0", "usr/l -> lib", "usr/lib/ 644 1000", "usr/lib/x x"],
        ),
        (
            "to a link",
            tar().symlink("a", "b").symlink("b", "c/d").file("a/x", "x"),
            vec!["a -> b", "b -> c/d", "c/ 755 0", "c/d/ 755 0", "c/d/x x"],
        ),
        ("absolute name", tar().file("/etc/x", "x"), vec!["etc/ 755 0", "etc/x x"]),
        ("the last component is not followed", tar().symlink("a", "/etc/passwd").file("a", "x"), vec!["a x"]),
        (
            "hard link through a link",
            tar().symlink("a", "d").file("d/x", "x").link("h", "a/x"),
            vec!["a -> d", "d/ 755 0", "d/x x", "h x"],
        ),
        ("hard link to itself", tar().file("x", "x").link("x", "./x"), vec!["x x"]),
    ] {
        let place = Place::new();
        assert_eq!(stack(&place, &[tar]).unwrap(), want, "{what}");
    }
}

fn huge(size: u64) -> Header {
    let mut header = header(EntryType::Regular, b"huge", 0);
    header.set_size(size);
    header
}

fn sized(field: &[u8]) -> Header {
    let mut header = header(EntryType::Regular, b"bad", 0);
    header.as_old_mut().size[..field.len()].copy_from_slice(field);
    header
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let deep = "d/".repeat(100_000);
    let loops = tar().symlink("a", "b").symlink("b", "a").file("a/x", "x");
    let mut chain = tar();
    for number in 0..50 {
        chain = chain.symlink(&format!("l{number}"), &format!("l{}", number + 1));
    }
    let old_sparse = |offset: &[u8], length: &[u8], real: &[u8]| {
        let mut header = header(EntryType::GNUSparse, b"sparse", 0);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.sparse[0].offset[..offset.len()].copy_from_slice(offset);
        gnu.sparse[0].numbytes[..length.len()].copy_from_slice(length);
        gnu.realsize[..real.len()].copy_from_slice(real);
        header
    };
    let table: Vec<(&str, Tarball)> = vec![
        ("..", tar().file("..", "x")),
        ("a/../../x", tar().file("a/../../x", "x")),
        ("/../x", tar().file("/../x", "x")),
        ("h", tar().link("h", "../etc/passwd")),
        ("h", tar().link("h", "/etc/passwd")),
        ("h", tar().dir("d").link("h", "d")),
        ("d", tar().file("d/x", "x").link("d", "d/x")),
        ("f/x", tar().file("f", "x").file("f/x", "x")),
        ("a/x", loops),
        ("l0/x", chain.file("l0/x", "x")),
        ("./", tar().file("./", "x")),
        (".wh.", tar().file(".wh.", "")),
        ("sub/.wh.", tar().file("sub/.wh.", "")),
        (".wh..", tar().file(".wh..", "")),
        (".wh...", tar().file(".wh...", "")),
        (".wh.x/y", tar().file(".wh.x/y", "")),
        ("d/d/d/", tar().long_name(&deep).file("x", "x")),
        ("n", tar().records(&[("path", "n".repeat(300).as_bytes())]).file("x", "x")),
        ("z\\u{0}", tar().records(&[("path", b"z\0")]).file("x", "x")),
        ("e\\u{1b}[31m", tar().records(&[("path", b"e\x1b[31m/../x")]).file("x", "x")),
        ("huge", tar().raw(huge(1 << 50), b"x")),
        ("huge", tar().raw(huge(u64::MAX), b"x")),
        ("bad", tar().raw(sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), b"")),
        ("bad", tar().raw(sized(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), b"")),
        ("bad", tar().raw(sized(b"12345678"), b"")),
        ("x", tar().records(&[("size", b"99999999999999999999")]).file("x", "x")),
        ("x", tar().records(&[("size", b"-1")]).file("x", "x")),
        ("at byte 0", tar().pax(b"99 path=x\n").file("x", "x")),
        ("at byte 0", tar().pax(b"0 path=x\n").file("x", "x")),
        ("at byte 0", tar().pax(b"path").file("x", "x")),
        ("at byte 0", tar().raw(header(EntryType::XHeader, b"x", 1 << 40), b"")),
        ("at byte", (0..2000).fold(tar(), |tar, _| tar.pax(&[0; 1024])).file("x", "x")),
        ("at byte 0", tar().entry(EntryType::XGlobalHeader, b"g", "", b"10 path=x\n").file("x", "x")),
        ("x", tar().records(&[("SCHILY.xattr.user.a", &[7; 70_000])]).file("x", "x")),
        ("x", tar().records(&[(&format!("SCHILY.xattr.user.{}", "a".repeat(300)), b"1")]).file("x", "x")),
        ("x", tar().records(&[("LIBARCHIVE.xattr.user.a", b"***")]).file("x", "x")),
        ("x", tar().records(&[("mtime", b"soon")]).file("x", "x")),
        ("x", tar().records(&[("uid", b"4294967295")]).file("x", "x")),
        ("x", tar().records(&[("RD.type", b"door")]).file("x", "")),
        ("l", tar().symlink("l", "")),
        ("l", tar().records(&[("linkpath", "t".repeat(5000).as_bytes())]).symlink("l", "x")),
        ("c", tar().records(&[("SCHILY.devmajor", b"4096")]).entry(EntryType::Char, b"c", "", b"")),
        ("odd", tar().entry(EntryType::new(b'!'), b"odd", "", b"")),
        ("sparse", tar().raw(old_sparse(b"0000000", b"7777777", b"7777777"), b"")),
        ("sparse", tar().raw(old_sparse(b"77777777777", b"1", b"7"), b"")),
        ("sparse", tar().raw(old_sparse(b"77777777777", b"0", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), b"")),
        (
            "s",
            tar()
                .records(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.realsize", b"9"),
                    ("GNU.sparse.name", b"s"),
                ])
                .file("x", "99999999\n"),
        ),
        (
            "s",
            tar()
                .records(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"s")])
                .file("x", "x"),
        ),
        (
            "x",
            tar()
                .records(&[("GNU.sparse.size", b"1125899906842624"), ("GNU.sparse.map", b"0,1,1125899906842624,0")])
                .file("x", "x"),
        ),
        ("x", tar().records(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"0,1,5")]).file("x", "x")),
    ];
    let place = Place::new();
    for (name, tar) in table {
        let began = Instant::now();
        match stack(&place, std::slice::from_ref(&tar)) {
            Err(Error::Refused { entry, why }) => {
                assert!(entry.starts_with(name), "{name}: '{entry}' {why}");
                assert!(entry.len() < 1000 && !why.is_empty() && !entry.contains('\x1b'));
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{name}");
    }
    git_agrees(&place.store);
    assert_eq!(std::fs::read_dir(place.store.content_dir()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_cut_or_garbled_archive_is_refused() {
    let place = Place::new();
    let whole = tar().file("a", &"x".repeat(3000)).records(&[("path", b"b")]).file("c", "y").end();
    assert!(place.import(&whole).is_ok());
    for cut in (0..whole.len() - 1024).step_by(100) {
        assert!(place.import(&whole[..cut]).is_err(), "cut at {cut}");
    }
    assert!(place.import(b"").unwrap_err().to_string().contains("empty"));
    assert!(place.import(&[b'x'; 600]).unwrap_err().to_string().contains("no tar header"));
    let mut split = tar().file("a", "x").0;
    split.extend_from_slice(&[0; 512]);
    split.extend(tar().file("b", "x").end());
    assert!(place.import(&split).is_err());
}

#[test]
fn zeros_without_end_are_imported_in_bounded_memory() {
    // Two gigabytes: enough to see memory grow, little enough to wait for.
    const SIZE: u64 = 2 << 30;
    let place = Place::new();
    let mut header = header(EntryType::Regular, b"zeros", SIZE);
    header.set_cksum();
    let tar = std::io::Read::chain(
        std::io::Cursor::new(header.as_bytes().to_vec()),
        std::io::Read::take(std::io::repeat(0), SIZE + 1024),
    );
    let imported = plumbing::import::import(&place.store, Box::new(tar), &Default::default()).unwrap();
    let memory = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 400_000, "{peak} kB");
    let root = place.store.read_commit(&imported.commit).unwrap().state.root;
    let mut root = Root::open(&place.store, &root).unwrap();
    let Some(Node::Leaf(leaf)) = root.get(&place.store, "zeros".into()).unwrap() else { panic!() };
    let Kind::File { id, size } = leaf.kind else { panic!() };
    assert_eq!(size, SIZE);
    let stat = std::fs::metadata(place.store.content_file(&id)).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((stat.len(), stat.blocks()), (SIZE, 0), "zeros take no room");
}

#[test]
fn folders_as_deep_as_allowed_are_fine() {
    let place = Place::new();
    let deep = vec!["d"; 1024].join("/");
    let tar = tar().long_name(&deep).file("x", "x").end();
    let imported = place.import_and_replay(&tar);
    assert!(!place.export(&imported.commit).is_empty());
    git_agrees(&place.store);
    let deeper = Tarball::default().long_name(&format!("{deep}/d")).file("x", "x").end();
    assert!(matches!(place.import(&deeper), Err(Error::Refused { .. })));
}

#[test]
fn names_like_whiteouts_are_ordinary_in_the_tar_of_a_root() {
    let place = Place::new();
    let imported =
        place.import_and_replay(&tar().file(".wh.a", "1").file(".wh.", "2").file("d/.wh..wh..opq", "3").end());
    let root = place.store.read_commit(&imported.commit).unwrap().state.root;
    let lines = list(&place.store, &mut Root::open(&place.store, &root).unwrap());
    assert_eq!(lines, [".wh. 2", ".wh.a 1", "d/ 755 0", "d/.wh..wh..opq 3"]);
}

#[test]
fn what_later_entries_replaced_is_still_in_the_recipe() {
    let place = Place::new();
    let imported = place
        .import_and_replay(&tar().file("a", "first").file("a", "second").file("b/x", "gone").file("b", "file").end());
    let layer = place.store.read_commit(&imported.commit).unwrap().state.layer.unwrap();
    let extra =
        place.store.repo().find_tree(layer).unwrap().lookup_entry_by_path("extra").unwrap().unwrap().object_id();
    assert_eq!(place.store.repo().find_tree(extra).unwrap().iter().count(), 2);
    assert_eq!(plumbing::layer::contents(&place.store, &layer).unwrap().len(), 4);
    git_agrees(&place.store);
}

#[test]
fn global_headers_hold_for_all_entries_until_taken_back() {
    let place = Place::new();
    let global = b"14 mtime=77.5\n";
    let tar = tar()
        .file("a", "")
        .entry(EntryType::XGlobalHeader, b"g", "", &global[..])
        .file("b", "")
        .records(&[("mtime", b"5")])
        .file("c", "")
        .end();
    let imported = place.import_and_replay(&tar);
    let root = place.store.read_commit(&imported.commit).unwrap().state.root;
    let mut root = Root::open(&place.store, &root).unwrap();
    let mut time = |name: &str| match root.get(&place.store, name.into()).unwrap() {
        Some(Node::Leaf(leaf)) => (leaf.mtime.sec, leaf.mtime.nsec),
        _ => panic!("{name}"),
    };
    assert_eq!((time("a"), time("b"), time("c")), ((1000, 0), (77, 500_000_000), (5, 0)));
}
