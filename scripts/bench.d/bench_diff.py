"""The difference of two images that share most of their files."""

from measure import Case, hyperfine, run, times_table

TITLE = "Compare two images"

# Each hundredth file of /usr and /etc gets another line, and there is a new folder with a file.
CHANGE = """
    find /usr /etc -type f | sort | awk 'NR % 100 == 0' | while read -r file; do echo changed >>"$file"; done
    mkdir -p /srv/new; echo new >/srv/new/file
"""


def measure(bench):
    sections = []
    rd = bench.rd()
    for name in ("min", "big"):
        container = f"bench-diff-{name}"
        run([*rd.command, "run", "--name", container, "--network", "none", f"bench:{name}", "sh", "-c", CHANGE])
        run([*rd.command, "commit", container, f"bench:{name}-changed"])
        rd.remove(container)
        changed = len(run([*rd.command, "diff", "--name-status", f"bench:{name}", f"bench:{name}-changed"]).splitlines())
        images = [f"bench:{name}", f"bench:{name}-changed"]
        cases = [
            Case("rd diff", [*rd.command, "diff", *images]),
            Case("rd diff --name-status", [*rd.command, "diff", "--name-status", *images]),
            Case("rd diff --stat", [*rd.command, "diff", "--stat", *images]),
            Case("rd diff, same image", [*rd.command, "diff", images[0], images[0]]),
        ]
        samples = hyperfine(cases, rounds=3 if bench.quick else 5, runs=5)
        sections.append(f"### {bench.describe_root(name)}, {changed} paths changed\n\n" + times_table(samples, "rd diff"))
    return sections
