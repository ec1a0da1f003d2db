"""The roots that are measured: tars made by `scripts/bench`, unpacked folders, bundles and archives of them."""

import hashlib
import io
import json
import pathlib
import tarfile

from measure import run


class Roots:
    """`min`, `mid` and `big`, with all that is made of them kept in the bed."""

    def __init__(self, tars, bed):
        self.tars = pathlib.Path(tars)
        self.bed = bed

    def tar(self, name):
        return self.tars / f"{name}.tar"

    def unpacked(self, name):
        dir = self.bed / "unpacked" / name
        if not dir.exists():
            dir.mkdir(parents=True)
            run(["tar", "-xf", str(self.tar(name)), "-C", str(dir)])
        return dir

    def bundle(self, name, rootfs):
        """A bundle for an OCI runtime whose process is `true`, with the root at `rootfs`."""
        dir = self.bed / "bundles" / name
        if not dir.exists():
            dir.mkdir(parents=True)
            run(["runc", "spec", "--bundle", str(dir)])
            config = json.loads((dir / "config.json").read_text())
            config["process"].update(terminal=False, args=["true"])
            config["root"] = {"path": str(rootfs), "readonly": False}
            (dir / "config.json").write_text(json.dumps(config))
        return dir

    def archive(self, name):
        """The root as an image in docker's archive format, of one layer."""
        path = self.tars / f"{name}-image.tar"
        if not path.exists():
            write_image(path, name, [self.tar(name)])
        return path

    def facts(self, name):
        """Entries, and the size of the tar."""
        with tarfile.open(self.tar(name)) as tar:
            return sum(1 for _ in tar), self.tar(name).stat().st_size


def sha256_of(file):
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest


def write_image(path, name, layers):
    """An image in docker's archive format, whose layers are these tars."""
    digests = []
    for layer in layers:
        with open(layer, "rb") as file:
            digests.append(sha256_of(file).hexdigest())
    created = "2024-01-01T00:00:00Z"
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": created, "config": {"Cmd": ["bash"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": created, "created_by": f"layer {number}"} for number in range(len(layers))]}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [f"bench:{name}"], "Layers": names}]).encode()
    part = path.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        for member, data in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for member, layer in zip(names, layers):
            tar.add(layer, member)
    part.rename(path)


def unique_contents(tars):
    """The contents of all regular files in the tars, each counted once: number, bytes, bytes in blocks of 4 KiB."""
    seen = {}
    for path in tars:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isreg():
                    with tar.extractfile(member) as file:
                        seen[sha256_of(file).digest()] = member.size
    return len(seen), sum(seen.values()), sum(-size // 4096 * -4096 for size in seen.values())
