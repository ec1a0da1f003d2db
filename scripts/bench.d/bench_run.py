"""A container that runs `true` and is removed, from an image that is in use already."""

import pathlib

from measure import Case, hyperfine, run, times_table

TITLE = "Start a container"


def overlay_script(bench, name):
    """What the simplest engine does: mount an overlay over an unpacked root, start crun, unmount."""
    dir = bench.bed / "overlay" / name
    for folder in ("upper", "work", "root"):
        (dir / folder).mkdir(parents=True, exist_ok=True)
    bundle = bench.roots.bundle(f"crun-{name}", dir / "root")
    options = f"lowerdir={bench.roots.unpacked(name)},upperdir={dir}/upper,workdir={dir}/work"
    script = dir / "run"
    script.write_text(
        "set -e\n"
        f"{HIDE_UNIFIED}\n"
        f"mount -t overlay bench -o {options} {dir}/root\n"
        f"crun run --bundle {bundle} bench-crun-{name}\n"
        f"umount {dir}/root\n")
    return ["unshare", "--mount", "sh", str(script)]


# crun refuses hosts that have both versions of control groups; in a mount namespace of its own it is shown only one.
HIDE_UNIFIED = "umount -l /sys/fs/cgroup/unified" if pathlib.Path("/sys/fs/cgroup/unified").exists() else ""


def measure(bench):
    sections = []
    rd = bench.rd()
    for name in ("min", "big"):
        bundle = bench.roots.bundle(f"runc-{name}", bench.roots.unpacked(name))
        cases = [
            Case("rd run", [*rd.command, "run", "--rm", "--network", "none", f"bench:{name}", "true"]),
            Case("runc run, unpacked bundle", ["runc", "run", "--bundle", str(bundle), f"bench-runc-{name}"]),
            Case("mount overlay, crun run, umount", overlay_script(bench, name)),
        ]
        for peer in bench.peers.all():
            bench.load_image(peer, name)
            cases.append(Case(f"{peer.name} run", [*peer.command, "run", "--rm", "--network", "none", f"bench:{name}", "true"]))
        cases = usable(bench, cases)
        samples = hyperfine(cases, rounds=4 if bench.quick else 10, runs=3)
        sections.append(f"### On {bench.describe_root(name)}\n\n" + times_table(samples, "rd run"))
    return sections


def usable(bench, cases):
    """Without those that can't run here; why is noted."""
    kept = []
    for case in cases:
        try:
            run(case.command)
            kept.append(case)
        except RuntimeError as error:
            if case.name == "rd run":
                raise
            bench.note(f"`{case.name}` was skipped: {str(error).strip().splitlines()[-1]}")
    return kept
