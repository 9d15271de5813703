"""What does reading a large trajectory cost? Prints a table; asserts nothing about time.

usage: python tests/benchmarks/bench_reading.py [--runs 1000000] [--repeat 5] [--folder DIR]

A trajectory with 5 explored parameters and 5 results is recorded first. Each figure is the time of one expression
in a process of its own, imports aside: the median of --repeat processes, the least and the most. Peak memory is
VmHWM of that process, the interpreter and its libraries included. What was read is checked, or nothing is printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import simkit

SOURCE = """\
from simkit import experiment, product

@experiment
@product(a=[float(i) for i in range({size})], b=[i / 2 for i in range(100)],
         c=range(10), d=[0.1, 0.2, 0.3, 0.4, 0.5], e=[1, 2])
def many(a: float, b: float, c: int, d: float, e: int):
    return {{"z": a * b, "y": a + b, "n": c + e, "w": d * a, "v": d - b}}
"""

# name: (preparation, expression, check, what the issue asks for)
CASES = {
    "open": ("", "simkit.open(path)", "len(found) == n", "20 ms"),
    "to_dataframe()": (
        "import pandas; traj = simkit.open(path)",
        "traj.to_dataframe()",
        "found.shape == (n, 10)",
        "500 ms, 400 MB",
    ),
    "where on two columns": (
        "traj = simkit.open(path)",
        "traj.where('a > 5 and z < 100')",
        "0 < len(found) < n",
        "200 ms",
    ),
    "runs[777_777].z, warm": (
        "traj = simkit.open(path); at = 777_777 * n // 1_000_000; traj.runs[at].z",
        "traj.runs[at].z",
        "found == traj['a'][at] * traj['b'][at]",
        "1 ms",
    ),
    "runs[777_777].z, cold": (
        "traj = simkit.open(path); at = 777_777 * n // 1_000_000",
        "traj.runs[at].z",
        "found == traj['a'][at] * traj['b'][at]",
        "",
    ),
    "z of 100,000 runs, one by one": (
        "traj = simkit.open(path)",
        "sum(run.z for run in traj.runs[:100_000])",
        "found == traj['z'][:100_000].sum()",
        "",
    ),
    "traj['z']": ("traj = simkit.open(path)", "traj['z']", "found.shape == (n,)", ""),
    "grid('z')": (
        "import pandas; traj = simkit.open(path)",
        "traj.grid('z')",
        "found.values.shape[1:] == (100, 10, 5, 2)",
        "",
    ),
    "to_xarray()": (
        "import xarray; traj = simkit.open(path)",
        "traj.to_xarray()",
        "found.z.shape[1:] == (100, 10, 5, 2)",
        "",
    ),
    "repr": ("traj = simkit.open(path)", "repr(traj)", "'many' in found", ""),
}

CHILD = """\
import json, sys, time
import simkit
path, n, (before, what, check, _) = json.loads(sys.argv[1])
names = dict(simkit=simkit, path=path, n=n)
exec("simkit.open(path).close()", names)  # what it imports
exec(before, names)
code = compile(what, "case", "eval")
begun = time.perf_counter()
names["found"] = eval(code, names)
seconds = time.perf_counter() - begun
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
assert eval(check, names), what
print(json.dumps([seconds, int(peak[0]) / 1000]))
"""


def measured(path: Path, runs: int, case: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and peak MB of one expression in a new process."""
    given = json.dumps([str(path), runs, case])
    done = subprocess.run([sys.executable, "-c", CHILD, given], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def recorded(folder: Path, runs: int) -> tuple[Path, int]:
    """A trajectory of about so many runs."""
    size = max(1, runs // 10_000)
    (folder / "sim_many.py").write_text(SOURCE.format(size=size), "utf-8")
    command = [sys.executable, "-m", "simkit", "-q", "--output", "many.h5"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    path = folder / "many.h5"
    with simkit.open(path) as traj:
        return path, len(traj)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--runs", type=int, default=1_000_000)
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path, runs = recorded(Path(folder), given.runs)
        print(f"{runs} runs, {path.stat().st_size / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}")
        print(f"{'':32}{'median ms':>10}{'least':>9}{'most':>9}{'peak MB':>9}   asked for")
        for name, case in CASES.items():
            found = [measured(path, runs, case) for _ in range(given.repeat)]
            times = [1000 * seconds for seconds, _ in found]
            peak = max(peak for _, peak in found)
            row = f"{statistics.median(times):10.2f}{min(times):9.2f}{max(times):9.2f}{peak:9.0f}"
            print(f"{name:32}{row}   {case[3]}")


if __name__ == "__main__":
    main()
