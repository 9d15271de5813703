"""Figure 5 of the pypet paper, for simkit, pypet and their peers: runtime, size, loading and memory against runs.

usage: python tests/benchmarks/figure5.py [setup] [run] [report]     (without a word: all three)

`setup` makes two environments for the peers, `run` measures what is not measured yet and appends it to
docs/benchmarks.jsonl, `report` writes tables and the figure of docs/benchmarks.md from that. Each point is measured in
fresh processes, the systems taking turns, and what was recorded is loaded and compared, or the point counts as failed.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "docs" / "benchmarks.jsonl"
RED, GREEN, BLUE = (tuple(10**k for k in range(1, most + 1)) for most in (6, 6, 3))
NUMBERS = {"red": RED, "green": GREEN, "blue": BLUE}

# name in tables: environment, module, form, workloads
SYSTEMS = {
    "simkit -n 0": ("here", "on_simkit", "returned -n 0", "red green blue"),
    "simkit -n 2": ("here", "on_simkit", "returned -n 2", "red green blue"),
    "simkit -n 0, run.add": ("here", "on_simkit", "added -n 0", "green"),
    "simkit -n 0, vectorized": ("here", "on_simkit", "vectorized -n 0", "red"),
    "plain loop": ("here", "on_loop", "", "red green blue"),
    "h5py by hand": ("here", "on_h5py", "", "red green blue"),
    "joblib": ("peers", "on_joblib", "1", "red green blue"),
    "xyzpy": ("peers", "on_xyzpy", "", "red green blue"),
    "pipefunc": ("peers", "on_pipefunc", "", "red green blue"),
    "signac": ("peers", "on_signac", "", "red green blue"),
    "Mesa": ("peers", "on_mesa", "", "red"),
    "optuna": ("peers", "on_optuna", "", "red green"),
    "pypet": ("pypet", "on_pypet", "", "red green blue"),
    "pypet, blosc": ("pypet", "on_pypet", "blosc", "blue"),
}


class Failed(Exception):
    """A point that could not be measured."""


def setup(folder):
    """The environments of the peers; simkit itself is measured in the one that runs this."""
    for name in ("peers", "pypet"):
        place = folder / name
        if not (place / "done").exists():
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            wanted = HERE / f"requirements-{name}.txt"
            subprocess.run([place / "bin" / "pip", "install", "-q", "-r", wanted], check=True)
            (place / "done").touch()


def interpreter(environment, folder):
    return sys.executable if environment == "here" else str(folder / environment / "bin" / "python")


def measured(command, limit):
    """What one process says it took, with its whole time and the memory of its tree."""
    hidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "COVERAGE_PROCESS_START")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONPATH=str(HERE))
    began, peak, wait = time.perf_counter(), 0, 0.05
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        while True:
            try:
                process.wait(wait)
                break
            except subprocess.TimeoutExpired:
                peak, wait = max(peak, tree_memory(process.pid)), min(0.5, wait * 1.3)
            if time.perf_counter() - began > limit:
                process.kill()
                process.wait()
                raise Failed(f"took more than {limit} s")
        said.seek(0)
        text = said.read().strip()
    if process.returncode:
        raise Failed(text[-1000:])
    return {**json.loads(text.splitlines()[-1]), "process": time.perf_counter() - began, "peak": peak}


def tree_memory(pid):
    """Bytes of a process and its descendants, each shared page counted once (Linux; elsewhere 0)."""
    total, waiting = 0, [pid]
    while waiting:
        pid = waiting.pop()
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def measure(name, workload, n, options):
    """One point: run, load all, load one, each in a process of its own."""
    environment, module, form, _ = SYSTEMS[name]
    python = interpreter(environment, options.environments)
    folder = tempfile.mkdtemp(dir=options.folder)
    point = {"module": module, "form": form, "workload": workload, "n": n, "folder": folder}
    row = {"system": name, "workload": workload, "n": n, "load1": os.getloadavg()[0]}
    try:
        for phase in ("run", "load", "one"):
            argument = json.dumps({**point, "phase": phase})
            row[phase] = measured([python, str(HERE / "point.py"), argument], 3 * options.limit)
            if phase == "run":
                files = [path.lstat() for path in Path(folder).rglob("*") if path.is_file()]
                row["bytes"], row["files"] = sum(file.st_size for file in files), len(files)
                row["allocated"] = sum(file.st_blocks * 512 for file in files)
    except Failed as error:
        row["error"] = str(error)
    finally:
        shutil.rmtree(folder)
    return row


def recorded(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def is_too_slow(rows, name, workload, n, limit):
    """Whether the points before say that this one takes longer than the limit: ten times what the runs took."""
    own = [row for row in rows if (row["system"], row["workload"]) == (name, workload) and row["n"] < n]
    if n == RED[0] or any("error" in row for row in own):
        return n != RED[0]
    least = min((row["run"]["seconds"] for row in own if row["n"] == RED[0]), default=0.0)
    before = [row["run"]["seconds"] for row in own if row["n"] == n // 10]
    fixed = 0.0 if n == 10 * RED[0] else least
    return not before or (n > 100 and fixed + 10 * (min(before) - fixed) > limit)


def run(options):
    """Measure, in turns, what is not measured yet."""
    rows, began = recorded(options.results), time.perf_counter()
    for n in RED:
        for k in range(options.repeat):
            for workload in options.workloads.split():
                for name in SYSTEMS:
                    done = [r for r in rows if (r["system"], r["workload"], r["n"]) == (name, workload, n)]
                    if (
                        workload not in SYSTEMS[name][3].split()
                        or options.only not in name
                        or n not in NUMBERS[workload]
                        or n > options.most
                        or len(done) > k
                        or is_too_slow(rows, name, workload, n, options.limit)
                    ):
                        continue
                    if time.perf_counter() - began > options.seconds:
                        sys.exit("time is over: run this again to go on")
                    row = measure(name, workload, n, options)
                    rows.append(row)
                    with open(options.results, "a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    spent = f"{row['run']['seconds']:.3f} s" if "run" in row else row["error"]
                    print(f"{workload} {n:,} {name}: {spent} {row.get('error', '')[-200:]}", flush=True)


def machine():
    """What this is measured on."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text("utf-8").splitlines() if facts.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "h5py"))
    return f"{os.cpu_count()} cores ({model}), {platform.platform()}, Python {platform.python_version()}, {versions}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="setup, run, report; without one all three")
    parser.add_argument("--repeat", type=int, default=3, help="the median of this many")
    parser.add_argument("--limit", type=float, default=20, help="no point that would take more seconds")
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="stop after so long; called again it goes on"
    )
    parser.add_argument("--most", type=int, default=10**6, help="the most runs")
    parser.add_argument("--workloads", default="red green blue")
    parser.add_argument("--only", default="", help="only systems with this in their name")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where trajectories are made; /dev/shm is a disk of memory"
    )
    parser.add_argument("--environments", type=Path, default=HERE.parents[1] / ".venv-benchmarks")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    words = options.words or ["setup", "run", "report"]
    if "setup" in words:
        setup(options.environments)
    if "run" in words:
        run(options)
    if "report" in words:
        from report import write

        write(recorded(options.results), list(SYSTEMS), options, machine())


if __name__ == "__main__":
    main()
