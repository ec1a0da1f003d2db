//! `rd pull` of zstd:chunked layers, of which only the files that the store lacks are fetched.

use std::path::PathBuf;

use crate::fsck::files_below;
use crate::import::sh;
use crate::registry::Registry;
use crate::sandbox::Sandbox;

/// Two images at a registry that differ in one of twenty files: `web:1` and `web:2`.
fn siblings(sandbox: &Sandbox, registry: &Registry) {
    let script = "mkdir root; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            head -c 20000 /dev/urandom >root/file$i; done; echo small >root/small; ln root/file3 root/link
        tar -C root -cf one.tar .; head -c 20000 /dev/urandom >root/file7; tar -C root -cf two.tar .";
    sh(sandbox.path(), script);
    for (file, tag) in [("one.tar", "1"), ("two.tar", "2")] {
        let name = registry.name(&format!("web:{tag}"));
        sandbox.ok(["import", file, &name]);
        sandbox.ok(["push", "-q", "--compression", "zstd:chunked", &name]);
    }
}

/// The compressed layers that a store keeps.
fn kept(sandbox: &Sandbox) -> Vec<PathBuf> {
    files_below(&sandbox.store_dir().join("blobs"))
}

/// Python with functions that fetch and put at the registry.
fn python(sandbox: &Sandbox, registry: &Registry, script: &str) {
    let top = format!(
        "import hashlib, json, subprocess, struct, urllib.request as r\n\
         base = 'http://{}'\n\
         def get(path): return r.urlopen(base + '/v2/web/' + path).read()\n\
         def put(url, data, kind): r.urlopen(r.Request(url, data=data, method='PUT', headers={{'Content-Type': kind}}))\n\
         def put_manifest(tag, manifest): put(base + '/v2/web/manifests/' + tag, json.dumps(manifest).encode(), manifest['mediaType'])\n\
         def sha(data): return 'sha256:' + hashlib.sha256(data).hexdigest()\n\
         key = 'io.github.containers.zstd-chunked.'\n\
         manifest = json.loads(r.urlopen(r.Request(base + '/v2/web/manifests/2', headers={{'Accept': 'application/vnd.oci.image.manifest.v1+json'}})).read())\n\
         layer = manifest['layers'][0]\n",
        registry.host()
    );
    std::fs::write(sandbox.path().join("script.py"), top + script).unwrap();
    sh(sandbox.path(), "python3 script.py");
}

#[test]
fn only_files_that_are_missing_are_fetched() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    siblings(&sandbox, &registry);
    let other = Sandbox::new();
    let (one, two) = (registry.name("web:1"), registry.name("web:2"));
    other.ok(["pull", "-q", &one]);
    assert_eq!(kept(&other).len(), 1, "the first came whole");
    // The registry has nothing but the description and one file left of the other layer.
    let script = "import os, glob\n\
        start = int(layer['annotations'][key + 'manifest-position'].split(':')[0])\n\
        path = glob.glob('registry-*/docker/registry/v2/blobs/sha256/*/' + layer['digest'][7:] + '/data')[0]\n\
        toc = subprocess.run(['zstd', '-dc'], input=open(path, 'rb').read()[start:], stdout=subprocess.PIPE).stdout\n\
        file = next(e for e in json.JSONDecoder().raw_decode(toc.decode(errors='replace'))[0]['entries'] if e['name'].endswith('file7'))\n\
        data = bytearray(open(path, 'rb').read())\n\
        data[:file['offset']] = bytes(file['offset'])\n\
        data[file['endOffset']:start] = bytes(start - file['endOffset'])\n\
        open(path, 'wb').write(data)\n";
    python(&sandbox, &registry, script);
    other.ok(["pull", "-q", &two]);
    assert_eq!(other.ok(["rev-parse", &two]), sandbox.ok(["rev-parse", &two]));
    assert_eq!(other.ok(["ls-root", &two]), sandbox.ok(["ls-root", &two]));
    assert_eq!(kept(&other).len(), 1, "of the second layer only parts came");
    assert_eq!(other.ok(["fsck"]), "");
}

#[test]
fn a_layer_that_describes_itself_wrongly_is_fetched_whole() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    siblings(&sandbox, &registry);
    // A description with another digest than it should have.
    python(
        &sandbox,
        &registry,
        "layer['annotations'][key + 'tarsplit-checksum'] = sha(b'another')\nput_manifest('checksum', manifest)\n",
    );
    // One that says of a file that it is another which the store has, with all digests as they should be.
    let script = "start, length, size, kind = map(int, layer['annotations'][key + 'manifest-position'].split(':'))\n\
        blob = get('blobs/' + layer['digest'])\n\
        toc = json.loads(subprocess.run(['zstd', '-dc'], input=blob[start:start + length], stdout=subprocess.PIPE, check=True).stdout)\n\
        files = {entry['name'].removeprefix('./'): entry for entry in toc['entries'] if entry['type'] == 'reg'}\n\
        files['file7']['digest'] = files['file9']['digest']\n\
        plain = json.dumps(toc).encode()\n\
        packed = subprocess.run(['zstd', '-c'], input=plain, stdout=subprocess.PIPE, check=True).stdout\n\
        position = len(blob) + 8\n\
        blob += struct.pack('<II', 0x184D2A50, len(packed)) + packed\n\
        layer['annotations'][key + 'manifest-position'] = f'{position}:{len(packed)}:{len(plain)}:1'\n\
        layer['annotations'][key + 'manifest-checksum'] = sha(packed)\n\
        layer['digest'], layer['size'] = sha(blob), len(blob)\n\
        begun = r.urlopen(r.Request(base + '/v2/web/blobs/uploads/', data=b'', method='POST')).headers['Location']\n\
        put(begun + ('&' if '?' in begun else '?') + 'digest=' + layer['digest'], blob, 'application/octet-stream')\n\
        put_manifest('content', manifest)\n";
    python(&sandbox, &registry, script);
    for tag in ["checksum", "content"] {
        let other = Sandbox::new();
        other.ok(["pull", "-q", &registry.name("web:1")]);
        let name = registry.name(&format!("web:{tag}"));
        other.ok(["pull", "-q", &name]);
        assert_eq!(other.ok(["ls-root", &name]), sandbox.ok(["ls-root", &registry.name("web:2")]), "{tag}");
        assert_eq!(kept(&other).len(), 2, "{tag}: both came whole");
        assert_eq!(other.ok(["fsck"]), "", "{tag}");
    }
}
