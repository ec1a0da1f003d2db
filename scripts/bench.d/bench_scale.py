"""Many images, long histories and large roots: rd beside itself in a small store, beside git, and beside sha256sum."""

import os
import subprocess

from measure import Case, hyperfine, once, run, size, table, times_table, Sample, turned
from peers import Rd

TITLE = "Scale"

IMAGES = 10_000
COMMITS = 100_000
# The root for `rd fsck`: random files of 1 MiB.
FILES = 5 * 1024


def measure(bench):
    return [many_names(bench), beside_git(bench), verify(bench)]


def many_names(bench):
    """The same commands in a store with one image and in one with many."""
    small, large = Rd(bench.bed / "scale-small"), Rd(bench.bed / "scale-large")
    images, commits = (IMAGES // 10, COMMITS // 10) if bench.quick else (IMAGES, COMMITS)
    for rd in (small, large):
        run([*rd.command, "import", str(bench.roots.tar("min")), "bench:min"])
        run([*rd.command, "create", "--name", "box", "bench:min", "true"])
    fill(large, images, commits)
    run([*large.command, "gc"])
    rows = []
    for name, words in (
        ("rd images", ["images"]),
        ("rd log -n 10", ["log", "-n", "10", "bench:min"]),
        ("rd rev-parse", ["rev-parse", "bench:min"]),
        ("rd commit", ["commit", "box", "bench:committed"]),
    ):
        cases = [Case("small", [*small.command, *words]), Case("large", [*large.command, *words])]
        samples = hyperfine(cases, rounds=3 if bench.quick else 10, runs=3)
        rows.append([name, *(f"{sample.median * 1000:.1f} ms" for sample in samples),
                     f"{samples[1].median / samples[0].median:.2f}"])
    head = ["median", "one image", f"{images:,} images, {commits:,} commits", "ratio"]
    return "### Many images and commits\n\n" + table(head, rows)


def fill(rd, images, commits):
    """Commits of the image's tree, each on the one before, and images that name every tenth of them; by git fast-import."""
    git = ["git", "-C", str(rd.dir)]
    tree = run([*git, "rev-parse", "refs/images/docker.io/library/bench@min^{tree}"]).strip()
    parent = run([*git, "rev-parse", "refs/images/docker.io/library/bench@min"]).strip()
    every = commits // images
    who = "rd <rd@localhost>"

    def stream():
        yield "feature done\n"
        for number in range(1, commits + 1):
            message = f"commit {number}"
            yield (f"commit refs/images/docker.io/library/line@latest\nmark :{number}\n"
                   f"committer {who} {1_700_000_000 + number} +0000\ndata {len(message)}\n{message}\n"
                   f"from {f':{number - 1}' if number > 1 else parent}\nM 040000 {tree} \n\n")
            if number % every == 0:
                yield f"reset refs/images/docker.io/library/many{number // every:05}@latest\nfrom :{number}\n\n"
        # What the timed commands look at is the newest.
        yield f"reset refs/images/docker.io/library/bench@min\nfrom :{commits}\n\ndone\n"

    process = subprocess.Popen([*git, "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE, text=True)
    process.stdin.writelines(stream())
    process.stdin.close()
    if process.wait() != 0:
        raise RuntimeError("git fast-import failed")


def beside_git(bench):
    """Object commands over a large root: rd in its store, git in a repository with the same objects in one pack."""
    rd, git_dir = bench.rd(), bench.bed / "scale-git"
    run(["git", "clone", "--quiet", "--mirror", "--no-local", "-u", "rd upload-pack", str(rd.dir), str(git_dir)])
    run(["git", "-C", str(git_dir), "-c", "pack.threads=0", "repack", "-adq"])
    commit = run([*rd.command, "rev-parse", "bench:big"]).strip()
    ids = bench.bed / "scale-ids"
    lines = run(["git", "-C", str(git_dir), "rev-list", "--objects", "--no-object-names", commit])
    ids.write_text(lines)
    sections = []
    for title, words, source in (
        ("rev-list --objects", ["rev-list", "--objects", commit], None),
        ("ls-tree -r", ["ls-tree", "-r", commit], None),
        ("cat-file --batch-check", ["cat-file", "--batch-check"], ids),
        ("cat-file --batch", ["cat-file", "--batch", "--buffer"], ids),
    ):
        cases = [
            Case(f"rd {title}", with_input(["rd", "--git-dir", str(rd.dir), *words], source)),
            Case(f"git {title}", with_input(["git", "-C", str(git_dir), *words], source)),
        ]
        samples = hyperfine(cases, rounds=3, runs=1 if bench.quick else 3)
        sections.append(times_table(samples, cases[0].name))
    return f"### Object commands, on {bench.describe_root('big')}\n\n" + "\n\n".join(sections)


def with_input(command, source):
    if source is None:
        return command
    return ["sh", "-c", f"'{' '.join(command)} <{source}'"]


def verify(bench):
    """`rd fsck` and sha256sum over the same contents, on all cores."""
    rd = Rd(bench.bed / "scale-fsck")
    files = FILES // 10 if bench.quick else FILES
    make = ("import io, os, sys, tarfile\n"
            "tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')\n"
            f"for number in range({files}):\n"
            "    info = tarfile.TarInfo(f'file-{number}')\n"
            "    info.size = 1 << 20\n"
            "    tar.addfile(info, io.BytesIO(os.urandom(1 << 20)))\n"
            "tar.close()\n")
    with subprocess.Popen(["python3", "-c", make], stdout=subprocess.PIPE) as maker:
        subprocess.run([*rd.command, "import", "-", "bench:random"], stdin=maker.stdout, stdout=subprocess.DEVNULL, check=True)
    hash_all = f"find {rd.dir}/content -type f -print0 | xargs -0 -n 64 -P {os.cpu_count()} sha256sum"
    cases = [
        Case("rd fsck", [*rd.command, "fsck"], with_memory=True),
        Case("sha256sum on all cores", ["sh", "-c", hash_all], with_memory=True),
    ]
    samples = {case.name: Sample(case.name) for case in cases}
    run(cases[1].command)
    for number in range(2 if bench.quick else 4):
        for case in turned(cases, number):
            once(case, samples[case.name])
    rd.clear()
    return f"### Verify {size(files << 20)} in {files:,} files\n\n" + times_table([*samples.values()], "rd fsck")
