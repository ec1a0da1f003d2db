//! `rd mount`, `rd umount`

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use porcelain::mounts::in_use;
use porcelain::rootfs::{Lower, StrategyCache, mount_read_only};

use crate::import::sh;
use crate::ls_root::everything;
use crate::sandbox::{Sandbox, wait_for};

/// Run a script in a mount namespace of its own, in which `rd` works on the sandbox's store; what it prints.
fn apart(sandbox: &Sandbox, script: &str) -> String {
    let store = sandbox.store_dir();
    let rd = format!("rd() {{ {} --root {} \"$@\"; }}\n", env!("CARGO_BIN_EXE_rd"), store.display());
    fs::write(sandbox.path().join("script"), rd + script).unwrap();
    String::from_utf8(sh(sandbox.path(), "unshare -m bash -eu script 2>&1")).unwrap()
}

fn notes(sandbox: &Sandbox) -> usize {
    fs::read_dir(sandbox.store_dir().join("mounted")).map_or(0, Iterator::count)
}

#[test]
fn a_mount_is_the_root_by_every_strategy() {
    for strategy in ["erofs", "erofs-loop"] {
        let sandbox = Sandbox::new();
        let tree = everything(&sandbox);
        fs::create_dir_all(sandbox.store_dir().join("mounts")).unwrap();
        let release = String::from_utf8(sh(sandbox.path(), "uname -r")).unwrap();
        fs::write(sandbox.store_dir().join("mounts/strategy"), format!("{}\t{strategy}\n", release.trim())).unwrap();
        let loops = || String::from_utf8(sh(sandbox.path(), "losetup -a | grep -c mounts/ || true")).unwrap();
        let before = loops();
        let shown = apart(
            &sandbox,
            &format!(
                "mkdir m; rd mount {tree} m; rd write-tree m; grep -c ' - overlay rd:' /proc/self/mountinfo
                 grep -o '/m ro,nosuid,nodev,relatime' /proc/self/mountinfo; ! touch m/x 2>/dev/null; rd umount m
                 ls m; ! grep rd: /proc/self/mountinfo"
            ),
        );
        assert_eq!(shown, format!("{tree}\n1\n/m ro,nosuid,nodev,relatime\n"), "{strategy}");
        assert_eq!(notes(&sandbox), 0);
        wait_for(|| (loops() == before).then_some(()));
    }
}

#[test]
fn a_checked_out_folder_is_mounted_where_images_cant_be() {
    let sandbox = Sandbox::new();
    sh(sandbox.path(), "mkdir -p r/etc empty m && echo hello > r/etc/motd && chmod 751 r");
    let path = sandbox.path().to_owned();
    let looked = std::thread::spawn(move || {
        use nix::mount::{MsFlags, mount};
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let nothing = None::<&str>;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        let cache = StrategyCache::new(path.join("strategy"));
        let lower = Lower::Folder(path.join("r"));
        mount_read_only(&lower, "rd:x", &path.join("m"), &path.join("empty"), &cache).unwrap();
        let written = fs::write(path.join("m/new"), "");
        (fs::read_to_string(path.join("m/etc/motd")).unwrap(), written.unwrap_err().kind())
    });
    assert_eq!(looked.join().unwrap(), ("hello\n".into(), std::io::ErrorKind::ReadOnlyFilesystem));
    assert_eq!(fs::read_dir(sandbox.path().join("m")).unwrap().count(), 0);
}

#[test]
fn mounts_are_listed_and_unmounted() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/a", "a"), ("srv/b", "b")]);
    let shown = apart(
        &sandbox,
        "mkdir 'a b' c d; rd mount web:1 'a b'; rd mount web:1:/etc c; ls 'a b' c; rd mount -q; rd mount --json; rd mount
         mount --bind c d; rd umount d; rd mount -q; rd umount 'a b' c; rd mount",
    );
    let tree = sandbox.ok(["rev-parse", "web:1^{tree}"]);
    let (tree, here) = (tree.trim(), sandbox.path().canonicalize().unwrap());
    let here = here.to_str().unwrap();
    let json =
        |target: &str, name: &str| format!(r#"{{"Revision":"{name}","Target":"{here}/{target}","Tree":"{tree}"}}"#);
    let lines: Vec<String> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = [
        "a b:".into(),
        "etc".into(),
        "srv".into(),
        "".into(),
        "c:".into(),
        "a".into(),
        format!("{here}/a b"),
        format!("{here}/c"),
        json("a b", "web:1"),
        json("c", "web:1:/etc"),
        "TARGET REVISION TREE".into(),
        format!("{here}/a b web:1 {}", &tree[..12]),
        format!("{here}/c web:1:/etc {}", &tree[..12]),
        format!("{here}/a b"),
        format!("{here}/c"),
        "TARGET REVISION TREE".to_owned(),
    ];
    assert_eq!(lines, wanted);
    assert_eq!(notes(&sandbox), 0);
}

