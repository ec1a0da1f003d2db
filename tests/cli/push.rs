//! `rd push`

use crate::import::{git_agrees, sh};
use crate::registry::{Registry, archive, skopeo};
use crate::sandbox::{Change, Sandbox};

#[track_caller]
fn steps(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let output = sandbox.rd(args).assert().success().get_output().stderr.clone();
    let text = String::from_utf8(output).unwrap();
    let mut ends: Vec<_> = text.lines().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect();
    ends.sort();
    ends
}

#[test]
fn what_was_pulled_keeps_its_digest() {
    let sandbox = Sandbox::new();
    let (registry, other) = (Registry::start(&sandbox), Registry::start(&sandbox));
    archive(&sandbox, "web", "x");
    let digest = registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    let name = registry.name("web:1");
    sandbox.ok(["pull", "-q", &name]);
    // To another registry everything goes, to another repository nothing.
    assert_eq!(steps(&sandbox, &["push", &name, &other.name("copy:2")]), ["Pushed"; 3]);
    assert_eq!(other.digest(&sandbox, "copy:2"), digest);
    let mounted = steps(&sandbox, &["push", &name, &registry.name("team/copy:2")]);
    assert_eq!(mounted, ["Mounted from web", "Mounted from web", "Pushed"]);
    assert_eq!(registry.digest(&sandbox, "team/copy:2"), digest);
    assert_eq!(steps(&sandbox, &["push", &name]), ["Layer already exists"; 3]);
    assert_eq!(sandbox.ok(["push", "-q", &name]), format!("{digest}\n"));
    let raw = |place: &Registry, name: &str| {
        skopeo(&sandbox, &format!("inspect --raw --tls-verify=false docker://{}", place.name(name)))
    };
    assert_eq!(raw(&registry, "web:1"), raw(&other, "copy:2"));
}

#[test]
fn a_commit_of_rds_becomes_an_image_for_everybody() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    sandbox.image("own:1", &[("etc/a", "one\n"), ("b", "two\n")]);
    let name = registry.name("team/own:1");
    let lines = sandbox.ok(["push", "own:1", &name]);
    let digest = registry.digest(&sandbox, "team/own:1");
    let (first, last) = lines.trim_end().split_once('\n').unwrap();
    assert_eq!(first, format!("The push refers to repository [{}]", registry.name("team/own")));
    assert!(last.starts_with(&format!("1: digest: {digest} size: ")), "{last}");
    // Another engine unpacks it.
    skopeo(&sandbox, &format!("copy -q --src-tls-verify=false docker://{name} oci:layout:own"));
    sh(sandbox.path(), "umoci unpack --image layout:own out >/dev/null 2>&1");
    assert_eq!(std::fs::read_to_string(sandbox.path().join("out/rootfs/etc/a")).unwrap(), "one\n");
    // And another rd has the same files.
    let other = Sandbox::new();
    assert_eq!(other.ok(["pull", "-q", &name]), format!("{digest}\n"));
    assert_eq!(other.ok(["cat-file", "blob", &format!("{name}:/b")]), "two\n");
    let root = |sandbox: &Sandbox, name: &str| sandbox.ok(["ls-root", name]);
    assert_eq!(root(&other, &name), root(&sandbox, "own:1"));
    // Nay, the very same commit, though the registry has no list of referrers.
    let id = |sandbox: &Sandbox, name: &str| sandbox.ok(["rev-parse", name]);
    assert_eq!(id(&other, &name), id(&sandbox, "own:1"));
    git_agrees(&other.store_dir());
}

#[test]
fn layers_below_a_commit_are_taken_from_where_its_parent_is() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let name = registry.name("base:1");
    let one = sandbox.image(&name, &[("a", "1")]);
    sandbox.ok(["push", "-q", &name]);
    let change = Change { parents: &[one], files: &[("b", "2")], message: "more", ..Change::default() };
    sandbox.tag(sandbox.commit(&change), "more:1");
    let moved = steps(&sandbox, &["push", "more:1", &registry.name("team/more:1")]);
    assert!(moved.contains(&"Mounted from base".to_owned()), "{moved:?}");
    let other = Sandbox::new();
    other.ok(["pull", "-q", &registry.name("team/more:1")]);
    assert_eq!(other.ok(["cat-file", "blob", &format!("{}:/a", registry.name("team/more:1"))]), "1");
}

