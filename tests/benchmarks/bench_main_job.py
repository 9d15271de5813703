"""What does the main job cost? Prints a table; asserts nothing about time.

usage: python tests/benchmarks/bench_main_job.py [--runs 1000000] [--arrays 300] [--repeat 5] [--folder DIR]

Every figure is the wall time of the whole command, interpreter start included: the median of --repeat, and the
least and the most, because a difference smaller than that spread means nothing. What is compared takes turns,
so that a busy minute of the machine hits all alike. What was recorded is checked, or nothing is printed.

Peak memory is VmHWM of the process `simkit` (parent) and the largest VmHWM of one of its descendants (worker),
polled from /proc every 10 ms; the mark only grows. Not ru_maxrss: a process inherits that from the one that
started it, so it would tell the size of this script. A process shorter than 10 ms may be missed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import simkit

MEGABYTE = 125_000  # float64

SCALARS = """\
from simkit import experiment, product

@experiment
@product(x=[float(i) for i in range({slow})], y=[float(i) for i in range({fast})])
def multiply(x: float, y: float) -> float:
    return x * y
"""

ARRAYS = """\
import numpy as np
from simkit import experiment, explore

BASE = np.random.default_rng(1).random({size})

@experiment
@explore(i=range({count}))
def stored(i: int):
    return {{"a": BASE + i}}

@experiment
@explore(i=range({count}))
def dropped(i: int):
    BASE + i
"""


class Measured:
    """One finished command: wall seconds, peak kB of the parent and of its largest descendant, bytes recorded."""

    def __init__(self, seconds: float, parent: int, worker: int) -> None:
        self.seconds, self.parent, self.worker = seconds, parent, worker
        self.nbytes = 0


def measured(folder: Path, *arguments: str) -> Measured:
    """Run the command and watch its memory."""
    begun = time.perf_counter()
    process = subprocess.Popen([*command(), *arguments], cwd=folder, stdout=subprocess.DEVNULL)
    peaks: dict[int, int] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, peaks, ended))
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - begun
    ended.set()
    watcher.join()
    if code:
        sys.exit(f"simkit {' '.join(arguments)} ended with {code}")
    parent = peaks.pop(process.pid, 0)
    return Measured(seconds, parent, max(peaks.values(), default=0))


def watch(root: int, peaks: dict[int, int], ended: threading.Event) -> None:
    """Note VmHWM of a process and its descendants until it ends."""
    while not ended.wait(0.01):
        waiting = [root]
        while waiting:
            pid = waiting.pop()
            try:
                status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())
            except OSError:
                continue
            marks = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
            if marks:  # the latest: before exec a process still has the mark of the one that started it
                peaks[pid] = marks[0]


def command() -> list[str]:
    """The console script beside this interpreter, or the module."""
    script = Path(sys.executable).with_name("simkit")
    return [str(script)] if script.exists() else [sys.executable, "-m", "simkit"]


@contextmanager
def project(parent: Path, source: str) -> Iterator[Path]:
    """A folder with one file of experiments, removed afterwards."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    (folder / "sim_bench.py").write_text(source, "utf-8")
    yield folder
    shutil.rmtree(folder)


def fresh(parent: Path, source: str, *arguments: str) -> Measured:
    """One command in a new folder."""
    with project(parent, source) as folder:
        one = measured(folder, *arguments)
        one.nbytes = sum(file.stat().st_size for file in folder.glob("results/*.h5"))
        return one


