//! `rd version`

use crate::sandbox::Sandbox;

#[test]
fn version_is_laid_out_as_dockers() {
    let text = Sandbox::new().ok(["version"]);
    assert!(text.starts_with(concat!("rd:\n Version:           ", env!("CARGO_PKG_VERSION"), "\n")), "{text}");
    assert!(text.contains("\n OS/Arch:           linux/"), "{text}");
}

#[test]
fn version_for_scripts_has_client_and_server() {
    let sandbox = Sandbox::new();
    let format = "{{.Client.Version}} {{.Server.Version}} {{.Server.Os}}";
    assert_eq!(
        sandbox.ok(["version", "-f", format]),
        concat!(env!("CARGO_PKG_VERSION"), " ", env!("CARGO_PKG_VERSION"), " linux\n")
    );
    assert!(sandbox.ok(["version", "--format", "json"]).starts_with("{\"Client\":{"));
    assert!(!sandbox.store_dir().exists(), "asking for the version makes no store");
}

#[test]
fn version_names_what_is_built_in() {
    let text = Sandbox::new().ok(["version"]);
    let lock = include_str!("../../Cargo.lock");
    for name in ["libcontainer", "gix"] {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let version = lock.split(&entry).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let line = format!(" {:<18} {version}\n", format!("{name}:"));
        assert!(text.contains(&line), "update src/commands/version.rs: {name} is {version} in Cargo.lock");
    }
}
