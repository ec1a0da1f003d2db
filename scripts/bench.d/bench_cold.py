"""Contents that nobody uses, packed away: nine related roots, most of whose files are alike.

git packs the same files, given the names that they have in the roots; both search for differences on all processors.
"""

import os

from measure import Case, Sample, once, run, size, table
from peers import Rd
from roots import unique_contents

TITLE = "Pack cold contents"

ROOTS = ("min", "mid", "big", "web", "db", "java", "node", "science", "compiler")


def measure(bench):
    names = ROOTS[:3] if bench.quick else ROOTS
    store = Rd(bench.bed / "cold-store")
    for name in names:
        run([*store.command, "import", str(bench.roots.tar(name)), f"bench:{name}"])
    git, listed = same_in_git(bench, store, names)
    packed = bench.bed / "cold-packs"
    packed.mkdir()
    cases = [
        Case("git pack-objects", ["sh", "-c", f"git -C {git} pack-objects -q --threads=0 {packed}/pack <{listed} >/dev/null"], with_memory=True),
        Case("rd repack --cold", [*store.command, "repack", "--quiet", "--cold", "now"], with_memory=True),
    ]
    sizes = {}
    rows = []
    before = folder_size(store.dir)
    for case in cases:
        sample = Sample(case.name)
        once(case, sample)
        sizes[case.name] = folder_size(packed) if case.name.startswith("git") else folder_size(store.dir)
        rows.append([case.name, size(sizes[case.name]), f"{sample.times[0]:.0f} s", size(sample.peak)])
    first = Case("rd run of a cold image", [*store.command, "run", "--rm", "--network", "none", "bench:big", "true"], with_memory=True)
    sample = Sample(first.name)
    once(first, sample)
    rows.append(["rd run of `big`, which brings its files back", size(folder_size(store.dir)), f"{sample.times[0]:.1f} s", size(sample.peak)])
    store.clear()
    unpacked = sum(bench.roots.facts(name)[1] for name in names)
    unique = unique_contents([bench.roots.tar(name) for name in names])
    text = (f"{len(names)} roots: {', '.join(f'`{name}`' for name in names)}; {size(unpacked)} of tars, {size(unique[1])} in "
            f"{unique[0]:,} different files. The store had {size(before)} before; what is given for rd is the whole store, for git the packs. "
            "Once each.\n\n")
    return [text + table(["", "on disk after", "time", "peak memory"], rows)]


def same_in_git(bench, store, names):
    """A git repository with the same files as loose objects, and a list of them with their paths."""
    git, listed = bench.bed / "cold-git", bench.bed / "cold-list"
    run(["git", "init", "--quiet", "--bare", "--object-format=sha256", str(git)])
    files = f"find {store.dir}/content -type f ! -path '*/tmp-*'"
    run(["sh", "-c", f"{files} | git -C {git} -c core.looseCompression=1 hash-object -w --no-filters --stdin-paths >{git}/ids"])
    trees = [f"bench:{name}" for name in names]
    run(["sh", "-c", f"rd --root {store.dir} rev-list --objects {' '.join(trees)} >{git}/all"])
    ids = set((git / "ids").read_text().split())
    with open(listed, "w") as out:
        for line in (git / "all").read_text(errors="replace").splitlines():
            if line[:64] in ids:
                out.write(line + "\n")
    return git, listed


def folder_size(dir):
    return sum(os.lstat(os.path.join(parent, name)).st_blocks * 512 for parent, _, names in os.walk(dir) for name in names)
