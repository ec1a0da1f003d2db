"""Images to and from a registry (docker-registry on loopback), and from one store to another over ssh.

Bytes are counted by a proxy in front of the registry, in both directions. CPU time is that of the client and of its daemon.
"""

import io
import os
import resource
import statistics
import sys
import tarfile
import time

from measure import run, size, table
from peers import Rd
from roots import write_image
from wire import Proxy, Registry, Ssh

TITLE = "Move images"

# What is below this in `big` makes the upper layer of two siblings.
SHARED = "usr/lib/go-1"


def measure(bench):
    registry = Registry(bench.bed / "registry")
    proxy = Proxy(registry.port)
    try:
        return Moves(bench, proxy).sections()
    finally:
        proxy.stop()
        registry.stop()


class Client:
    """An engine, with the words that pull, push and load have in it."""

    def __init__(self, peer):
        self.peer, self.name = peer, peer.name
        self.options = ["--tls-verify=false"] if self.name == "podman" else []

    def pull(self, image):
        return [*self.peer.command, "pull", "--quiet", *self.options, image]

    def push(self, image):
        quiet = [] if self.name == "docker" else ["--quiet"]
        return [*self.peer.command, "push", *quiet, *self.options, image]

    def change(self, image, new, script):
        """A commit on top of an image."""
        container = "bench-move"
        run([*self.peer.command, "run", "--name", container, "--network", "none", image, "sh", "-c", script])
        run([*self.peer.command, "commit", container, new])
        self.peer.remove(container)

    def cpu(self):
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = used.ru_utime + used.ru_stime
        daemon = getattr(self.peer, "daemon", None)
        if daemon:
            fields = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        return total


