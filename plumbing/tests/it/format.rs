//! `docs/format.md` and the code say the same: every vector of the page is read out of it and compared.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice, ByteVec};
use plumbing::commit::{NewCommit, State, neutral_signature};
use plumbing::gix;
use plumbing::root::{
    Attrs, HARDLINKS_BLOB, Hardlinks, Kind, Leaf, META_BLOB, Root, RootIds, TIMES_BLOB, Time, decode_folder,
    encode_folder, name,
};
use plumbing::store::{Batch, hash_content};
use plumbing::view::{Scope, View};
use plumbing::{Id, ImageName, Store, Tracking};

/// The text of the one block ```` ```vectors NAME ```` of the page.
fn block(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/format.md");
    let page = std::fs::read_to_string(path).unwrap();
    let opening = format!("\n```vectors {name}\n");
    let (_, rest) = page.split_once(&opening).unwrap_or_else(|| panic!("format.md has no block '{name}'"));
    assert!(!rest.contains(&opening), "format.md has two blocks '{name}'");
    let end = rest.find("```\n").unwrap();
    rest[..end].to_owned()
}

/// The rows of a table of two columns, without its heading.
fn rows(name: &str) -> Vec<(BString, BString)> {
    let row = |line: &str| {
        let (left, right) = line.split_once("  ").unwrap();
        (unescape(left.trim()), unescape(right.trim()))
    };
    let table = block(name);
    let rows: Vec<_> = table.lines().skip(1).map(row).collect();
    assert!(!rows.is_empty());
    rows
}

/// Read `\ooo`.
fn unescape(text: &str) -> BString {
    let mut parts = text.split('\\');
    let mut out = BString::from(parts.next().unwrap());
    for part in parts {
        out.push_byte(u8::from_str_radix(&part[..3], 8).unwrap());
        out.push_str(&part[3..]);
    }
    out
}

fn with_store(test: impl FnOnce(&Store)) {
    let dir = tempfile::tempdir().unwrap();
    test(&Store::create(dir.path().join("store")).unwrap());
}

/// The bytes of the blob `name` in the tree `tree`.
fn blob_in(store: &Store, tree: Id, name: &str) -> BString {
    let tree = store.repo().find_tree(tree).unwrap();
    let entry = tree.find_entry(name).unwrap_or_else(|| panic!("no {name} in the tree"));
    store.read_blob(&entry.object_id()).unwrap().into()
}

#[test]
fn a_new_store_has_the_configuration_of_the_page() {
    with_store(|store| {
        let config = std::fs::read_to_string(store.dir().join("config")).unwrap();
        let dir = store.dir().canonicalize().unwrap();
        assert_eq!(config, block("config").replace("STORE", &dir.display().to_string()));
    });
}

#[test]
fn contents_have_the_ids_and_places_of_the_page() {
    with_store(|store| {
        let mut batch = store.batch();
        let contents = batch.contents().unwrap();
        let ids = rows("contents").into_iter().map(|(bytes, id)| {
            assert_eq!(hash_content(&bytes).to_string(), id);
            contents.put(&bytes).unwrap().to_string()
        });
        let ids: Vec<_> = ids.collect();
        drop(contents);
        batch.finish().unwrap();
        for id in ids {
            assert!(store.dir().join("content").join(&id[..2]).join(&id[2..]).is_file());
        }
    });
}

#[test]
fn names_are_encoded_as_on_the_page() {
    for (name, encoded) in rows("names") {
        assert_eq!(name::encode(name.as_bstr()), encoded);
        assert_eq!(name::decode(encoded.as_bstr()).unwrap(), name);
    }
    for name in block("refused-names").lines() {
        name::decode(name.into()).unwrap_err();
    }
}

#[test]
fn metadata_lines_are_those_of_the_page() {
    let text = block("meta");
    let (own, total, entries) = decode_folder(text.as_bytes(), |name| Some(hash_content(name)), &|_| true).unwrap();
    assert_eq!(entries.len() + 1, text.lines().count());
    let again = encode_folder(&own, total, entries.iter().map(|(name, e)| (name.as_bstr(), &e.kind, &e.attrs)));
    assert_eq!(again.as_bstr(), text);

    assert_eq!((own.mode, total), (0o1777, 7));
    let file = &entries["a\nb".as_bytes().as_bstr()];
    assert_eq!((file.attrs.mode, file.attrs.uid, file.attrs.gid), (0o4755, 1000, 100));
    assert_eq!(file.kind, Kind::File { id: hash_content(b"a\nb"), size: 6 });
    let ping = &entries["ping".as_bytes().as_bstr()];
    assert_eq!(ping.attrs.xattrs.len(), 2);
    assert_eq!(ping.attrs.xattrs["user.a b".as_bytes().as_bstr()], "");
    let kind = |name: &str| &entries[name.as_bytes().as_bstr()].kind;
    assert_eq!(kind("null"), &Kind::Char { major: 1, minor: 3 });
    assert_eq!(kind("sda"), &Kind::Block { major: 8, minor: 0 });
    assert_eq!((kind("fifo"), kind("sock")), (&Kind::Fifo, &Kind::Socket));
}

