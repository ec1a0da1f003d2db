//! Layers against the programs that write and read tars.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use plumbing::digest::Digest;
use plumbing::disk::OpenDir;
use plumbing::import::{Imported, Wishes, import};
use plumbing::layer::{pack_root, replay};
use plumbing::root::RootIds;
use plumbing::write_tree::write_tree;
use plumbing::{Error, Store};

/// A store in a folder of its own.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub store: Store,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub fn import(&self, tar: &[u8]) -> Result<Imported, Error> {
        import(&self.store, Box::new(std::io::Cursor::new(tar.to_vec())), &Wishes::default())
    }

    /// Import, and check that the recipe gives the same bytes again.
    pub fn import_and_replay(&self, tar: &[u8]) -> Imported {
        let imported = self.import(tar).unwrap();
        let layer = self.store.read_commit(&imported.commit).unwrap().state.layer.unwrap();
        let mut again = Vec::new();
        let head = replay(&self.store, &layer, &mut again).unwrap();
        assert!(again == tar, "the recipe gives {} bytes, not {}", again.len(), tar.len());
        assert_eq!(head.diff_id, imported.ending.diff_id);
        imported
    }

    pub fn export(&self, commit: &plumbing::Id) -> Vec<u8> {
        let root = self.store.read_commit(commit).unwrap().state.root;
        let mut tar = Vec::new();
        pack_root(&self.store, &root, &mut tar).unwrap();
        tar
    }
}

/// Two roots are the same; git says where they are not.
pub fn assert_same(store: &Store, left: RootIds, right: RootIds, what: &str) {
    let differ = |left: plumbing::Id, right: plumbing::Id| {
        sh(store.dir(), &format!("git diff --stat -p {left} {right} -- 2>&1 || true"))
    };
    if left != right {
        let meta = [differ(left.meta, right.meta), differ(left.times, right.times)].concat();
        panic!("{what}: {left:?} is not {right:?}\n{}", String::from_utf8_lossy(&meta));
    }
}