class Moves:
    def __init__(self, bench, proxy):
        self.bench, self.proxy = bench, proxy
        self.rounds = 1 if bench.quick else 3
        self.host = f"127.0.0.1:{proxy.port}"
        self.rd = Client(Rd(bench.bed / "move-store"))
        self.clients = [self.rd, *map(Client, bench.peers.all())]
        siblings(bench)

    def image(self, name):
        return f"{self.host}/bench/{name}:1"

    def sections(self):
        source = Client(Rd(self.bench.bed / "move-source"))
        for name in ("big", "one", "two"):
            run([*source.peer.command, "load", "--input", str(archive_of(self.bench, name))])
            run([*source.peer.command, "tag", f"bench:{name}", self.image(name)])
            run(source.push(self.image(name)))
        run([*source.peer.command, "push", "--quiet", "--compression", "zstd:chunked", self.image("one"), f"{self.host}/bench/one:chunked"])
        run([*source.peer.command, "push", "--quiet", "--compression", "zstd:chunked", self.image("two"), f"{self.host}/bench/two:chunked"])
        source.peer.clear()
        tables = []
        for measured in (self.pull_whole, self.pull_sibling, self.push_changed, self.push_unchanged, self.over_ssh):
            tables.append(measured())
            print("\n".join(tables[-1]), file=sys.stderr, flush=True)
        for client in self.clients:
            client.peer.clear()
        self.bench.images_gone()
        return [f"### {title}\n\n{text}" for title, text in tables]

    def time(self, cases, on_wire=True):
        """A table: of each case a name, a client, a command, and what to do before. Over ssh no bytes are counted."""
        figures = {name: [] for name, *_ in cases}
        for number in range(self.rounds):
            for name, client, command, before in cases[number % len(cases):] + cases[:number % len(cases)]:
                before()
                os.sync()
                self.proxy.counted()
                cpu, start = client.cpu(), time.perf_counter()
                run(command)
                figures[name].append((time.perf_counter() - start, client.cpu() - cpu, sum(self.proxy.counted())))
        rows = []
        for name, samples in figures.items():
            seconds, cpu, moved = (statistics.median(column) for column in zip(*samples))
            wire = [size(moved)] if on_wire else []
            rows.append([name, f"{min(sample[0] for sample in samples):.2f} s", f"{seconds:.2f} s", f"{cpu:.2f} s", *wire, len(samples)])
        return table(["", "minimum", "median", "CPU", *(["on the wire"] if on_wire else []), "runs"], rows)

    def pull_whole(self):
        cases = [(f"{c.name} pull", c, c.pull(self.image("big")), c.peer.clear) for c in self.clients]
        return f"Pull {self.bench.describe_root('big')} into an empty store", self.time(cases)

    def pull_sibling(self):
        """The other image is there, with all layers but the last in common."""
        def prepare(client, name):
            def before():
                client.peer.clear()
                run(client.pull(name))
            return before

        cases = [(f"{c.name} pull", c, c.pull(self.image("two")), prepare(c, self.image("one"))) for c in self.clients]
        chunked = f"{self.host}/bench/two:chunked"
        cases.append(("rd pull of zstd:chunked", self.rd, self.rd.pull(chunked), prepare(self.rd, f"{self.host}/bench/one:chunked")))
        return "Pull an image whose sibling is there, which has most of its upper layer's files", self.time(cases)

    def push_changed(self):
        def prepare(client):
            count = iter(range(100))

            def before():
                new = f"{self.host}/bench/{client.name}:changed"
                client.change(self.image("one"), new, f"echo {next(count)} >/etc/bench; head -c 1000000 /dev/urandom >/srv/noise")
            return before

        for client in self.clients:
            client.peer.clear()
            run(client.pull(self.image("one")))
        cases = [(f"{c.name} push", c, self.force(c, c.push(f"{self.host}/bench/{c.name}:changed")), prepare(c)) for c in self.clients]
        return "Push an image of which one layer of 1 MB is new", self.time(cases)

    def push_unchanged(self):
        """Each to a repository of its own: where an engine compresses anew, the tag is another's afterwards."""
        def own(client):
            return f"{self.host}/bench/{client.name}:same"

        for client in self.clients:
            run([*client.peer.command, "tag", self.image("one"), own(client)])
            run(client.push(own(client)))
        cases = [(f"{c.name} push", c, c.push(own(c)), lambda: None) for c in self.clients]
        return "Push an image that the registry has", self.time(cases)

    def force(self, client, command):
        return [*command, "--force"] if client is self.rd else command

    def over_ssh(self):
        """From one store to another on the same machine."""
        ssh = Ssh(self.bench.bed / "ssh")
        try:
            return self.ssh_table(ssh)
        finally:
            ssh.stop()

    def ssh_table(self, ssh):
        os.environ["RD_SSH_COMMAND"] = ssh.command
        far = Rd(self.bench.bed / "move-far")
        remote = f"ssh://{ssh.host}:{ssh.port}{far.dir}"

        def fresh():
            far.clear()
            run([*far.command, "init"])

        run(self.rd.pull(self.image("big")))
        run([*self.rd.peer.command, "remote", "add", "far", remote])
        push = [*self.rd.peer.command, "push", "--quiet", self.image("big"), f"far/{self.image('big')}"]
        cases = [("rd push over ssh", self.rd, push, fresh)]
        docker = next((client for client in self.clients if client.name == "docker"), None)
        if docker:
            run(docker.pull(self.image("big")))
            words = " ".join(docker.peer.command)
            line = f"{words} save {self.image('big')} | {ssh.command} {ssh.host} cat >/dev/null"
            cases.append(("docker save through ssh, read only", docker, ["sh", "-c", line], lambda: None))
            line = f"{words} save {self.image('big')} | {ssh.command} {ssh.host} {' '.join(self.podman())} load"
            cases.append(("docker save through ssh into podman load", docker, ["sh", "-c", line], self.podman_clear))
        text = self.time(cases, on_wire=False)
        far.clear()
        return "From one store to another over ssh, all of `big`", text

    def podman(self):
        return next((client.peer.command for client in self.clients if client.name == "podman"), ["podman"])

    def podman_clear(self):
        for client in self.clients:
            if client.name == "podman":
                client.peer.clear()


def archive_of(bench, name):
    return bench.roots.archive(name) if name == "big" else bench.roots.tars / f"{name}-image.tar"


def siblings(bench):
    """Two images on `min`: the upper layer of one is a part of `big`; that of the other has a few files changed and added."""
    for name, changed in (("one", False), ("two", True)):
        path = archive_of(bench, name)
        if path.exists():
            continue
        layer = path.with_suffix(".layer")
        with tarfile.open(bench.roots.tar("big")) as source, tarfile.open(layer, "w") as out:
            for number, member in enumerate(source):
                if member.name.lstrip("./").startswith(SHARED) and not member.islnk():
                    data = source.extractfile(member).read() if member.isreg() else None
                    if changed and data and number % 50 == 0:
                        data += b"\n// changed\n"
                        member.size = len(data)
                    out.addfile(member, io.BytesIO(data) if data is not None else None)
        write_image(path, name, [bench.roots.tar("min"), layer])
        layer.unlink()
