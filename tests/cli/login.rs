//! `rd login`, `rd logout`

use std::os::unix::fs::PermissionsExt;

use crate::import::sh;
use crate::registry::{Registry, archive, skopeo};
use crate::sandbox::Sandbox;

/// A registry that knows `me` with the password `secret`.
fn closed_registry(sandbox: &Sandbox) -> Registry {
    std::fs::write(
        sandbox.path().join("htpasswd"),
        "me:$2b$04$GG/6vk.VC7sRPt2ZvIyo.uA7.tJ4y4X/mG6zz.tyz/DAA6oSPKg4.\n",
    )
    .unwrap();
    let path = sandbox.path().join("htpasswd");
    Registry::start_with(sandbox, &format!("auth:\n  htpasswd:\n    realm: here\n    path: {}\n", path.display()))
}

fn log_in(sandbox: &Sandbox, registry: &Registry, password: &str) -> snapbox::cmd::OutputAssert {
    let args = ["login", "-u", "me", "--password-stdin", &registry.host()];
    sandbox.rd(args).stdin(format!("{password}\n").into_bytes()).assert()
}

#[test]
fn who_logs_in_may_pull_and_who_logs_out_may_not() {
    let sandbox = Sandbox::new();
    let registry = closed_registry(&sandbox);
    archive(&sandbox, "web", "x");
    let name = registry.name("web:1");
    skopeo(
        &sandbox,
        &format!("copy -q --dest-tls-verify=false --dest-creds me:secret docker-archive:web.tar docker://{name}"),
    );
    let stderr = sandbox.fails(2, ["pull", "-q", &name]);
    assert!(stderr.contains("denies access to 'web'"), "{stderr}");
    assert!(stderr.contains(&format!("hint: `rd login {}`", registry.host())), "{stderr}");
    log_in(&sandbox, &registry, "wrong").code(2).stdout_eq("");
    assert!(!sandbox.path().join(".docker").exists());
    log_in(&sandbox, &registry, "secret").success().stdout_eq("Login Succeeded\n");
    let config = sandbox.path().join(".docker/config.json");
    assert_eq!(std::fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.ok(["pull", "-q", &name]);
    // Other engines read it, too.
    skopeo(&sandbox, &format!("inspect --authfile .docker/config.json --tls-verify=false docker://{name}"));
    assert_eq!(
        sandbox.ok(["logout", &registry.host()]),
        format!("Removing login credentials for {}\n", registry.host())
    );
    assert_eq!(sandbox.ok(["logout", &registry.host()]), format!("Not logged in to {}\n", registry.host()));
    sandbox.fails(2, ["pull", "-q", &name]);
}

#[test]
fn a_credential_helper_keeps_what_it_is_given() {
    let sandbox = Sandbox::new();
    let registry = closed_registry(&sandbox);
    // A helper that keeps everything in one file.
    let script = r#"#!/bin/sh
case $1 in
    store) cat >kept ;;
    erase) rm -f kept ;;
    get) if [ -e kept ]; then cat kept; else echo 'credentials not found in native keychain'; exit 1; fi ;;
esac
"#;
    std::fs::create_dir(sandbox.path().join("bin")).unwrap();
    let helper = sandbox.path().join("bin/docker-credential-file");
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(sandbox.path().join(".docker")).unwrap();
    let config = r#"{"credsStore":"file","x":1}"#;
    std::fs::write(sandbox.path().join(".docker/config.json"), config).unwrap();
    let path = format!("{}:{}", sandbox.path().join("bin").display(), std::env::var("PATH").unwrap());
    let rd = |args: &[&str]| sandbox.rd(args).env("PATH", &path);
    let output = rd(&["login", "-u", "me", "--password-stdin", &registry.host()]).stdin("secret").assert().success();
    assert!(output.get_output().stderr.is_empty(), "nothing is kept unencrypted");
    let kept = std::fs::read_to_string(sandbox.path().join("kept")).unwrap();
    assert!(kept.contains(r#""Secret":"secret""#) && kept.contains(&registry.host()), "{kept}");
    assert_eq!(std::fs::read_to_string(sandbox.path().join(".docker/config.json")).unwrap(), config);
    let name = registry.name("none:1");
    let stderr = rd(&["pull", "-q", &name]).assert().code(2).get_output().stderr.clone();
    assert!(String::from_utf8(stderr).unwrap().contains("no such image at its registry"));
    rd(&["logout", &registry.host()]).assert().success();
    assert!(!sandbox.path().join("kept").exists());
}

#[test]
fn what_is_not_given_is_asked_for_on_a_terminal_only() {
    let sandbox = Sandbox::new();
    for (args, why) in [
        (vec!["login"], "standard input is no terminal"),
        (vec!["login", "-u", "me"], "standard input is no terminal"),
        (vec!["login", "--password-stdin"], "Must provide --username with --password-stdin"),
        (vec!["login", "-u", "me", "-p", "x", "no registry"], "invalid registry"),
        (vec!["logout", "a@b"], "invalid registry"),
    ] {
        let stderr = sandbox.fails(2, &args);
        assert!(stderr.contains(why), "{args:?}: {stderr}");
    }
}

#[test]
fn certificates_are_checked_where_they_are_to_be() {
    let sandbox = Sandbox::new();
    sh(
        sandbox.path(),
        "mkdir certs; new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
        openssl req -x509 $new -keyout ca.key -out certs/ca.crt -subj /CN=ca -days 2 2>/dev/null
        openssl req $new -keyout server.key -out server.csr -subj /CN=here 2>/dev/null
        echo subjectAltName=IP:127.0.0.1 >names
        openssl x509 -req -in server.csr -CA certs/ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names 2>/dev/null",
    );
    let at = |name: &str| sandbox.path().join(name).display().to_string();
    let tls = format!("  tls:\n    certificate: {}\n    key: {}\n", at("server.crt"), at("server.key"));
    let registry = Registry::start_with(&sandbox, &tls);
    archive(&sandbox, "web", "x");
    registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    let name = registry.name("web:1");
    let stderr = sandbox.fails(2, ["pull", "-q", "--tls-verify", &name]);
    assert!(stderr.contains("certificate") && stderr.contains("hint: --cert-dir"), "{stderr}");
    sandbox.ok(["pull", "-q", "--tls-verify", "--cert-dir", "certs", &name]);
    sandbox.ok(["pull", "-q", "--tls-verify=false", &name]);
    // This machine itself is believed, as docker does.
    sandbox.ok(["pull", "-q", &name]);
}
