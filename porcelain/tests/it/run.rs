//! Running containers to their end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use porcelain::container::{Network, Status};

use crate::fixture::{Store, success};
use crate::trials;

trials!(
    streams_keep_apart_and_the_exit_status_is_the_commands,
    exit_statuses_are_dockers,
    stdin_is_read_only_when_asked_for,
    a_container_is_as_root_and_alone,
    a_container_has_nothing_of_rd,
    a_user_is_looked_up_in_the_root,
    capabilities_and_seccomp_confine,
    host_files_are_masked_or_read_only,
    a_privileged_container_is_not_confined,
    mounts_are_as_asked,
    a_read_only_root_is_read_only,
    the_network_is_loopback_or_the_hosts,
    devices_are_dockers,
    the_upper_folder_holds_what_was_changed_and_nothing_else,
    a_fifo_as_passwd_does_not_hang,
    links_in_the_root_do_not_lead_out,
    a_removed_container_leaves_nothing,
    a_failed_start_is_recorded,
    a_container_can_be_started_again,
);

fn streams_keep_apart_and_the_exit_status_is_the_commands() {
    let store = Store::new();
    let output = store.run(&store.shell("echo out; echo err >&2; exit 7"));
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
}

fn exit_statuses_are_dockers() {
    let store = Store::new();
    fs::write(store.root().join("data/script"), "no program\n").unwrap();
    fs::write(store.root().join("data/broken"), "\x7fELF\x02\x01\x01").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(store.root().join("data/broken"), executable).unwrap();
    for (words, code, why) in [
        (&["nothing-here"][..], 127, "executable file not found in $PATH"),
        (&["/nothing/here"], 127, "no such file or directory"),
        (&["/data/file/x"], 127, "not a directory"),
        (&["/data"], 126, "is a directory"),
        (&["/data/script"], 126, "permission denied"),
        (&["/data/broken"], 126, "exec format error"),
        (&[""], 127, "not found"),
        (&["sh", "-c", "sh -c 'kill -15 $$'; exit $?"], 143, ""),
        (&["sh", "-c", "exit 255"], 255, ""),
    ] {
        let output = store.run(&store.command(words));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
        assert!(stderr.contains(why), "{words:?}: {stderr}");
    }
    let mut config = store.command(&["true"]);
    config.user = Some("nobody".into());
    let output = store.run(&config);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
}

fn stdin_is_read_only_when_asked_for() {
    let store = Store::new();
    let mut config = store.command(&["cat"]);
    let mut run = |open| {
        config.open_stdin = open;
        config.id = porcelain::container::Id::random().unwrap();
        config.name = store.containers().free_name().unwrap();
        let file = fs::File::open(store.root().join("data/file")).unwrap();
        success(&store.front(&config, "attached").stdin(Stdio::from(file)).output().unwrap())
    };
    assert_eq!(run(false), "");
    assert_eq!(run(true), "content\n");
}

fn a_container_is_as_root_and_alone() {
    let store = Store::new();
    assert_eq!(
        store.output("echo $$; id -u; test $(ls /proc | grep -c '^[0-9]') -lt 5 && echo alone"),
        "1\n0\nalone\n"
    );
    let mut config = store.shell("hostname; cat /etc/hostname; echo $HOSTNAME; pwd");
    config.hostname = Some("box".into());
    config.working_dir = Some("/made/here".into());
    assert_eq!(success(&store.run(&config)), "box\nbox\nbox\n/made/here\n");
}

fn a_container_has_nothing_of_rd() {
    let store = Store::new();
    let output =
        store.front(&store.shell("env | sort; ls /proc/self/fd | wc -l"), "attached").env("SECRET", "x").output();
    let text = success(&output.unwrap());
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // PWD and SHLVL are the shell's.
    assert_eq!(names, ["HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"], "{text}");
    // Its three streams and the folder that ls reads.
    assert_eq!(text.lines().last(), Some("4"), "{text}");
    let signals = store.output("grep -E '^Sig(Blk|Ign|Pnd)' /proc/self/status | tr -d '\\n\\t'");
    assert_eq!(signals, "SigPnd:0000000000000000SigBlk:0000000000000000SigIgn:0000000000000000");
}

