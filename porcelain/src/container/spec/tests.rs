//! The specification as a whole, for a host on which everything is there.

use std::str::FromStr;

use oci_spec::runtime::Capability;

use super::super::config::Id;
use super::*;

/// A container that asks for nothing.
pub(crate) fn config() -> Config {
    Config::new(Id::try_from("0123456789abcdef".repeat(4)).unwrap(), "web", "debian", "c0ffee")
}

/// A host with all capabilities, limits, namespaces, and cgroups of version 2.
pub(crate) fn host() -> Host {
    let names = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT \
                 KILL AUDIT_WRITE NET_ADMIN SYS_ADMIN SYS_RESOURCE";
    Host {
        capabilities: names.split_whitespace().map(|name| Capability::from_str(name).unwrap()).collect(),
        open_files: 1 << 20,
        namespaces: ["cgroup", "ipc", "mnt", "net", "pid", "uts"].map(str::to_owned).to_vec(),
        cgroups: vec![cgroup::Hierarchy {
            mount_point: "/sys/fs/cgroup".into(),
            unified: true,
            controllers: Vec::new(),
        }],
        hostname: "here".into(),
    }
}

/// The profile of a container without capabilities.
pub(crate) fn seccomp_profile() -> oci_spec::runtime::LinuxSeccomp {
    seccomp::profile(&[]).unwrap()
}

fn root_user() -> User {
    User { uid: 0, gid: 0, groups: vec![0], home: "/root".into() }
}

fn built(config: &Config, host: &Host, user: &User) -> (Spec, Vec<String>) {
    let folder = Folder::new("/store/containers".as_ref(), &config.id);
    let image = ImageConfig::default();
    build(Inputs { config, image: &image, user, host, devices: &[], folder: &folder }).unwrap()
}

fn with_cmd() -> Config {
    Config { cmd: vec!["true".into()], ..config() }
}

#[test]
fn the_command_line_follows_dockers_rules() {
    let mut image = ImageConfig::default();
    image.set_entrypoint(Some(vec!["/entry".into()]));
    image.set_cmd(Some(vec!["default".into()]));
    let line = |entrypoint: Option<&[&str]>, cmd: &[&str]| {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let config = Config { entrypoint: entrypoint.map(words), cmd: words(cmd), ..config() };
        command_line(&config, &image).map(|line| line.join(" ")).unwrap_or_default()
    };
    assert_eq!(line(None, &[]), "/entry default");
    assert_eq!(line(None, &["x"]), "/entry x");
    assert_eq!(line(Some(&["/mine"]), &[]), "/mine");
    assert_eq!(line(Some(&["/mine"]), &["x"]), "/mine x");
    assert_eq!(line(Some(&[]), &["x"]), "x");
    assert_eq!(line(Some(&[]), &[]), "");
}

#[test]
fn a_container_is_confined_as_in_docker() {
    let (spec, notes) = built(&with_cmd(), &host(), &root_user());
    let linux = spec.linux().as_ref().unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    assert!(linux.seccomp().is_some());
    assert!(linux.masked_paths().as_ref().unwrap().contains(&"/proc/kcore".to_owned()));
    assert!(linux.readonly_paths().as_ref().unwrap().contains(&"/proc/sys".to_owned()));
    assert_eq!(linux.namespaces().as_ref().unwrap().len(), 5);
    assert_eq!(spec.hostname().as_deref(), Some("0123456789ab"));
    let process = spec.process().as_ref().unwrap();
    assert_eq!(process.no_new_privileges(), None);
    assert!(process.env().as_ref().unwrap().contains(&"HOME=/root".to_owned()));
    let sys = spec.mounts().as_ref().unwrap().iter().find(|m| m.destination() == "/sys".as_ref() as &std::path::Path);
    assert!(sys.unwrap().options().as_ref().unwrap().contains(&"ro".to_owned()));
}

