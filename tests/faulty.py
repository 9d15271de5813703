"""Experiments that fail, die, wait or slow down."""

from __future__ import annotations

from pathlib import Path

import simkit

FAULTS = """
import ctypes, os, signal, sys
from simkit import experiment, product

class Odd(BaseException):
    pass

def fault(i):
    if i == 20:
        raise ValueError("no luck")
    if i == 37:
        os._exit(3)
    if i == 60:
        os._exit(0)
    if i == 90:
        os.kill(os.getpid(), signal.SIGKILL)
    if i == 120:
        ctypes.string_at(0)
    if i == 150:
        sys.exit("bye")
    if i == 170:
        raise Odd("strange")

@experiment
@product(i=range(200))
def faulty(i, rng):
    fault(i)
    return {"square": i * i, "draw": rng.random()}
"""


# Interruptions


WAITING = """
import os, time
from pathlib import Path
from simkit import experiment, product

@experiment
@product(i=range(8))
def waiting(i, rng):
    Path(f".pid-{i}").write_text(f"{os.getpid()} {os.getppid()}")
    Path(f".pid-{i}").rename(f"pid-{i}")
    time.sleep(0.05)  # no fast run, or several of them would be one batch
    while i >= 3 and not Path("go").exists():
        time.sleep(0.01)
    return {"i2": i * i, "draw": rng.random()}
"""


SLOWING = (
    WAITING.replace("time.sleep(0.05)", "pass").replace("range(8)", "range(60)").replace(">= 3", ">= 30")
)


def is_alive(pid):
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def recorded_done(project, name):
    """The number of done runs that a reader finds by now."""
    file = project.path / "results" / f"{name}.h5"
    if not file.exists():
        return 0
    with simkit.open(file) as traj:
        return int((traj.status == "done").sum())
