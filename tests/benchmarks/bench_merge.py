"""What does merging cost, compared with copying the bytes? Prints a table; asserts nothing about time.

usage: python tests/benchmarks/bench_merge.py [--megabytes 1024] [--repeat 3] [--folder DIR] [--kinds arrays,small,…]

Two trajectories of --megabytes each are merged into one file, and the same two files are copied with ``cp`` in
turn, so that a busy minute of the machine hits both. `call` is the time of ``simkit.merge`` alone, `merge` that of
the whole command, interpreter start included; the ratios are theirs to the copy. All end with the data in the page
cache, as ``cp`` leaves it. Memory is VmHWM of the command, polled. Medians, with the least and the most. A sample of
the merged runs is compared.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_main_job import command, measured

import simkit
from simkit import explore

KINDS = {  # bytes per run, and what a run gives
    "arrays": (1_000_000, lambda i: {"a": np.full(125_000, float(i))}),
    "compressible": (100_000, lambda i: {"a": np.full(12_500, float(i)), "b": i}),
    "small": (8_000, lambda i: {"a": np.full(1_000, float(i))}),
    "ragged": (80_000, lambda i: {"t": np.full(9_500 + i % 1000, float(i))}),
    "scalars": (80, lambda i: dict.fromkeys("abcdefghij", i * 0.5)),
}


def record(path: Path, kind: str, start: int, megabytes: int) -> int:
    """Write a trajectory of about this size with simkit itself; how many runs it has."""
    size, result = KINDS[kind]
    count = (megabytes << 20) // size

    def bench(x: int) -> dict[str, object]:
        return result(x)

    simkit.run(bench, explore(x=range(start, start + count)), output=path, seed=1).close()
    return count


def copied(sources: Sequence[Path], folder: Path) -> float:
    """Seconds that ``cp`` takes for the files."""
    begun = time.perf_counter()
    subprocess.run(["cp", *map(str, sources), str(folder)], check=True)
    return time.perf_counter() - begun


CALL = """\
import sys, time
from pathlib import Path
from simkit.record.merge.merging import merge
begun = time.perf_counter()
merge(Path(sys.argv[1]), sys.argv[2:])
print(time.perf_counter() - begun)
"""


def called(target: Path, sources: Sequence[Path]) -> float:
    """Seconds that the call takes in a process of its own."""
    command = [sys.executable, "-c", CALL, str(target), *map(str, sources)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def check(path: Path, kind: str, count: int) -> None:
    """Some runs from all over the merged file."""
    with simkit.open(path) as merged:
        if len(merged) != 2 * count or not (merged.status == "done").all():
            sys.exit(f"{path}: not all runs are there")
        for run in np.linspace(0, 2 * count - 1, 7).astype(int).tolist():
            for name, value in KINDS[kind][1](run).items():
                if not np.array_equal(merged.runs[run][name], value):
                    sys.exit(f"{path}: run {run} has another {name}")


def bench(kind: str, megabytes: int, repeat: int, folder: Path) -> None:
    """One line of the table."""
    sources = [folder / "a.h5", folder / "b.h5"]
    count = record(sources[0], kind, 0, megabytes)
    record(sources[1], kind, count, megabytes)
    nbytes = sum(path.stat().st_size for path in sources)
    copies, calls, merges, peaks = [], [], [], []
    place = folder / "copies"
    place.mkdir()
    for _ in range(repeat):
        copies.append(copied(sources, place))
        for path in place.iterdir():
            path.unlink()
        target = folder / "m.h5"
        calls.append(called(target, sources))
        target.unlink()
        one = measured(folder, "merge", str(target), *map(str, sources))
        merges.append(one.seconds)
        peaks.append(one.parent)
        check(target, kind, count)
        target.unlink()
    copy = statistics.median(copies)
    told = [f"{statistics.median(t):6.2f} [{min(t):.2f}, {max(t):.2f}]" for t in (copies, calls, merges)]
    ratios = [f"{statistics.median(t) / copy:6.2f}" for t in (calls, merges)]
    row = [f"{kind:<13}", f"{2 * count:>9}", f"{nbytes / 1e6:>6.0f}", *(f"{t:>21}" for t in told), *ratios]
    print(*row, f"{max(peaks) / 1e3:>7.0f}", flush=True)


def main() -> None:
    """Read the arguments, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    print(f"command: {' '.join(command())}")
    titles = ("cp s", "call s", "merge s")
    print(f"{'kind':<13} {'runs':>9} {'MB':>6}", *(f"{t:>21}" for t in titles), " call/cp merge/cp peak MB")
    for kind in options.kinds.split(","):
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            bench(kind, options.megabytes, options.repeat, folder)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
