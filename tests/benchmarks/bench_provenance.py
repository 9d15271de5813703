"""What does a session's record cost? ``python tests/benchmarks/bench_provenance.py``, on an idle machine.

Figures, no asserts: the budget is 150 ms per session without Sumatra, and 50 kB for a small project.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SOURCE = """
from simkit import experiment, product
import lib, scipy.stats, pandas

@experiment
@product(x=range(10))
def f(x):
    return lib.double(x)
"""
MEASURE = """
import sys, time
import attrs
import simkit
from simkit.collect.collection import plan_of
from simkit.record.catalogue import Slot
from pathlib import Path
sys.path.insert(0, ".")
import sim_f
plan, settings = plan_of(sim_f.f, None, {})
from simkit.provenance.circumstances import circumstances
start = time.perf_counter()
settings = attrs.evolve(settings, git=sys.argv[1], argv=("simkit",))
circumstances(plan, Slot(Path("results/f-001.h5"), "f"), settings, {})
print(time.perf_counter() - start)
"""


def git(*words: str) -> None:
    """One git command with a name."""
    subprocess.run(["git", "-c", "user.name=N", "-c", "user.email=n@x", *words], check=True)


def project(folder: Path) -> None:
    """A small project with a change that is not committed."""
    (folder / "sim_f.py").write_text(SOURCE)
    (folder / "lib.py").write_text("\n\n".join(f"def g{i}(x):\n    return x + {i}\n" for i in range(300)))
    with (folder / "lib.py").open("a") as file:
        file.write("\ndef double(x):\n    return 2 * x\n")
    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-qm", "all")
    with (folder / "lib.py").open("a") as file:
        file.write("# changed\n")


def seconds(mode: str, times: int = 7) -> list[float]:
    """In fresh processes, the import of GitPython included, as a session pays it."""
    command = [sys.executable, "-c", MEASURE, mode]
    return sorted(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(times)
    )


def file_sizes() -> dict[str, Any]:
    """A file with one session and with ten."""
    import simkit

    sys.path.insert(0, ".")
    import sim_f  # type: ignore[import-not-found]

    sizes = []
    for n in range(1, 11):
        trajectory = simkit.run(sim_f.f, simkit.product(x=range(10 + n)), seed=1)
        trajectory.close()
        sizes.append(trajectory.path.stat().st_size)
    return {"one session": sizes[0], "each further one": (sizes[-1] - sizes[0]) // 9}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        project(Path(name))
        print(f"load {os.getloadavg()[0]:.1f}")
        for mode in ("off", "record", "snapshot"):
            times = seconds(mode)
            print(
                f"git={mode:9} best {1e3 * times[0]:5.0f} ms   median {1e3 * statistics.median(times):5.0f} ms"
            )
        for what, size in file_sizes().items():
            print(f"{what:18} {size / 1e3:6.1f} kB")


if __name__ == "__main__":
    main()
