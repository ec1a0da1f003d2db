"""Time programs side by side: in rounds, each program once a round, the order turned from round to round.

A machine's speed drifts, and the first touch of memory is slow where a guest hands freed pages back to its host. What is
compared must therefore be measured close together and several times; the minimum and the median are reported.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field


@dataclass
class Sample:
    """Times of one program, in seconds, and its peak memory in bytes where that was measured."""

    name: str
    times: list = field(default_factory=list)
    peak: int = 0

    @property
    def minimum(self):
        return min(self.times)

    @property
    def median(self):
        return statistics.median(self.times)


@dataclass
class Case:
    """A program to time: what to do before each run (not timed), the command, what to do after."""

    name: str
    command: list
    before: object = None
    after: object = None
    with_memory: bool = False


def run(command, **options):
    """Run a command that must succeed; its output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def timed(command):
    """Seconds that a command takes."""
    start = time.perf_counter()
    run(command)
    return time.perf_counter() - start


def turned(cases, number):
    """The cases in another order each round."""
    at = number % len(cases)
    return cases[at:] + cases[:at]


def alternate(cases, rounds):
    """Time each case once a round."""
    samples = {case.name: Sample(case.name) for case in cases}
    for number in range(rounds):
        for case in turned(cases, number):
            once(case, samples[case.name])
    return [samples[case.name] for case in cases]


def once(case, sample):
    """One run of a case. The filesystem is clean before it, so that nobody pays for another's writes."""
    if case.before:
        case.before()
    os.sync()
    if case.with_memory:
        with tempfile.NamedTemporaryFile() as file:
            sample.times.append(timed(["/usr/bin/time", "-f", "%M", "-o", file.name, *case.command]))
            sample.peak = max(sample.peak, int(file.read().split()[-1]) * 1024)
    else:
        sample.times.append(timed(case.command))
    if case.after:
        case.after()


def hyperfine(cases, rounds, runs):
    """Time short commands by hyperfine: in each round, each case `runs` times after a warm-up."""
    samples = {case.name: Sample(case.name) for case in cases}
    for number in range(rounds):
        order = turned(cases, number)
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            names = [word for case in order for word in ("--command-name", case.name)]
            commands = [" ".join(case.command) for case in order]
            run(["hyperfine", "-N", "--style", "none", "--warmup", "1", "--runs", str(runs), "--export-json", file.name,
                 *names, *commands])
            for result in json.load(file)["results"]:
                samples[result["command"]].times += result["times"]
    return [samples[case.name] for case in cases]


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def size(number):
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.2f} GiB"


def table(head, rows):
    """A table in markdown; numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def times_table(samples, against):
    """Minimum, median and the ratio of medians to the sample called `against`."""
    base = next(sample for sample in samples if sample.name == against)
    memory = any(sample.peak for sample in samples)
    head = ["", "minimum", "median", f"median / {against}", "runs"] + (["peak memory"] if memory else [])
    rows = []
    for sample in samples:
        row = [sample.name, milliseconds(sample.minimum), milliseconds(sample.median),
               f"{sample.median / base.median:.2f}", len(sample.times)]
        rows.append(row + ([size(sample.peak) if sample.peak else "not measured"] if memory else []))
    return table(head, rows)
