"""Run the benchmarks; print their tables; put them into docs/bench.md in place of those of earlier runs.

main.py ROOTS BED DOCUMENT [--quick] [NAME…]
"""

import datetime
import os
import pathlib
import re
import sys

import bench_cold
import bench_commit
import bench_diff
import bench_import
import bench_run
import bench_scale
import bench_size
import bench_transfer
import machine
from measure import run, size
from peers import Peers, Rd
from roots import Roots

BENCHMARKS = {"import": bench_import, "run": bench_run, "commit": bench_commit, "diff": bench_diff, "size": bench_size,
              "scale": bench_scale, "cold": bench_cold, "transfer": bench_transfer}

INTRODUCTION = """# Benchmarks

Written by `scripts/bench`, which makes the roots and runs rd and the other programs side by side;
`scripts/bench NAME` runs one of `{names}` and replaces its section alone. Each section says when it was measured; all programs
of a table ran in the same minutes.

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
    when = f"Measured on {datetime.date.today()}."
    parts = [f"## {module.TITLE}", module.__doc__.strip() + " " + when, *module.measure(bench)]
    text = "\n\n".join(parts) + "\n"
    print(text, flush=True)
    return text


def main(arguments):
    quick = "--quick" in arguments
    tars, bed, document, *names = [word for word in arguments if word != "--quick"]
    bench = Bench(tars, bed, quick)
    try:
        sections = [section(bench, name) for name in names or list(BENCHMARKS)]
    finally:
        bench.peers.stop()
    notes = [*bench.notes, *bench.peers.notes()]
    if notes:
        sections.append("## Not measured\n\n" + "\n".join(f"- {note}" for note in notes) + "\n")
    if not quick:
        document = pathlib.Path(document)
        top = INTRODUCTION.format(names="`, `".join(BENCHMARKS)) + "\n" + machine.describe(bed) + "\n"
        document.write_text(page(document.read_text() if document.exists() else "", top, sections))


def page(old, top, sections):
    """The page with new sections in place of those of the same titles; what else is in it stays."""
    parts = dict((part.split("\n", 1)[0], part) for part in re.split(r"^(?=## )", old, flags=re.M)[1:])
    parts.pop("## Not measured", None)
    for part in sections:
        parts[part.split("\n", 1)[0]] = part
    return "\n".join(part.rstrip("\n") + "\n" for part in [top, *parts.values()])


if __name__ == "__main__":
    os.environ["GIT_CONFIG_GLOBAL"] = "/dev/null"
    main(sys.argv[1:])
