//! `rd completion`

use std::path::Path;
use std::process::Command;

use crate::sandbox::Sandbox;

/// What bash would offer for the last of `words`.
fn complete(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(rd completion bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_rd rd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let folder = Path::new(env!("CARGO_BIN_EXE_rd")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).args(words).env("PATH", path).env("RD_ROOT", sandbox.store_dir());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_images_and_containers() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[]);
    sandbox.image("web:2", &[]);
    sandbox.image("localhost:5000/team/web:1", &[]);
    sandbox.busybox("busybox");
    sandbox.ok(["create", "--name", "worker", "busybox"]);
    assert_eq!(complete(&sandbox, &["rd", "his"]), ["history"]);
    assert_eq!(complete(&sandbox, &["rd", "images", "--dig"]), ["--digests"]);
    assert_eq!(complete(&sandbox, &["rd", "rmi", "we"]), ["web:1", "web:2"]);
    assert_eq!(complete(&sandbox, &["rd", "rmi", "localhost:"]), ["localhost:5000/team/web:1"]);
    assert_eq!(complete(&sandbox, &["rd", "rmi", "wo"]), [""; 0]);
    assert_eq!(complete(&sandbox, &["rd", "inspect", "w"]), ["web:1", "web:2", "worker"]);
    assert_eq!(complete(&sandbox, &["rd", "inspect", "--type", "c"]), ["container"]);
    assert_eq!(complete(&sandbox, &["rd", "rm", "w"]), ["worker"]);
    assert_eq!(complete(&sandbox, &["rd", "run", "we"]), ["web:1", "web:2"]);
    assert_eq!(complete(&sandbox, &["rd", "log", "w"]), ["web:1", "web:2", "worker"]);
}

#[test]
fn object_commands_know_refs_images_and_containers() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[]).to_string();
    sandbox.ok(["update-ref", "refs/heads/main", &id]);
    sandbox.ok(["update-ref", "refs/tags/west", &id]);
    sandbox.ok(["update-ref", "refs/containers/worker", &id]);
    for command in ["rev-parse", "describe", "name-rev", "ls-tree"] {
        assert_eq!(complete(&sandbox, &["rd", command, "w"]), ["web:1", "west", "worker"], "{command}");
    }
    assert_eq!(complete(&sandbox, &["rd", "for-each-ref", "--contains", "wo"]), ["worker"]);
    assert_eq!(complete(&sandbox, &["rd", "update-ref", "refs/h"]), ["refs/heads/main"]);
    assert_eq!(complete(&sandbox, &["rd", "symbolic-ref", "HE"]), ["HEAD"]);
    assert_eq!(complete(&sandbox, &["rd", "reflog", "expire", "refs/c"]), ["refs/containers/worker"]);
    assert_eq!(complete(&sandbox, &["rd", "reflog", "ex"]), ["exists", "expire"]);
    for command in ["ls-root", "diff-root", "checkout-tree", "layer-tar", "mkfs", "mount"] {
        assert_eq!(complete(&sandbox, &["rd", command, "wo"]), ["worker"], "{command}");
    }
}

#[test]
fn completing_makes_no_store() {
    let sandbox = Sandbox::new();
    assert_eq!(complete(&sandbox, &["rd", "rmi", "w"]), [""; 0]);
    assert!(!sandbox.store_dir().exists());
}

#[test]
fn there_is_a_script_for_each_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(sandbox.ok(["completion", shell]).contains("RD_COMPLETE"), "{shell}");
    }
    assert!(sandbox.fails(2, ["completion", "tcsh"]).contains("invalid value 'tcsh'"));
    sandbox.fails(2, ["completion"]);
}