fn a_user_is_looked_up_in_the_root() {
    let store = Store::new();
    for (user, expected) in [
        ("web", "uid=33(web) gid=34(web) groups=34(web),50(staff)\n/data\n"),
        ("33:staff", "uid=33(web) gid=50(staff) groups=50(staff)\n/data\n"),
        ("1234", "uid=1234 gid=0(root) groups=0(root)\n/\n"),
    ] {
        let mut config = store.shell("id; echo $HOME");
        config.user = Some(user.into());
        assert_eq!(success(&store.run(&config)), expected, "{user}");
    }
    let mut config = store.shell("grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status | cut -f2 | sort -u");
    config.user = Some("web".into());
    assert_eq!(success(&store.run(&config)), "0000000000000000\n");
}

fn capabilities_and_seccomp_confine() {
    let store = Store::new();
    let caps = |change: fn(&mut porcelain::container::Config)| {
        let mut config =
            store.shell("grep CapEff /proc/self/status | cut -f2; grep Seccomp: /proc/self/status | cut -f2");
        change(&mut config);
        success(&store.run(&config))
    };
    assert_eq!(caps(|_| {}), "00000000a80425fb\n2\n");
    assert_eq!(caps(|config| config.cap_drop = vec!["ALL".into()]), "0000000000000000\n2\n");
    let chown_only = |config: &mut porcelain::container::Config| {
        config.cap_drop = vec!["ALL".into()];
        config.cap_add = vec!["CAP_CHOWN".into()];
    };
    assert_eq!(caps(chown_only), "0000000000000001\n2\n");
    // mount and unshare are refused by both; the error is the filter's.
    assert_eq!(
        store.output("mount -t tmpfs x /tmp 2>&1; unshare -n true 2>&1; true").to_lowercase().matches("permi").count(),
        2
    );
}

fn host_files_are_masked_or_read_only() {
    let store = Store::new();
    let script = "cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | wc -l; \
                  (echo 1 > /proc/sys/kernel/panic) 2>&1 | grep -c 'Read-only'; \
                  for c in $(find /sys/fs/cgroup -mindepth 1 -type d); do mkdir $c/x 2>&1; done | grep -vc 'Read-only'; touch /sys/x 2>&1 | grep -c 'Read-only\\|ermitted\\|denied'";
    assert_eq!(store.output(script), "0\n0\n1\n0\n1\n");
}

fn a_privileged_container_is_not_confined() {
    let store = Store::new();
    let mut config =
        store.shell("grep Seccomp: /proc/self/status | cut -f2; mount -t tmpfs x /tmp && test -c /dev/kmsg && echo ok");
    config.privileged = true;
    assert_eq!(success(&store.run(&config)), "0\nok\n");
}

fn mounts_are_as_asked() {
    let store = Store::new();
    let host = store.path().join("a,b=c");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("x"), "from the host\n").unwrap();
    let bind = |destination: &str| format!("{}:{destination}", host.display()).parse().unwrap();
    let mut config = store.shell(
        "cat /mnt/rw/x /ro/x; echo new > /mnt/rw/y; (echo no > /ro/z) 2>&1 | grep -c Read-only; \
         grep ' /small ' /proc/mounts | grep -o 'size=[0-9]*k'; test -w /small && echo exec > /small/e && echo fine; cat /one",
    );
    config.binds = vec![bind("/mnt/rw"), bind("/ro:ro"), format!("{}/x:/one", host.display()).parse().unwrap()];
    config.tmpfs = vec!["/small:size=64k".parse().unwrap()];
    let expected = "from the host\nfrom the host\n1\nsize=64k\nfine\nfrom the host\n";
    assert_eq!(success(&store.run(&config)), expected);
    assert_eq!(fs::read_to_string(host.join("y")).unwrap(), "new\n");

    let container = store.containers().find(&config.name).unwrap();
    let made = container.made_mount_points().unwrap();
    let shown: Vec<&str> = made.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(shown, ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/mnt", "/mnt/rw", "/one", "/ro", "/small"]);
}

fn a_read_only_root_is_read_only() {
    let store = Store::new();
    let mut config = store.shell("for f in /x /etc/hosts /tmp/x; do (echo 1 > $f) 2>&1 | grep -o Read-only; done; echo 1 > /dev/shm/x && echo ok");
    config.read_only = true;
    assert_eq!(success(&store.run(&config)), "Read-only\nRead-only\nRead-only\nok\n");
}

fn the_network_is_loopback_or_the_hosts() {
    let store = Store::new();
    assert_eq!(store.output("ls /sys/class/net; ip addr show lo | grep -c 'inet 127.0.0.1'"), "lo\n1\n");
    let host = fs::read_link("/proc/self/ns/net").unwrap();
    let mut config = store.shell("readlink /proc/self/ns/net; hostname");
    config.network = Network::Host;
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(success(&store.run(&config)), format!("{}\n{name}", host.display()));
}

