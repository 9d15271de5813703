"""How much does a run that returns a table and a quantity cost more than one that returns nothing?

    python tests/benchmarks/bench_values.py [--runs 100000]

Both experiments run in turn through the command, with one worker; then one column is loaded over all runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import simkit

SOURCE = """
import numpy as np
import pandas as pd
from brian2 import mV
from simkit import experiment, product

TABLE = {{"a": np.arange(5), "b": np.arange(5.0)}}
VOLTAGE = np.arange(3) * mV

@experiment
@product(i=range({runs}))
def nothing(i):
    pd.DataFrame(TABLE)
    VOLTAGE * i

@experiment
@product(i=range({runs}))
def values(i):
    return {{"table": pd.DataFrame(TABLE), "v": VOLTAGE * i}}
"""


def seconds(folder: Path, name: str) -> float:
    """One study through the command."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    begun = time.perf_counter()
    command = [sys.executable, "-m", "simkit", f"sim_bench.py::{name}", "-n", "1", "-q"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=100_000)
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_values-"))
    (folder / "sim_bench.py").write_text(SOURCE.format(runs=given.runs), "utf-8")
    print(f"load before: {os.getloadavg()[0]:.2f}")
    found: dict[str, list[float]] = {"nothing": [], "values": []}
    for _ in range(given.repeat):
        for name, times in found.items():
            times.append(seconds(folder, name))
    for name, times in found.items():
        print(f"{name:10}{statistics.median(times):8.2f} s   {min(times):.2f} to {max(times):.2f}")
    more = [(b - a) / given.runs * 1e6 for a, b in zip(found["nothing"], found["values"], strict=True)]
    print(f"{'more':10}{statistics.median(more):8.1f} µs per run   {min(more):.1f} to {max(more):.1f}")
    with simkit.open(folder / "results" / "values-001.h5") as trajectory:
        _ = trajectory.runs[0].v  # imports Brian2
        for name in ("v", "i", "table"):
            begun = time.perf_counter()
            column = trajectory[name]
            print(
                f"load {name:5}{time.perf_counter() - begun:8.3f} s   {type(column).__name__} {column.shape}"
            )
    print(f"{(folder / 'results' / 'values-001.h5').stat().st_size / given.runs:.0f} B per run")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
