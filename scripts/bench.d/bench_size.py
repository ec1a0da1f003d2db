"""The store's size after importing three related roots, against their contents, each counted once."""

import os

from measure import run, size, table
from peers import Rd
from roots import unique_contents

TITLE = "Size of the store"


def folder_size(dir):
    """Files, their bytes, and what they take on disk."""
    files = length = blocks = 0
    for parent, _, names in os.walk(dir):
        for name in names:
            stat = os.lstat(os.path.join(parent, name))
            files, length, blocks = files + 1, length + stat.st_size, blocks + stat.st_blocks * 512
    return files, length, blocks


def measure(bench):
    names = ("min", "mid", "big")
    store = Rd(bench.bed / "size-store")
    for name in names:
        run([*store.command, "import", str(bench.roots.tar(name)), f"bench:{name}"])
    unique = unique_contents([bench.roots.tar(name) for name in names])
    contents, whole = folder_size(store.dir / "content"), folder_size(store.dir)
    store.clear()

    def row(name, counts):
        _, length, blocks = counts
        return [name, counts[0], size(length), f"{length / unique[1]:.3f}", size(blocks), f"{blocks / unique[2]:.3f}"]

    head = ["", "files", "bytes", "ratio", "on disk", "ratio"]
    tars = sum(bench.roots.tar(name).stat().st_size for name in names)
    rows = [row("contents of all files, each once", unique), row("the store's contents", contents), row("the whole store", whole)]
    text = ("The sum is computed from the tars by a program of its own; on disk it counts whole blocks of 4 KiB. "
            f"The three tars together have {size(tars)}.\n\n")
    return [f"### Three roots: {', '.join(bench.describe_root(name) for name in names)}\n\n{text}" + table(head, rows)]
