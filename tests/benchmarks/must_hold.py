"""What simkit promises of its speed, row by row: measured, beside what is promised. Asserts nothing.

usage: python tests/benchmarks/must_hold.py [--repeat 5] [--rows NUMBER …] [--folder /dev/shm]

On a quiet machine: a busy one tells of itself. The comparison with the peers is that of figure5.py.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from figure5 import HERE, measured

MILLION = 10**6


class Bench:
    """Measures simkit, each time in a fresh folder and process."""

    def __init__(self, options):
        self.repeat, self.folder = options.repeat, options.folder

    def study(self, form, n, workload="red", load="load"):
        """Medians of the whole command and of loading; bytes of the file, and the largest memory."""
        rows = [self._once(form, n, workload, load) for _ in range(self.repeat)]
        return {key: statistics.median(row[key] for row in rows) for key in rows[0]}

    def _once(self, form, n, workload, load):
        folder = tempfile.mkdtemp(dir=self.folder)
        point = {"module": "on_simkit", "form": form, "workload": workload, "n": n, "folder": folder}
        row = {}
        for phase in ("run", load):
            command = [sys.executable, str(HERE / "point.py"), json.dumps({**point, "phase": phase})]
            row.update({f"{phase} {key}": value for key, value in measured(command, 300).items()})
        row["bytes"] = Path(folder, "results", "bench-001.h5").stat().st_size
        shutil.rmtree(folder)
        return row

    def command(self, *words):
        """Median seconds of a whole process in a folder with a study of twelve runs, a git repository."""
        seconds = []
        for _ in range(self.repeat + 1):  # the first one writes the caches of the bytecode
            folder = tempfile.mkdtemp(dir=self.folder)
            Path(folder, "sim_few.py").write_text(FEW, "utf-8")
            os.system(
                f"cd {folder} && git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm a"
            )
            hidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
            environment = {key: value for key, value in os.environ.items() if key not in hidden}
            began = time.perf_counter()
            pid = os.posix_spawn(sys.executable, [sys.executable, "-c", INSIDE, folder, *words], environment)
            _, status = os.waitpid(pid, 0)
            seconds.append(time.perf_counter() - began)
            shutil.rmtree(folder)
            if status:
                sys.exit(f"{words} ended with {status}")
        return statistics.median(seconds[1:])


FEW = """\
from simkit import experiment, product

@experiment
@product(x=[1.0, 2.0, 3.0, 4.0], y=[6.0, 7.0, 8.0])
def few(x, y):
    return x * y
"""
INSIDE = """\
import os, sys
os.chdir(sys.argv.pop(1))
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
if sys.argv[1] == "import":
    for name in sys.argv[2:]:
        __import__(name)
else:
    from simkit.cli.main import main
    sys.exit(main(sys.argv[2:]))
"""


def per_run(bench, form, n=MILLION):
    return bench.study(form, n)["run seconds"] / n * 1e6


def above(bench, form, other):
    return per_run(bench, form) - per_run(bench, other)


def slope(bench, form, n, few=1000):
    """Microseconds that a run more costs."""
    seconds = bench.study(form, n)["run seconds"] - bench.study(form, few)["run seconds"]
    return seconds / (n - few) * 1e6


def fixed(bench, workers):
    return bench.command("simkit", "-q", "-n", workers) - bench.command("import", "numpy", "h5py")


def started(bench, *words):
    return bench.command(*words) - bench.command("import", "os")


def table(bench):
    """Seconds from the file to a DataFrame, after imports, the file in the system's cache."""
    return bench.study("alone -n 0", MILLION, load="table")["table seconds"]


def memory(bench, form, n, workload):
    """Megabytes of all processes of the command."""
    return bench.study(form, n, workload, "one")["run peak"] / 1e6


# what, unit, at most (a negative number: at least), how it is measured
ROWS = (
    ("10⁶ runs that return a float, -n 0, whole command", "µs a run", 1.0, lambda b: per_run(b, "alone -n 0")),
    ("10⁶ runs that return a float, -n 2, whole command", "µs a run", 1.0, lambda b: per_run(b, "alone -n 2")),
    ("10⁶ runs, vectorized", "µs a run", 0.15, lambda b: per_run(b, "vectorized -n 0")),
    ("10⁷ runs, vectorized", "s", 2.0, lambda b: b.study("vectorized -n 0", 10**7)["run seconds"]),
    ("10⁶ runs, run.add beside returned", "µs a run", 0.3, lambda b: above(b, "added -n 0", "returned -n 0")),
    ("10⁶ runs with rng and one draw", "µs a run", 2.0, lambda b: per_run(b, "drawn -n 0")),
    ("12 runs beside importing numpy and h5py, -n 0", "s", 0.15, lambda b: fixed(b, "0")),
    ("12 runs beside importing numpy and h5py, -n 1", "s", 0.25, lambda b: fixed(b, "1")),
    ("12 runs beside importing numpy and h5py, -n 2", "s", 0.25, lambda b: fixed(b, "2")),
    ("100 names of results, -n 0", "µs a run", 12.0, lambda b: slope(b, "named -n 0", 20_000)),
    (
        "1 ms of CPU a run: -n 2 against -n 0", "times", -1.9,
        lambda b: slope(b, "worked -n 0", 5000) / slope(b, "worked -n 2", 5000),
    ),
    ("10⁶ runs: file", "bytes a run", 40, lambda b: b.study("alone -n 0", MILLION)["bytes"] / MILLION),
    ("10⁶ runs: parameters, status and a result into a DataFrame, warm", "s", 0.1, table),
    ("import simkit", "s", 0.1, lambda b: started(b, "import", "simkit")),
    ("simkit --help", "s", 0.15, lambda b: started(b, "simkit", "--help")),
    ("10⁶ runs, -n 2: memory", "MB", 200, lambda b: memory(b, "alone -n 2", MILLION, "red")),
    ("1,000 runs of 1 MB, -n 2: memory", "MB", 200, lambda b: memory(b, "returned -n 2", 1000, "blue")),
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5, help="the median of this many")
    parser.add_argument("--rows", type=int, nargs="*", help="only these, counted from 1")
    parser.add_argument("--folder", type=Path, default=None, help="where trajectories are made")
    options = parser.parse_args()
    bench = Bench(options)
    print(
        f"medians of {options.repeat}\n\n|  | what | promised | measured | load |\n|--:|---|---:|---:|---:|"
    )
    for number, (what, unit, most, measure) in enumerate(ROWS, 1):
        if options.rows and number not in options.rows:
            continue
        value = measure(bench)
        holds = value <= most if most > 0 else value >= -most
        sign = "≤" if most > 0 else "≥"
        load = os.getloadavg()[0]
        cells = [
            what,
            f"{sign} {abs(most):g} {unit}",
            f"{'' if holds else '**not held** '}{value:.3g}",
            f"{load:.1f}",
        ]
        print(f"| {number} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