fn devices_are_dockers() {
    let store = Store::new();
    let listed = store.output("ls /dev | tr '\\n' ' '; echo; head -c 3 /dev/zero | wc -c; echo x > /dev/null; mknod /tmp/disk b 254 0; head -c 1 /tmp/disk 2>&1 | grep -c ermitted");
    // There is no kcore where the host's kernel has none.
    let expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \n3\n1\n";
    assert_eq!(listed.replace("kcore ", ""), expected);
}

fn the_upper_folder_holds_what_was_changed_and_nothing_else() {
    let store = Store::new();
    fs::create_dir(store.root().join("folder")).unwrap();
    fs::write(store.root().join("folder/inner"), "inner").unwrap();
    fs::set_permissions(store.root(), std::os::unix::fs::PermissionsExt::from_mode(0o751)).unwrap();
    let config = store.shell("chmod 600 /data/file; ln /etc/passwd /etc/linked; mv /folder /renamed; stat -c %a /");
    assert_eq!(success(&store.run(&config)), "751\n");
    let upper = store.containers().find(&config.name).unwrap().folder.upper();
    let file = fs::metadata(upper.join("data/file")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.len(), file.blocks() > 0), (0o600, 8, true));
    assert_eq!(fs::read_to_string(upper.join("renamed/inner")).unwrap(), "inner");
    assert_eq!(fs::metadata(upper.join("etc/linked")).unwrap().nlink(), 2);
    for path in ["data/file", "renamed", "renamed/inner", "etc/linked", "etc/passwd"] {
        let names = crate::fixture::attributes(&upper.join(path));
        for bad in ["trusted.overlay.metacopy", "trusted.overlay.redirect"] {
            assert!(!names.iter().any(|name| name == bad), "{path}: {names:?}");
        }
    }
}

fn a_fifo_as_passwd_does_not_hang() {
    let store = Store::new();
    let passwd = store.root().join("etc/passwd");
    fs::remove_file(&passwd).unwrap();
    nix::unistd::mkfifo(&passwd, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    assert_eq!(store.output("echo $HOME"), "/\n");
    let mut config = store.shell("true");
    config.user = Some("web".into());
    let output = store.run(&config);
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no regular file"), "{output:?}");
}

fn links_in_the_root_do_not_lead_out() {
    let store = Store::new();
    let outside = store.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let link = |from: &str, to: &str| {
        let path = store.root().join(from);
        let _ = fs::remove_dir(&path);
        std::os::unix::fs::symlink(to, path).unwrap();
    };
    link("etc/hosts", &format!("{}/hosts", outside.display()));
    link("etc/resolv.conf", "../../../../../../run/dangling");
    assert!(store.output("cat /etc/hosts").contains("localhost"));
    link("innocent", "dev");
    let mut config = store.shell("true");
    config.binds = vec![format!("{}:/innocent", outside.display()).parse().unwrap()];
    assert_eq!(store.run(&config).status.code(), Some(125));
    link("dev", outside.to_str().unwrap());
    let output = store.run(&store.shell("true"));
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

fn a_removed_container_leaves_nothing() {
    let store = Store::new();
    let mut config = store.shell("echo x > /x; exit 3");
    config.auto_remove = true;
    assert_eq!(store.run(&config).status.code(), Some(3));
    assert!(store.containers().find(&config.name).is_err());
    store.assert_clean(&config.id);
    let left: Vec<_> = fs::read_dir(store.path().join("containers")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

fn a_failed_start_is_recorded() {
    let store = Store::new();
    let config = store.command(&["nothing-here"]);
    store.run(&config);
    let container = store.containers().find(config.id.short()).unwrap();
    let state = container.state().unwrap();
    assert_eq!((state.status, state.exit_code), (Status::Created, 127));
    assert!(state.error.contains("nothing-here"), "{}", state.error);
    store.assert_clean(&config.id);
    store.containers().remove(&container, false).unwrap();
}

fn a_container_can_be_started_again() {
    let store = Store::new();
    let config = store.shell("cat /count 2>/dev/null; echo x >> /count");
    assert_eq!(success(&store.run(&config)), "");
    assert_eq!(success(&store.start(&config)), "x\n");
    assert_eq!(success(&store.start(&config)), "x\nx\n");
    let state = store.containers().find(&config.name).unwrap().state().unwrap();
    assert_eq!((state.status, state.exit_code), (Status::Exited, 0));
    assert!(state.finished_at > state.started_at);
}