#[test]
fn times_are_those_of_the_page() {
    with_store(|store| {
        let mut root = Root::new(attrs(0o755), Time { sec: 1_700_000_000, nsec: 1 });
        for (name, mtime) in [("a", Time { sec: 0, nsec: 0 }), ("b", Time { sec: -2, nsec: 500_000_000 })] {
            root.put_leaf(store, name.into(), Leaf { kind: Kind::Fifo, attrs: attrs(0o644), mtime }).unwrap();
        }
        let mut batch = store.batch();
        let ids = root.write(&mut batch).unwrap();
        batch.finish().unwrap();
        assert_eq!(blob_in(store, ids.times, TIMES_BLOB), block("times"));
    });
}

#[test]
fn hard_links_are_those_of_the_page() {
    let text = block("hardlinks");
    assert_eq!(Hardlinks::decode(text.as_bytes()).unwrap().encode().as_bstr(), text);
    let mut links = Hardlinks::default();
    for (existing, path) in [("z", "with space"), ("usr/bin/perl5.36.0", "usr/bin/perl"), ("a/x", "dev/x")] {
        links.link(existing.into(), path.into());
    }
    assert_eq!(links.encode().as_bstr(), text);
}

#[test]
fn image_names_become_the_refs_of_the_page() {
    for line in block("refs").lines() {
        let (name, reference) = line.split_once("  ").unwrap();
        let reference = reference.trim();
        assert_eq!(ImageName::parse(name).unwrap().to_ref(), reference);
        assert_eq!(ImageName::from_ref(reference).unwrap(), ImageName::parse(name).unwrap());
    }
}

#[test]
fn names_at_remotes_become_the_refs_of_the_page() {
    for line in block("tracking").lines() {
        let (name, reference) = line.split_once("  ").unwrap();
        assert_eq!(Tracking::parse(name).unwrap().to_ref(), reference.trim());
    }
}

#[test]
fn an_empty_folder_has_the_trees_of_the_page() {
    with_store(|store| {
        let mut batch = store.batch();
        let ids = Root::new(attrs(0o755), Time::default()).write(&mut batch).unwrap();
        let RootIds { rootfs, meta, times } = ids;
        assert_eq!(format!("rootfs  {rootfs}\nmeta    {meta}\ntimes   {times}\n"), block("empty-folder"));
    });
}