#[test]
fn umount_leaves_alone_what_is_not_rds() {
    let sandbox = Sandbox::new();
    let other = Sandbox::new();
    sandbox.image("web", &[("a", "a")]);
    other.store();
    let script = format!(
        "mkdir m n; ! rd umount n; mount -t tmpfs rd:x n; ! rd umount n; rd mount web m; ! {} --root {} umount m
         ! rd umount none; (cd m; ! rd umount ../m; rd umount --lazy ../m); umount n; ! rd umount n m",
        env!("CARGO_BIN_EXE_rd"),
        other.store_dir().display()
    );
    let shown = apart(&sandbox, &script);
    let errors: Vec<&str> = shown.lines().filter(|line| line.starts_with("error:")).collect();
    let here = sandbox.path().canonicalize().unwrap();
    let here = here.display();
    assert_eq!(
        errors,
        [
            format!("error: invalid mount point '{here}/n': nothing is mounted there"),
            format!("error: invalid mount point '{here}/n': what is mounted there is none of rd's"),
            format!("error: invalid mount point '{here}/m': it was mounted from another store"),
            "error: can't unmount 'none'".into(),
            format!("error: can't unmount '{here}/m'"),
            format!("error: invalid mount point '{here}/n': nothing is mounted there"),
            format!("error: invalid mount point '{here}/m': nothing is mounted there"),
        ]
    );
    // Out of sight, the mount was in use for a moment; whoever looks next clears up.
    wait_for(|| in_use(&sandbox.store()).unwrap().is_empty().then_some(()));
    assert_eq!(notes(&sandbox), 0);
}

#[test]
fn mount_of_nothing_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("a", "a")]);
    fs::write(sandbox.path().join("file"), "").unwrap();
    for (args, why) in [
        (["none", "store"], "error: no such image: 'none'"),
        (["web", "none"], "error: can't mount on 'none'"),
        (["web", "file"], "error: can't mount on '"),
        (["web:/a", "store"], "error: '/a' is no folder in"),
    ] {
        let stderr = sandbox.fails(2, ["mount", args[0], args[1]]);
        assert!(stderr.starts_with(why), "{args:?}: {stderr}");
    }
    sandbox.fails(2, ["mount", "web"]);
    assert_eq!(notes(&sandbox), 0);
}

/// A process in a mount namespace of its own that has `web` mounted until it is killed.
struct Elsewhere(std::process::Child);

impl Elsewhere {
    fn mount(sandbox: &Sandbox) -> Self {
        let script = format!("{} --root store mount web m; echo; exec sleep 1000", env!("CARGO_BIN_EXE_rd"));
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).current_dir(sandbox.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_is_mounted_anywhere_is_in_use_until_its_namespace_ends() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web", &[("a", "a")]);
    fs::create_dir(sandbox.path().join("m")).unwrap();
    let store = sandbox.store();
    let elsewhere = Elsewhere::mount(&sandbox);
    assert!(!sandbox.path().join("m/a").exists(), "it is mounted elsewhere");
    assert_eq!(sandbox.ok(["mount", "-q"]), "");
    let found = in_use(&store).unwrap();
    let commit = store.read_commit(&id).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].tree, found[0].image), (commit.tree, commit.state.root.name()));
    assert_eq!(found[0].target, sandbox.path().canonicalize().unwrap().join("m"));
    // The kernel's word alone is enough, as where the namespace has no process that we see.
    let note = sandbox.store_dir().join("mounted");
    let note = fs::read_dir(note).unwrap().next().unwrap().unwrap().path();
    let hidden = note.with_file_name("abcdefABCDEF");
    fs::copy(&note, &hidden).unwrap();
    assert_eq!(in_use(&store).unwrap().len(), 2);
    fs::remove_file(&hidden).unwrap();
    drop(elsewhere);
    wait_for(|| in_use(&store).unwrap().is_empty().then_some(()));
    assert_eq!(notes(&sandbox), 0);
}

#[test]
fn a_collection_keeps_what_is_mounted() {
    let sandbox = Sandbox::new();
    let text = "x".repeat(5000);
    sandbox.image("web", &[("etc/a", &text), ("b", "b")]);
    fs::create_dir(sandbox.path().join("m")).unwrap();
    let tree = sandbox.ok(["rev-parse", "web^{tree}"]);
    let image = sandbox.store().read_root(&plumbing::Id::from_hex(tree.trim().as_bytes()).unwrap()).unwrap().name();
    let image = sandbox.store_dir().join(format!("mounts/{image}.erofs"));
    let elsewhere = Elsewhere::mount(&sandbox);
    sandbox.ok(["rmi", "web"]);
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(sandbox.ok(["ls-root", "--name-only", tree.trim()]), ".\nb\netc\netc/a\n");
    assert_eq!(sandbox.ok(["cat-file", "-p", &format!("{}:rootfs/etc/a", tree.trim())]), text);
    assert!(image.exists());
    drop(elsewhere);
    wait_for(|| in_use(&sandbox.store()).unwrap().is_empty().then_some(()));
    sandbox.ok(["gc", "--prune=now"]);
    assert!(!image.exists());
    sandbox.fails(2, ["ls-root", tree.trim()]);
}

#[test]
fn notes_of_a_killed_command_or_an_earlier_boot_count_for_nothing() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("a", "a")]);
    fs::create_dir(sandbox.path().join("m")).unwrap();
    let store = sandbox.store();
    let elsewhere = Elsewhere::mount(&sandbox);
    let folder = sandbox.store_dir().join("mounted");
    let note = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&note).unwrap();
    let boot = text.lines().nth(1).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("aaaaaaaaaaaa", &text.replace(boot, "boot 00000000-0000-0000-0000-000000000000"));
    write("bbbbbbbbbbbb", &text[..text.len() / 2]);
    write("cccccccccccc", "");
    fs::create_dir(folder.join("no-note")).unwrap();
    assert_eq!(in_use(&store).unwrap().len(), 1);
    assert_eq!(notes(&sandbox), 2, "what is no note is left alone");
    drop(elsewhere);
    wait_for(|| in_use(&store).unwrap().is_empty().then_some(()));
    assert!(Path::new(&folder).join("no-note").exists());
}