/// git has no complaint about the store.
pub fn git_agrees(store: &Store) {
    let fsck = sh(store.dir(), "git fsck --strict --full --no-dangling 2>&1");
    let fsck = String::from_utf8_lossy(&fsck);
    let complaints: Vec<_> = fsck.lines().filter(|line| !line.starts_with("notice: ")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// Run a shell script in `dir`; gives its stdout.
pub fn sh(dir: &Path, script: &str) -> Vec<u8> {
    let output = Command::new("bash").arg("-euc").arg(script).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Give a program `input`; its stdout.
pub fn pipe(dir: &Path, script: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("bash")
        .args(["-euc", script])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{script}");
    output.stdout
}

/// A folder with everything that a root can have. No fraction of a second before 1970: libarchive writes -1.75 for -0.25.
const EVERYTHING: &str = r#"
mkdir -p r/empty r/dir/.git r/deep/a/b/c r/sticky r/xdir
cd r
echo hello > file; chmod 4711 file; chown 1000:100 file
: > nothing
ln file dir/second; ln file zz-third
ln -s ../file dir/link; ln -s /etc/passwd absolute; ln -s nowhere dangling
ln dangling hard-to-a-link
mkfifo pipe; mknod null c 1 3; mknod disk b 259 1048575; chmod 600 null
chmod 1777 sticky; chmod 2755 xdir
echo cfg > dir/.git/config
printf x > $'line\nend'; printf x > $'not\xffutf8'; printf x > 'a b\c#d'; printf x > ä
printf x > %meta; printf x > .wh.notawhiteout; printf x > ' lead'
long=$(printf 'n%.0s' {1..200}); mkdir -p $long/$long; echo long > $long/$long/$long
ln -s /$long/$long to-long
head -c 3000000 /dev/zero | tr '\0' 'x' > big
truncate -s 5M sparse; printf data | dd of=sparse bs=1 seek=3000000 conv=notrunc status=none
setfattr -n user.bin -v 0x00ff0a3d20 file
setfattr -n user.text -v 'a=b c' dir; setfattr -n trusted.overlay.opaque -v y xdir
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 big
setfattr -h -n trusted.l -v 1 absolute
setfattr -n user.empty nothing
chown 4294967294:3000000 nothing
touch -h -d '@1.5' dangling; touch -d '@-2' nothing; touch -d '@99999999999.000000001' big
touch -d '2024-05-01T10:30:00.123456789Z' file; touch -d '@5' empty; touch -d '@7.5' .
cd ..
"#;

fn gnu_tar(flags: &str) -> String {
    let xattrs = if flags.contains("=gnu") { "" } else { "--xattrs --xattrs-include='*'" };
    format!("tar -C r --sort=name {xattrs} {flags} -cf - .")
}

#[test]
fn recipes_give_the_same_bytes_again_whoever_wrote_the_tar() {
    let place = Place::new();
    sh(place.dir.path(), EVERYTHING);
    let gnu = [
        "--format=pax",
        "--format=gnu",
        "--format=posix -S --sparse-version=0.0",
        "--format=posix -S --sparse-version=0.1",
        "--format=posix -S --sparse-version=1.0",
        "--format=gnu -S",
        "--format=gnu -b 1",
        "--format=posix --pax-option=globexthdr.name=g,comment=x",
    ];
    let scripts = gnu.iter().map(|flags| gnu_tar(flags)).chain([
        "bsdtar -C r --format=pax -cf - .".into(),
        "bsdtar -C r --format=gnutar -cf - .".into(),
        "cd r; tar --format=ustar -cf - file dir empty pipe null zz-third sticky".into(),
        "cd r; tar --format=v7 -cf - file dir/second dir/link empty".into(),
        "python3 -c 'import tarfile,sys;t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\",format=tarfile.PAX_FORMAT);t.add(\"r\",\"./\");t.close()'".into(),
        "python3 -c 'import tarfile,sys;t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\",format=tarfile.GNU_FORMAT);t.add(\"r\",\"r\");t.close()'".into(),
    ]);
    for script in scripts {
        let tar = sh(place.dir.path(), &script);
        assert!(tar.len() > 2000, "{script}");
        let imported = place.import_and_replay(&tar);
        let sum = String::from_utf8(pipe(place.dir.path(), "sha256sum", &tar)).unwrap();
        assert_eq!(imported.ending.diff_id.hex(), sum.split(' ').next().unwrap(), "{script}");
    }
    git_agrees(&place.store);
}

/// The root of a real folder.
fn write_dir(place: &Place, name: &str) -> RootIds {
    let mut batch = place.store.batch();
    let ids = write_tree(&mut batch, OpenDir::open(place.path(name)).unwrap()).unwrap();
    batch.finish().unwrap();
    ids
}

#[test]
fn a_root_with_everything_comes_back_entry_by_entry() {
    let place = Place::new();
    sh(place.dir.path(), EVERYTHING);
    let disk = write_dir(&place, "r");
    let root = |imported: &Imported| place.store.read_commit(&imported.commit).unwrap().state.root;

    let gnu = place.import(&sh(place.dir.path(), &gnu_tar("--format=pax"))).unwrap();
    assert_same(&place.store, root(&gnu), disk, "as GNU tar writes it");
    let sparse = place.import(&sh(place.dir.path(), &gnu_tar("--format=pax -S"))).unwrap();
    assert_same(&place.store, root(&sparse), disk, "with sparse files");
    let bsd = place.import(&sh(place.dir.path(), "bsdtar -C r --format=pax -cf - .")).unwrap();
    assert_same(&place.store, root(&bsd), disk, "as bsdtar writes it");

    let exported = place.export(&gnu.commit);
    assert_same(&place.store, root(&place.import_and_replay(&exported)), disk, "through our own archive");
    for (name, unpack) in [
        ("gnu", "tar -x --xattrs --xattrs-include='*' -p --numeric-owner -C gnu"),
        ("bsd", "bsdtar -x -p --numeric-owner -f - -C bsd"),
        (
            "python",
            "cat > t.tar; python3 -c 'import tarfile;tarfile.open(\"t.tar\").extractall(\"python\",numeric_owner=True)'",
        ),
    ] {
        sh(place.dir.path(), &format!("mkdir {name}"));
        pipe(place.dir.path(), unpack, &exported);
        // bsdtar leaves the time of the folder that it unpacks into alone.
        sh(place.dir.path(), &format!("touch -d @7.5 {name}"));
        let unpacked = write_dir(&place, name);
        if name == "python" {
            // It knows no xattrs and cuts times.
            assert_eq!(unpacked.rootfs, disk.rootfs, "{name}");
        } else {
            assert_same(&place.store, unpacked, disk, name);
        }
    }
}

#[test]
fn sockets_come_back_through_our_own_archives() {
    let place = Place::new();
    sh(
        place.dir.path(),
        "mkdir r; cd r; python3 -c 'import socket;socket.socket(socket.AF_UNIX).bind(\"s\")'; chmod 750 s",
    );
    let disk = write_dir(&place, "r");
    let mut tar = Vec::new();
    pack_root(&place.store, &disk, &mut tar).unwrap();
    let again = place.import_and_replay(&tar);
    assert_eq!(place.store.read_commit(&again.commit).unwrap().state.root, disk);
}

#[test]
fn the_same_archive_gives_the_same_commit_however_it_is_compressed() {
    let place = Place::new();
    sh(place.dir.path(), EVERYTHING);
    let tar = sh(place.dir.path(), &gnu_tar("--format=pax"));
    let commit = place.import(&tar).unwrap().commit;
    for program in [
        "gzip",
        "xz -1",
        "zstd -q",
        "(head -c 5000000 | gzip; cat | gzip)",
        "(head -c 5000000 | zstd -q; cat | zstd -q)",
    ] {
        let packed = pipe(place.dir.path(), program, &tar);
        let other = Place::new();
        assert!(packed.len() < tar.len());
        let imported = other.import(&packed).unwrap();
        assert_eq!(imported.commit, commit, "{program}");
        assert_eq!(imported.ending.wire, (Digest::of(&packed), packed.len() as u64));
    }
}