#[test]
fn histories_come_along_and_what_would_be_lost_is_refused() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    let registry = Registry::start(&sandbox);
    let name = registry.name("app:1");
    let one = sandbox.image(&name, &[("a", "1")]);
    sandbox.ok(["push", "-q", &name]);
    other.ok(["pull", "-q", &name]);
    let next = |sandbox: &Sandbox, parent, text: &str| {
        let change = Change { parents: &[parent], files: &[("a", text)], message: text, ..Change::default() };
        let id = sandbox.commit(&change);
        sandbox.tag(id, &name);
        id
    };
    // A fast-forward goes, with its history.
    let two = next(&sandbox, one, "2");
    sandbox.ok(["push", "-q", &name]);
    assert_eq!(other.ok(["pull", &name]).lines().nth(2), Some(&*format!("Status: Downloaded newer image for {name}")));
    assert_eq!(other.ok(["rev-parse", &name, &format!("{name}~1")]), format!("{two}\n{one}\n"));
    // Two go on at the same time: the second is refused, and so is its pull.
    next(&sandbox, two, "3");
    sandbox.ok(["push", "-q", &name]);
    let ours = next(&other, two, "ours");
    let stderr = other.fails(2, ["push", "-q", &name]);
    assert!(
        stderr.contains("rejected (fetch first)")
            && stderr.contains(&format!("hint: it has what this store never saw; `rd pull {name}`")),
        "{stderr}"
    );
    let stderr = other.fails(2, ["push", "-q", "--force-with-lease", &name]);
    assert!(stderr.contains("rejected (stale info)"), "{stderr}");
    let stderr = other.fails(2, ["pull", "-q", &name]);
    assert!(stderr.contains("have diverged"), "{stderr}");
    assert_eq!(other.ok(["rev-parse", &name]), format!("{ours}\n"));
    let stderr = other.fails(2, ["push", "-q", &name]);
    assert!(stderr.contains("rejected (non-fast-forward)"), "{stderr}");
    // What was seen may be overwritten, if that is asked for.
    other.ok(["push", "-q", "--force-with-lease", &name]);
    // Whose image was overwritten there follows, as it was no more than what was there.
    sandbox.ok(["pull", "-q", &name]);
    assert_eq!(sandbox.ok(["rev-parse", &name]), format!("{ours}\n"));
    next(&sandbox, two, "4");
    sandbox.ok(["push", "-q", "-f", &name]);
}

#[test]
fn layers_are_compressed_as_is_asked_for() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    sandbox.image("own:1", &[("a", "one\n")]);
    for (how, media_type) in
        [("zstd:9", "layer.v1.tar+zstd"), ("gzip", "layer.v1.tar+gzip"), ("gzip:1", "layer.v1.tar+gzip")]
    {
        let name = registry.name("own:1");
        sandbox.ok(["push", "-q", "--compression", how, "own:1", &name]);
        let raw = skopeo(&sandbox, &format!("inspect --raw --tls-verify=false docker://{name}"));
        assert!(raw.contains(media_type), "{raw}");
        let other = Sandbox::new();
        other.ok(["pull", "-q", &name]);
    }
}

#[test]
fn all_tags_of_a_repository_go_together() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    for tag in ["1", "2"] {
        sandbox.image(&registry.name(&format!("own:{tag}")), &[("a", tag)]);
    }
    assert_eq!(sandbox.ok(["push", "-qa", &registry.name("own")]).lines().count(), 2);
    assert_ne!(registry.digest(&sandbox, "own:1"), registry.digest(&sandbox, "own:2"));
    let stderr = sandbox.fails(2, ["push", "-a", &registry.name("own:1")]);
    assert!(stderr.contains("tag can't be used with --all-tags/-a"), "{stderr}");
}

#[test]
fn what_cannot_be_pushed_is_said() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    sandbox.image("own:1", &[("a", "x")]);
    let by_digest = format!("{}@sha256:{}", registry.name("own"), "0".repeat(64));
    for (args, why) in [
        (vec!["push", "none:1"], "no such image: 'none:1'"),
        (vec!["push", "own:1", "UPPER"], "invalid image name"),
        (vec!["push", "own:1", &by_digest], "a digest can't be pushed to"),
        (vec!["push", "--compression", "lz4", "own:1"], "lz4"),
    ] {
        let stderr = sandbox.fails(2, &args);
        assert!(stderr.contains(why), "{args:?}: {stderr}");
    }
}