def in_turn(times: int, arms: Mapping[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Each arm several times, taking turns."""
    found: dict[str, list[Any]] = {name: [] for name in arms}
    for _ in range(times):
        for name, arm in arms.items():
            found[name].append(arm())
    return found


def middle(measures: list[Measured]) -> Measured:
    """The one of median time."""
    return sorted(measures, key=lambda one: one.seconds)[len(measures) // 2]


def spread(seconds: list[float], scale: float = 1.0) -> str:
    """Median, least and most."""
    low, high = min(seconds) * scale, max(seconds) * scale
    return f"{statistics.median(seconds) * scale:9.3f}   {low:7.3f} to {high:7.3f}"


def check_scalars(parent: Path, source: str, runs: int) -> None:
    """Every product is in the file."""
    with project(parent, source) as folder:
        measured(folder, "-n", "2", "-q")
        with simkit.open(folder / "results" / "multiply-001.h5") as traj:
            if len(traj) != runs or not np.array_equal(traj["result"], traj["x"] * traj["y"]):
                sys.exit("the recorded products are wrong")


def check_arrays(parent: Path, source: str, count: int) -> None:
    """Every array is in the file."""
    base = np.random.default_rng(1).random(MEGABYTE)
    with project(parent, source) as folder:
        measured(folder, "-n", "1", "-q", "sim_bench.py::stored")
        with simkit.open(folder / "results" / "stored-001.h5") as traj:
            if len(traj) != count or not all(np.array_equal(run.a, base + run.i) for run in traj.runs):
                sys.exit("the recorded arrays are wrong")


def plain_loop(slow: int, fast: int) -> float:
    """The floor: the same calls in a Python loop that keeps a list."""

    def multiply(x: float, y: float) -> float:
        return x * y

    begun = time.perf_counter()
    [multiply(x, y) for x in map(float, range(slow)) for y in map(float, range(fast))]
    return time.perf_counter() - begun


def plain_h5py(parent: Path, count: int, chunks: tuple[int, int] | None) -> float:
    """Seconds of ``d[i] = a`` and of closing the file; making the arrays is not counted."""
    path, base = parent / "plain.h5", np.random.default_rng(1).random(MEGABYTE)
    spent = 0.0
    file = h5py.File(path, "w")
    dataset = file.create_dataset("d", (count, MEGABYTE), "f8", chunks=chunks)
    for i in range(count):
        array = base + i
        begun = time.perf_counter()
        dataset[i] = array
        spent += time.perf_counter() - begun
    begun = time.perf_counter()
    file.close()
    spent += time.perf_counter() - begun
    path.unlink()
    return spent


def scalar_table(parent: Path, wanted: int, times: int) -> None:
    """A study of a function that does nothing much."""
    slow = max(1, round(wanted**0.5))
    fast = max(1, wanted // slow)
    runs, source = slow * fast, SCALARS.format(slow=slow, fast=fast)
    check_scalars(parent, source, runs)
    floors = [plain_loop(slow, fast) for _ in range(times)]
    arms = {
        " ".join(options): lambda options=options: fresh(parent, source, *options)
        for options in (("--co",), ("-n", "0"), ("-n", "1"), ("-n", "2"))
    }
    arms["-n 0, one point"] = lambda: fresh(parent, SCALARS.format(slow=1, fast=1), "-n", "0")
    floor = statistics.median(floors)
    print(f"\n{runs:,} points of f(x, y) -> float")
    print(
        f"{'':24}{'wall s':>9}   {'least to most':>18}{'µs/run':>9}{'x loop':>8}"
        f"{'B/run':>8}{'parent MB':>11}{'worker MB':>11}"
    )
    print(f"{'plain Python loop':24}{spread(floors)}{floor / runs * 1e6:9.3f}{1:8.1f}")
    for name, found in in_turn(times, arms).items():
        one, count = middle(found), 1 if "one point" in name else runs
        print(
            f"{'simkit ' + name:24}{spread([m.seconds for m in found])}"
            + (f"{one.seconds / runs * 1e6:9.3f}{one.seconds / floor:8.1f}" if count > 1 else f"{'':17}")
            + (f"{one.nbytes / count:8.1f}" if count > 1 else f"{'':8}")
            + f"{one.parent / 1000:11.0f}{one.worker / 1000:11.0f}"
        )


def array_table(parent: Path, count: int, times: int) -> None:
    """Arrays of a megabyte, against plain h5py."""
    source = ARRAYS.format(size=MEGABYTE, count=count)
    check_arrays(parent, source, count)
    largest: list[Measured] = []

    def simkit_seconds(name: str) -> float:
        one = fresh(parent, source, "-n", "1", f"sim_bench.py::{name}")
        largest.append(one)
        return one.seconds

    found = in_turn(
        times,
        {
            "simkit, stored": lambda: simkit_seconds("stored"),
            "simkit, not returned": lambda: simkit_seconds("dropped"),
            "h5py, contiguous": lambda: plain_h5py(parent, count, None),
            "h5py, a chunk per row": lambda: plain_h5py(parent, count, (1, MEGABYTE)),
        },
    )
    stored, dropped = found["simkit, stored"], found["simkit, not returned"]
    found["difference, by turn"] = [a - b for a, b in zip(stored, dropped, strict=True)]
    print(f"\n{count} runs that return 1 MB of float64, simkit -n 1")
    print(f"{'':24}{'ms/run':>9}   {'least to most':>18}")
    for name, seconds in found.items():
        print(f"{name:24}{spread(seconds, 1e3 / count)}")
    net = statistics.median(found["difference, by turn"])
    for name in ("h5py, contiguous", "h5py, a chunk per row"):
        ratios = [d / h for d, h in zip(found["difference, by turn"], found[name], strict=True)]
        ratio = net / statistics.median(found[name])
        print(f"{'ratio to ' + name:32}{ratio:6.2f}   by turn {min(ratios):.2f} to {max(ratios):.2f}")
    one = max(largest, key=lambda m: m.parent)
    nbytes = max(m.nbytes for m in largest)
    print(f"file / data {nbytes / (count * MEGABYTE * 8):.3f}, peak of the parent {one.parent / 1000:.0f} MB")


def start_table(parent: Path, times: int) -> None:
    """What every command pays."""
    folder = Path(tempfile.mkdtemp(dir=parent))

    def seconds(*arguments: str) -> float:
        begun = time.perf_counter()
        subprocess.run(arguments, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun

    arms = {
        "python -c pass": lambda: seconds(sys.executable, "-c", "pass"),
        "simkit --help": lambda: seconds(*command(), "--help"),
        "simkit --version": lambda: seconds(*command(), "--version"),
    }
    print(f"\nin an empty folder, median of {times}\n{'':24}{'ms':>9}   {'least to most':>18}")
    for name, found in in_turn(times, arms).items():
        print(f"{name:24}{spread(found, 1e3)}")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--runs", type=int, default=1_000_000, help="points of the scalar study")
    options.add_argument("--arrays", type=int, default=300, help="runs of the array study")
    options.add_argument("--repeat", type=int, default=5, help="the median of this many")
    options.add_argument("--folder", type=Path, default=None, help="where the temporary folder is made")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_main_job-", dir=given.folder) as name:
        parent = Path(name)
        print(
            f"simkit {simkit.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores, {parent}"
        )
        print(f"load before: {load()}")
        start_table(parent, 9)
        scalar_table(parent, given.runs, given.repeat)
        array_table(parent, given.arrays, given.repeat)
        print(f"\nload after: {load()}")


def load() -> str:
    """Of 1, 5 and 15 minutes; what is measured itself adds to it."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


if __name__ == "__main__":
    main()
