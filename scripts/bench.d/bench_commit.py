"""A commit of a running container: after one small change, the 500th like the first, and one that adds 100 MB."""

import os
import subprocess

from measure import Case, Sample, alternate, milliseconds, run, size, table, timed, times_table

TITLE = "Commit"

MANY = 500


class Changer:
    """A running container that changes a file each time it is told to."""

    def __init__(self, engine, image, change):
        self.engine = engine
        self.name = "bench-commit"
        loop = f"while read n; do {change}; echo done; done"
        self.process = subprocess.Popen(
            [*engine.command, "run", "-i", "--name", self.name, "--network", "none", image, "sh", "-c", loop],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.change("ready")

    def change(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise RuntimeError(f"the container of {self.engine.name} has ended")

    def commit(self):
        os.sync()
        return timed([*self.engine.command, "commit", self.name, "bench:committed"])

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.engine.remove(self.name)


def measure(bench):
    sections = []
    many = 50 if bench.quick else MANY
    for name in ("min", "big"):
        sections.append(f"### One small change, on {bench.describe_root(name)}\n\n" + small_change(bench, name, many))
    sections.append("### One new file of 100 MB\n\n" + large_file(bench))
    return sections


def disk_use(dir):
    return int(run(["du", "-s", "--block-size=1", str(dir)]).split()[0])


def small_change(bench, name, many):
    rd = bench.rd()
    change = "echo $n >/etc/bench-change"
    changers = [Changer(rd, f"bench:{name}", change)]
    for peer in bench.peers.all():
        bench.load_image(peer, name)
        changers.append(Changer(peer, f"bench:{name}", change))
    git = git_repository(bench, name)
    samples = {changer.engine.name: Sample(f"{changer.engine.name} commit") for changer in changers}
    samples["git"] = Sample("git add -A; git commit")
    first = None
    before = disk_use(rd.dir)
    for number in range(20):
        for changer in changers:
            changer.change(str(number))
            samples[changer.engine.name].times.append(changer.commit())
            first = first or disk_use(rd.dir)
        (git / "etc/bench-change").write_text(f"{number}\n")
        os.sync()
        samples["git"].times.append(timed(["sh", "-c", f"git -C {git} add -A && git -C {git} commit -qm {number}"]))
    for changer in changers[1:]:
        changer.stop()

    later = many_commits(changers[0], many)
    after = disk_use(rd.dir)
    changers[0].stop()
    growth = table(["", ""], [
        ["the store's growth by the first commit", size(first - before)],
        [f"the store's growth by {many} commits, a commit", size((after - before) / many)]])
    return times_table([*samples.values(), *later], "rd commit") + "\n\n" + growth


def many_commits(changer, many):
    """Go on until there are `many` commits; the times of the last 20."""
    last = Sample(f"rd commit, the last 20 of {many}")
    for number in range(20, many):
        changer.change(str(number))
        seconds = changer.commit()
        if number >= many - 20:
            last.times.append(seconds)
    return [last]


def git_repository(bench, name):
    """The unpacked root as a git repository with one commit, made fast: only later commits are timed."""
    dir = bench.roots.unpacked(name)
    git = ["git", "-C", str(dir)]
    if not (dir / ".git").exists():
        run([*git, "init", "-q"])
        for key, value in (("user.name", "bench"), ("user.email", "bench@localhost"), ("gc.auto", "0")):
            run([*git, "config", key, value])
        run([*git, "-c", "core.compression=0", "add", "-A"])
        run([*git, "commit", "-qm", "root"])
    return dir


def large_file(bench):
    rd = bench.rd()
    source, copy = bench.bed / "large", bench.bed / "large-copy"
    # The container's file comes and goes within its own files; the one that is copied lies on the same filesystem.
    changer = Changer(rd, "bench:min", "rm -f /large; head -c 104857600 /dev/urandom >/large")
    copy_and_hash = f"cp {source} {copy} && sha256sum {copy}"

    def fresh_source():
        copy.unlink(missing_ok=True)
        with open("/dev/urandom", "rb") as random, open(source, "wb") as file:
            for _ in range(100):
                file.write(random.read(1 << 20))

    def remove():
        source.unlink()
        copy.unlink()

    cases = [
        Case("rd commit", [*rd.command, "commit", changer.name, "bench:large"], lambda: changer.change("large")),
        Case("cp; sha256sum", ["sh", "-c", copy_and_hash], fresh_source, remove),
        Case("cp; sha256sum; sync", ["sh", "-c", f"{copy_and_hash} && sync {copy}"], fresh_source, remove),
    ]
    samples = alternate(cases, 3 if bench.quick else 7)
    changer.stop()
    return times_table(samples, "rd commit")
