"""What the figures were measured with: versions and hardware, nothing that names a host."""

import datetime
import os
import re
import subprocess

from measure import table

PROGRAMS = [
    ("rd", ["rd", "version"]),
    ("runc", ["runc", "--version"]),
    ("crun", ["crun", "--version"]),
    ("podman", ["podman", "--version"]),
    ("docker", ["dockerd", "--version"]),
    ("git", ["git", "--version"]),
    ("tar", ["tar", "--version"]),
    ("cp, sha256sum", ["cp", "--version"]),
    ("hyperfine", ["hyperfine", "--version"]),
    ("rustc", ["rustc", "--version"]),
]


def version(command):
    try:
        text = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    except OSError:
        return "not installed"
    found = re.search(r"\d+\.\d+[\w.+~-]*", text)
    return found[0] if found else "unknown"


def first_match(path, pattern):
    with open(path) as file:
        found = re.search(pattern, file.read(), re.M)
    return found[1].strip() if found else "unknown"


def describe(bed):
    """Two tables in markdown: the machine and the programs."""
    filesystem = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", str(bed)], capture_output=True, text=True).stdout
    memory = int(first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)")) / (1 << 20)
    facts = [
        ("measured on", datetime.date.today()),
        ("processor", first_match("/proc/cpuinfo", r"^model name\s*: (.*)")),
        ("cores", os.cpu_count()),
        ("memory", f"{memory:.0f} GiB"),
        ("kernel", re.match(r"[\d.]+", os.uname().release)[0]),
        ("filesystem", filesystem.strip()),
        ("distribution", first_match("/etc/os-release", r'^PRETTY_NAME="(.*)"')),
    ]
    versions = [(name, version(command)) for name, command in PROGRAMS]
    return table(["machine", ""], facts) + "\n\n" + table(["program", "version"], versions)