#[test]
fn signatures_go_along_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let (registry, other) = (Registry::start(&sandbox), Registry::start(&sandbox));
    archive(&sandbox, "web", "x");
    let digest = registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    // A signature as cosign names it, and an artifact that says what it is about; neither is an image.
    let size = skopeo(&sandbox, &format!("inspect --raw --tls-verify=false docker://{}", registry.name("web:1"))).len();
    let put = |text: &str, name: &str, subject: &str| {
        let script = format!(
            r#"rm -rf sig; mkdir -p sig/blobs/sha256; cd sig; echo '{{"imageLayoutVersion":"1.0.0"}}' >oci-layout
            put() {{ local id; id=$(sha256sum <$1 | cut -d' ' -f1); mv $1 blobs/sha256/$id; echo $id; }}
            printf '{{}}' >c; printf '%s' '{text}' >l; c=$(put c); l=$(put l)
            printf '%s' '{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:'$c'","size":2}},"layers":[{{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"sha256:'$l'","size":{}}}]{subject}}}' >m
            size=$(stat -c %s m); m=$(put m)
            echo '{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:'$m'","size":'$size',"annotations":{{"org.opencontainers.image.ref.name":"s"}}}}]}}' >index.json; printf $m"#,
            text.len()
        );
        let id = String::from_utf8(sh(sandbox.path(), &script)).unwrap();
        let name = if name.is_empty() { format!("web@sha256:{id}") } else { format!("web:{name}") };
        skopeo(
            &sandbox,
            &format!("copy -q --preserve-digests --dest-tls-verify=false oci:sig:s docker://{}", registry.name(&name)),
        );
        format!("sha256:{id}")
    };
    let hex = digest.strip_prefix("sha256:").unwrap();
    let signature = put("signed", &format!("sha256-{hex}.sig"), "");
    let name = registry.name("web:1");
    let lines = sandbox.ok(["pull", "--referrers", &name]);
    assert!(lines.contains(&format!("Referrer: {signature}\n")), "{lines}");
    assert_eq!(sandbox.store().list_refs("refs/artifacts/").unwrap().len(), 1);
    git_agrees(&sandbox.store_dir());
    let lines = sandbox.ok(["push", "--referrers", &name, &other.name("copy:1")]);
    assert!(lines.contains(&format!("Referrer: {signature}\n")), "{lines}");
    assert_eq!(other.digest(&sandbox, &format!("copy:sha256-{hex}.sig")), signature);
    // An artifact with a subject: a registry without a list of referrers has a tag for them, which we keep.
    let subject = format!(
        r#","subject":{{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{digest}","size":{size}}}"#
    );
    let artifact = put("about it", "about", &subject);
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{artifact}","size":SIZE}}]}}"#
    );
    let raw = skopeo(&sandbox, &format!("inspect --raw --tls-verify=false docker://{}", registry.name("web:about")));
    let list = list.replace("SIZE", &raw.len().to_string());
    put_manifest(&sandbox, &registry, &format!("web/manifests/sha256-{hex}"), &list);
    assert!(sandbox.ok(["pull", "--referrers", &name]).contains(&format!("Referrer: {artifact}\n")));
    let lines = sandbox.ok(["push", "--referrers", &name, &other.name("copy:1")]);
    assert!(lines.contains(&format!("Referrer: {artifact}\n")), "{lines}");
    let fresh = Sandbox::new();
    assert!(fresh.ok(["pull", "--referrers", &other.name("copy:1")]).contains(&format!("Referrer: {artifact}\n")));
}

/// Put an index by hand, as a client of an older registry does.
fn put_manifest(sandbox: &Sandbox, registry: &Registry, path: &str, text: &str) {
    let script = format!(
        "import urllib.request as r\n\
         r.urlopen(r.Request('http://{}/v2/{path}', data=open('list').read().encode(), method='PUT', \
         headers={{'Content-Type': 'application/vnd.oci.image.index.v1+json'}}))",
        registry.host()
    );
    std::fs::write(sandbox.path().join("list"), text).unwrap();
    std::fs::write(sandbox.path().join("put.py"), script).unwrap();
    sh(sandbox.path(), "python3 put.py");
}