#[test]
fn a_privileged_container_is_not_confined() {
    let config = Config { privileged: true, ..with_cmd() };
    let (spec, _) = built(&config, &host(), &root_user());
    let linux = spec.linux().as_ref().unwrap();
    assert!(linux.seccomp().is_none() && linux.masked_paths().is_none() && linux.readonly_paths().is_none());
    let capabilities = spec.process().as_ref().unwrap().capabilities().as_ref().unwrap();
    assert_eq!(capabilities.effective().as_ref().unwrap().len(), host().capabilities.len());
}

#[test]
fn a_poor_host_lowers_limits_and_says_so() {
    let poor = Host { open_files: 500, namespaces: Vec::new(), ..host() };
    let (spec, notes) = built(&with_cmd(), &poor, &root_user());
    let limits = spec.process().as_ref().unwrap().rlimits().as_ref().unwrap();
    assert_eq!((limits[0].soft(), limits[0].hard()), (500, 500));
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn a_user_other_than_root_has_no_capability_of_its_own() {
    let user = User { uid: 1000, gid: 1000, groups: vec![1000], home: "/".into() };
    let (spec, _) = built(&with_cmd(), &host(), &user);
    let sets = spec.process().as_ref().unwrap().capabilities().as_ref().unwrap();
    assert!(sets.effective().as_ref().unwrap().is_empty() && sets.permitted().as_ref().unwrap().is_empty());
    assert_eq!(sets.bounding().as_ref().unwrap().len(), 14);
}

#[test]
fn mounts_of_the_user_replace_defaults_and_come_after_outer_ones() {
    let mut config = with_cmd();
    config.binds = vec!["/x:/a/b/c:ro".parse().unwrap(), "/y:/a".parse().unwrap(), "/z:/etc/hosts".parse().unwrap()];
    config.tmpfs = vec!["/dev/shm:size=1m".parse().unwrap()];
    let (spec, _) = built(&config, &host(), &root_user());
    let mounts = spec.mounts().as_ref().unwrap();
    let place = |path: &str| mounts.iter().position(|m| m.destination() == path.as_ref() as &std::path::Path).unwrap();
    assert!(place("/a") < place("/a/b/c"));
    assert_eq!(mounts[place("/etc/hosts")].source().as_deref(), Some("/z".as_ref()));
    assert!(mounts[place("/dev/shm")].options().as_ref().unwrap().contains(&"size=1m".to_owned()));
    let points = mount_points(&spec);
    let shown: Vec<&str> = points.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(shown, ["/proc", "/dev", "/sys", "/a", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]);
}

#[test]
fn mounts_that_clash_are_refused() {
    for (binds, tmpfs) in [
        (vec!["/x:/a", "/y:/a"], vec![]),
        (vec!["/x:/a"], vec!["/a"]),
        (vec!["/dev:/dev"], vec![]),
        (vec![], vec!["/proc"]),
    ] {
        let mut config = with_cmd();
        config.binds = binds.iter().map(|bind| bind.parse().unwrap()).collect();
        config.tmpfs = tmpfs.iter().map(|tmpfs| tmpfs.parse().unwrap()).collect();
        let folder = Folder::new("/store/containers".as_ref(), &config.id);
        let (image, user, host) = (ImageConfig::default(), root_user(), host());
        let inputs = Inputs { config: &config, image: &image, user: &user, host: &host, devices: &[], folder: &folder };
        assert!(build(inputs).is_err(), "{binds:?} {tmpfs:?}");
    }
}

#[test]
fn cgroups_of_version_1_are_bound_one_by_one() {
    let hierarchy = |name: &str| cgroup::Hierarchy {
        mount_point: format!("/sys/fs/cgroup/{name}").into(),
        unified: false,
        controllers: name.split(',').map(str::to_owned).collect(),
    };
    let hybrid = Host { cgroups: vec![hierarchy("cpu,cpuacct"), hierarchy("name=systemd")], ..host() };
    let (spec, _) = built(&with_cmd(), &hybrid, &root_user());
    let bound: Vec<String> =
        spec.mounts().as_ref().unwrap().iter().map(|m| m.destination().display().to_string()).collect();
    assert!(bound.contains(&"/sys/fs/cgroup/cpu".to_owned()) && bound.contains(&"/sys/fs/cgroup/cpuacct".to_owned()));
    assert!(!bound.iter().any(|path| path.contains("systemd")));
}
