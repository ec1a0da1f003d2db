"""Run the benchmarks; print their tables; write docs/bench.md when all were run.

main.py ROOTS BED DOCUMENT [--quick] [NAME…]
"""

import os
import pathlib
import sys

import bench_commit
import bench_diff
import bench_import
import bench_run
import bench_scale
import bench_size
import machine
from measure import run, size
from peers import Peers, Rd
from roots import Roots

BENCHMARKS = {"import": bench_import, "run": bench_run, "commit": bench_commit, "diff": bench_diff, "size": bench_size,
              "scale": bench_scale}

INTRODUCTION = """# Benchmarks

Written by `scripts/bench`, which makes the roots, runs rd and the other programs side by side, and replaces this page;
`scripts/bench NAME` runs one of `{names}` and prints it.

All programs of a table were run in rounds, each once a round, in turned order. Before each run that writes, the filesystem was synced, so
that nobody pays for another's writes. What is read is in the page cache. Ratios are those of medians. rd's writes are on disk
when a command ends; where another program's are not, a second line has it followed by `sync`.
"""


class Bench:
    """What the benchmarks share: the roots, the engines, notes about what could not be measured."""

    def __init__(self, tars, bed, quick):
        self.bed = pathlib.Path(bed)
        self.quick = quick
        self.bed.mkdir(parents=True)
        self.roots = Roots(tars, self.bed)
        self.peers = Peers(self.bed)
        self.notes = []
        self.loaded = set()
        self.facts = {}

    def rd(self):
        """rd with all roots imported."""
        rd = Rd(self.bed / "store")
        if not rd.dir.exists():
            for name in ("min", "big"):
                run([*rd.command, "import", str(self.roots.tar(name)), f"bench:{name}"])
        return rd

    def load_image(self, peer, name):
        if (peer.name, name) not in self.loaded:
            run([*peer.command, "load", "--input", str(self.roots.archive(name))])
            self.loaded.add((peer.name, name))

    def images_gone(self):
        self.loaded.clear()

    def note(self, text):
        self.notes.append(text)
        print(f"note: {text}", file=sys.stderr)

    def describe_root(self, name):
        if name not in self.facts:
            self.facts[name] = self.roots.facts(name)
        entries, length = self.facts[name]
        return f"`{name}` ({entries:,} entries, {size(length)})"


def section(bench, name):
    module = BENCHMARKS[name]
    print(f"== {module.TITLE}", file=sys.stderr)
    parts = [f"## {module.TITLE}", module.__doc__.strip(), *module.measure(bench)]
    text = "\n\n".join(parts) + "\n"
    print(text, flush=True)
    return text


def main(arguments):
    quick = "--quick" in arguments
    tars, bed, document, *names = [word for word in arguments if word != "--quick"]
    wanted = names or list(BENCHMARKS)
    bench = Bench(tars, bed, quick)
    try:
        sections = [section(bench, name) for name in wanted]
    finally:
        bench.peers.stop()
    notes = [*bench.notes, *bench.peers.notes()]
    page = [INTRODUCTION.format(names="`, `".join(BENCHMARKS)), machine.describe(bed) + "\n", *sections]
    page += ["## Not measured\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"] if notes else []
    if not names and not quick:
        pathlib.Path(document).write_text("\n".join(page))
    elif notes:
        print("\n".join(notes))


if __name__ == "__main__":
    os.environ["GIT_CONFIG_GLOBAL"] = "/dev/null"
    main(sys.argv[1:])
