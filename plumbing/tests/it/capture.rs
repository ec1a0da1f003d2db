//! What a container changes in its root, through a real overlay, equals the root that it sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbing::Store;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::capture::capture;
use plumbing::disk::OpenDir;
use plumbing::root::{Attrs, Root, RootIds, Time, join_path};
use plumbing::stat_cache::StatCache;
use plumbing::store::Batch;

/// A mounted overlay that goes away with the value.
struct Overlay {
    dir: tempfile::TempDir,
}

impl Overlay {
    /// `script` makes the lower folder's entries, in it.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let overlay = Self { dir };
        sh(&overlay.path("lower"), script);
        let options = format!(
            "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,redirect_dir=off,metacopy=off,index=off",
            overlay.dir.path().display()
        );
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(overlay.path("merged"));
        assert!(mount.status().unwrap().success());
        overlay
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = Command::new("umount").args([self.path("merged")]).status();
    }
}

fn sh(dir: &Path, script: &str) {
    let status = Command::new("sh").args(["-euc", script]).current_dir(dir).status().unwrap();
    assert!(status.success(), "{script}");
}

/// A folder of the host as a root.
fn read(batch: &mut Batch<'_>, path: &Path) -> Root {
    let dir = OpenDir::open(path).unwrap();
    let mut root = Root::new(Attrs::default(), Time::default());
    fill(batch, &dir, BStr::new(""), &mut root, &mut std::collections::HashMap::new());
    root
}

fn fill(
    batch: &mut Batch<'_>,
    dir: &OpenDir,
    path: &BStr,
    root: &mut Root,
    seen: &mut std::collections::HashMap<(u64, u64), BString>,
) {
    let (store, contents) = (batch.store(), batch.contents().unwrap());
    root.put_dir(store, path, dir.own_attrs().unwrap(), dir.own_stat().unwrap().mtime).unwrap();
    for name in dir.names().unwrap() {
        let path = join_path(path, name.as_bstr());
        let stat = dir.stat(name.as_bstr()).unwrap();
        if stat.is_dir() {
            fill(batch, &dir.open_dir(name.as_bstr()).unwrap(), path.as_bstr(), root, seen);
        } else if let Some(first) = seen.get(&stat.inode).filter(|_| stat.links > 1) {
            assert!(root.link(store, first.as_bstr(), path.as_bstr()).unwrap());
        } else {
            seen.insert(stat.inode, path.clone());
            let leaf = dir.leaf(name.as_bstr(), &stat, &contents, batch).unwrap();
            assert!(root.put_leaf(store, path.as_bstr(), leaf).unwrap());
        }
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    (dir, store)
}

fn stored(store: &Store, path: &Path) -> RootIds {
    let mut batch = store.batch();
    let ids = read(&mut batch, path).write(&mut batch).unwrap();
    batch.finish().unwrap();
    ids
}

fn captured(store: &Store, base: &RootIds, overlay: &Overlay, cache: &Path) -> RootIds {
    let mut batch = store.batch();
    let mut root = Root::open(store, base).unwrap();
    let mut cache = StatCache::open(cache);
    capture(&mut root, &overlay.path("upper"), &BTreeSet::new(), &mut cache, &mut batch).unwrap();
    let ids = root.write(&mut batch).unwrap();
    batch.finish().unwrap();
    cache.save().unwrap();
    ids
}

const LOWER: &str = "mkdir -p d/e f other; echo 1 >d/1; echo 2 >d/e/2; echo x >x; ln x f/x2; ln x f/x3; echo m >mode; \
    echo s >own; chmod 1777 f; ln -s d/1 link; mknod pipe p; echo same >same; echo keep >other/keep";

fn changes_survive(script: &str) {
    let (_dir, store) = store();
    let overlay = Overlay::new(LOWER);
    let base = stored(&store, &overlay.path("lower"));
    sh(&overlay.path("merged"), script);
    let cache = overlay.path("cache");
    let once = captured(&store, &base, &overlay, &cache);
    assert_eq!(once, stored(&store, &overlay.path("merged")), "{script}");
    assert_eq!(captured(&store, &base, &overlay, &cache), once, "nothing new after: {script}");
    sh(&overlay.path("merged"), "echo more >>same; rm -rf other; mkdir other; echo new >brandnew");
    captured(&store, &base, &overlay, &cache);
    sh(&overlay.path("merged"), "rm brandnew; echo back >other/back");
    let last = captured(&store, &base, &overlay, &cache);
    assert_eq!(last, stored(&store, &overlay.path("merged")), "more changes after: {script}");
}

#[test]
fn removed_files_and_folders() {
    changes_survive("rm x; rm -r d");
}

#[test]
fn a_folder_made_anew_hides_the_old() {
    changes_survive("rm -r d; mkdir d; echo new >d/new");
}

#[test]
fn a_file_replaced_by_a_folder_and_back() {
    changes_survive("rm x; mkdir x; echo y >x/y; rm -r d; echo file >d; rm -r x; echo again >x; rm d; mkdir d");
}

#[test]
fn a_renamed_folder() {
    changes_survive("mv d moved; mkdir d; mv moved/e d/");
}

#[test]
fn a_changed_mode_or_owner_alone() {
    changes_survive("chmod 4711 mode; chown 7:8 own; chmod 700 d/e; touch -d @5 f");
}

#[test]
fn hard_links_made_and_broken() {
    changes_survive("ln same d/same; ln same d/e/same; echo broken >>f/x2; echo a >n1; ln n1 n2; rm n1");
}

#[test]
fn special_files_and_attributes() {
    changes_survive(
        "mknod null c 1 3; mkfifo fifo; python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('sock')\"; \
         setfattr -n user.a -v b same; setfattr -n trusted.t -v u d; setfattr -n trusted.overlay.opaque -v y d/e; \
         ln -s nowhere dangling; mkdir '.git'; echo c >.git/config; printf n >\"$(printf 'a\\nb')\"; setfacl -m u:5:r mode; \
         cp /bin/true cap; setcap cap_net_raw+ep cap",
    );
}

#[test]
fn a_write_just_before_is_in_the_commit() {
    let (_dir, store) = store();
    let overlay = Overlay::new("echo 0 >file");
    let base = stored(&store, &overlay.path("lower"));
    let cache = overlay.path("cache");
    for round in 1..=1000 {
        // The same size each time: only the times tell.
        std::fs::write(overlay.path("merged/file"), format!("{round:04}")).unwrap();
        let ids = captured(&store, &base, &overlay, &cache);
        let folder = plumbing::root::read_folder(&store, &ids).unwrap();
        let plumbing::root::Kind::File { id, .. } = folder.leaves[BStr::new("file")].kind else { panic!("a file") };
        assert_eq!(store.read_blob(&id).unwrap(), format!("{round:04}").into_bytes());
    }
}