#[test]
fn the_small_root_has_the_objects_of_the_page() {
    with_store(|store| {
        let mut batch = store.batch();
        let mut root = Root::new(attrs(0), Time::default());
        block("root").lines().for_each(|line| put(&mut root, &mut batch, line));
        let state = State {
            root: root.write(&mut batch).unwrap(),
            config: batch.write_blob(br#"{"architecture":"amd64","os":"linux"}"#).unwrap(),
            manifest: None,
            layer: None,
            container: None,
        };
        let who = neutral_signature(1_700_000_000);
        let new = NewCommit { parents: vec![], author: who.clone(), committer: who, message: "a small root".into() };
        let commit = batch.write_commit(&state, new).unwrap();
        batch.finish().unwrap();

        let tree = store.read_commit(&commit).unwrap().tree;
        assert_eq!(ls_tree(store, commit), block("ls-tree"));
        assert_eq!(format!("tree    {tree}\ncommit  {commit}\n"), block("commit"));
        assert_eq!(blob_in(store, state.root.meta, HARDLINKS_BLOB), "bin/hello greet\n");
        assert!(blob_in(store, state.root.meta, META_BLOB).starts_with(b". type=dir mode=0755"));

        let view = View::new(store, Scope::Store);
        let projected = view.project(commit).unwrap();
        assert_eq!(view.read(&projected, gix::objs::Kind::Commit).unwrap().as_bstr(), block("projected"));
        assert_eq!(view.image_commit(&projected), Some(commit));
    });
}

fn ls_tree(store: &Store, commit: Id) -> String {
    let mut git = std::process::Command::new("git");
    let output = git.arg("-C").arg(store.dir()).args(["ls-tree", "-r", "-t", &commit.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", output.stderr.as_bstr());
    String::from_utf8(output.stdout).unwrap()
}

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

/// Put the entry that a line of the block `root` describes.
fn put(root: &mut Root, batch: &mut Batch<'_>, line: &str) {
    let (path, words) = line.split_once(' ').unwrap();
    let path = unescape(if path == "." { "" } else { path });
    let words: BTreeMap<&str, &str> = words.split(' ').map(|word| word.split_once('=').unwrap()).collect();
    let store = batch.store();
    if let Some(of) = words.get("of") {
        assert!(root.link(store, BStr::new(of), path.as_bstr()).unwrap());
        return;
    }
    let (attrs, mtime) = (read_attrs(&words), read_time(words["time"]));
    let done = match words["type"] {
        "dir" => root.put_dir(store, path.as_bstr(), attrs, mtime),
        _ => root.put_leaf(store, path.as_bstr(), Leaf { kind: read_kind(batch, &words), attrs, mtime }),
    };
    assert!(done.unwrap(), "{line}");
}

fn read_attrs(words: &BTreeMap<&str, &str>) -> Attrs {
    let number = |key: &str| words[key].parse().unwrap();
    let mut attrs = attrs(u32::from_str_radix(words["mode"], 8).unwrap());
    (attrs.uid, attrs.gid) = (number("uid"), number("gid"));
    if let Some(note) = words.get("xattr.user.note") {
        assert_eq!(*note, "aGk=");
        attrs.xattrs.insert("user.note".into(), "hi".into());
    }
    attrs
}

fn read_time(text: &str) -> Time {
    let (sec, nsec) = text.split_once('.').unwrap();
    Time { sec: sec.parse().unwrap(), nsec: nsec.parse().unwrap() }
}

fn read_kind(batch: &mut Batch<'_>, words: &BTreeMap<&str, &str>) -> Kind {
    match words["type"] {
        "file" => {
            let bytes = unescape(words["content"]);
            let id = batch.contents().unwrap().put(&bytes).unwrap();
            Kind::File { id, size: bytes.len() as u64 }
        }
        "link" => Kind::Symlink { id: batch.write_blob(&unescape(words["link"])).unwrap() },
        "char" => {
            assert_eq!(words["device"], "linux,1,3");
            Kind::Char { major: 1, minor: 3 }
        }
        other => panic!("no {other} on the page"),
    }
}

#[test]
fn a_layer_recipe_is_that_of_the_page() {
    use base64::Engine;
    let packed: String = block("layer-tar").split_whitespace().collect();
    let packed = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
    with_store(|store| {
        let imported =
            plumbing::import::import(store, Box::new(std::io::Cursor::new(packed)), &Default::default()).unwrap();
        let layer = store.read_commit(&imported.commit).unwrap().state.layer.unwrap();
        assert_eq!(blob_in(store, layer, "head"), block("layer-head"));

        let mut records = String::new();
        let chunk = blob_in(store, layer, "00000000");
        let mut rest = chunk.as_bstr();
        while let Some((line, behind)) = rest.split_once_str("\n") {
            let line = line.to_str().unwrap();
            let skip = line.strip_prefix("raw ").map_or(0, |length| length.parse().unwrap());
            records += &format!("{line}\n");
            rest = behind[skip..].as_bstr();
        }
        assert_eq!(records, block("layer-records"));

        let listed = block("layer-tree");
        let (listed, id) = listed.trim_end().rsplit_once("\nlayer ").unwrap();
        assert_eq!(layer.to_string(), id);
        let git = std::process::Command::new("git")
            .arg("-C")
            .arg(store.dir())
            .args(["ls-tree", "-r", "-t", id])
            .output()
            .unwrap();
        assert_eq!(git.stdout.as_bstr(), format!("{listed}\n"));
    });
}

#[test]
fn an_artifact_has_the_ids_of_the_page() {
    with_store(|store| {
        let mut batch = store.batch();
        let bytes = b"hello\n";
        let id = batch.write_content(bytes.len() as u64, &mut &bytes[..]).unwrap();
        let blobs = BTreeMap::from([(plumbing::digest::Digest::of(bytes), id)]);
        let commit = plumbing::artifact::write(&mut batch, b"{}", &blobs, Vec::new()).unwrap();
        batch.finish().unwrap();
        let tree = store.repo().find_commit(commit).unwrap().tree().unwrap();
        let artifact = tree.find_entry("artifact").unwrap().object_id();
        let found = [("artifact", artifact), ("tree", tree.id), ("commit", commit)];
        let found: Vec<_> = found.iter().map(|(name, id)| format!("{name:<8}  {id}")).collect();
        assert_eq!(block("artifact").lines().collect::<Vec<_>>(), found);
    });
}
