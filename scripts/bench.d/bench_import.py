"""A root from a tar: into a store, into a folder."""

import shutil

from measure import Case, alternate, times_table
from peers import Rd

TITLE = "Import a root"


def measure(bench):
    sections = []
    for name in ("min", "big"):
        rounds = 3 if bench.quick or name == "big" else 5
        tar = bench.roots.tar(name)
        warm(tar)
        folder = bench.bed / "extracted"
        store = Rd(bench.bed / "import-store")
        extract = f"tar -xf {tar} -C {folder}"

        def fresh_folder():
            remove(folder)
            folder.mkdir()

        cases = [
            Case("rd import", [*store.command, "import", str(tar), f"bench:{name}"], store.clear, store.clear, True),
            Case("tar -x", extract.split(), fresh_folder, lambda: remove(folder), True),
            Case("tar -x, then sync", ["sh", "-c", f"{extract} && sync -f {folder}"], fresh_folder, lambda: remove(folder), True),
        ]
        samples = alternate(cases, rounds)
        sections.append(f"### {bench.describe_root(name)}, uncompressed tar\n\n" + times_table(samples, "rd import"))
        sections.append(f"### {bench.describe_root(name)}, as an image archive\n\n" + load(bench, name, rounds))
    return sections


def load(bench, name, rounds):
    archive = bench.roots.archive(name)
    warm(archive)
    engines = [Rd(bench.bed / "import-store"), *bench.peers.all()]
    cases = [
        # docker's work is done by its daemon, whose memory is not the client's.
        Case(f"{engine.name} load", [*engine.command, "load", "--input", str(archive)], engine.clear, None,
             with_memory=engine.name != "docker")
        for engine in engines
    ]
    samples = alternate(cases, rounds)
    for engine in engines:
        engine.clear()
    bench.images_gone()
    return times_table(samples, "rd load")


def warm(path):
    """Bring a file into the page cache."""
    with open(path, "rb") as file:
        while file.read(1 << 22):
            pass


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
