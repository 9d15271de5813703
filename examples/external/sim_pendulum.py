"""A simulator that is written in C: how fast, and for how long, does a pendulum swing?"""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from simkit import Run, experiment, fixture, product

SOURCE = Path(__file__).with_name("pendulum.c")


@fixture(scope="experiment")
def solver(source: Path = SOURCE) -> Iterator[Path]:
    """The program, compiled once for all runs of a worker; its source is a parameter."""
    with tempfile.TemporaryDirectory(prefix="pendulum-") as folder:
        program = Path(folder, "pendulum")
        subprocess.run(["cc", "-O2", "-o", program, source, "-lm"], check=True)
        yield program


@experiment
@product(angle=[0.1, 1.0, 2.0, 3.0], damping=[0.0, 0.05, 0.2])
def swing(
    run: Run, solver: Path, angle: float, damping: float, dt: float = 0.001, steps: int = 50_000
) -> dict[str, float]:
    """One pendulum, let go at an angle (in radians, from below)."""
    run.template("pendulum.in", "pendulum.txt")
    done = run.command([solver, "pendulum.txt"], timeout="1min", text=True)
    run.attach("trace.dat")
    lines = (line.split(" = ") for line in done.stdout.splitlines())
    return {name: float(value) for name, value in lines}
