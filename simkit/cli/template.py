"""Which files does ``simkit --init`` write: a small study to begin with?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simkit.errors import SimkitError, shown_path

EXPERIMENT = '''\
"""A study to begin with: change it, and type `simkit` again."""

import numpy as np

from simkit import after, experiment, product


@experiment
@product(drift=[-0.1, 0.0, 0.1], noise=[0.5, 1.0])  # all combinations: 6 runs
def walk(drift: float, noise: float, rng, clock):
    """A random walk that drifts."""
    # `drift` and `noise` are explored; `rng` is a generator of the run's own; `clock` stands in simconf.py.
    path = np.cumsum(drift * clock.dt + noise * np.sqrt(clock.dt) * rng.normal(size=clock.steps))
    return {"end": path[-1], "path": path}  # a result for each key


@after(walk)  # once all runs are done: simkit.open("walk").summary.spread
def summary(trajectory):
    """How far the ends lie apart."""
    return {"spread": trajectory["end"].std()}
'''
SIMCONF = '''\
"""What the experiments of this folder and of those below it share."""

from typing import Annotated

from simkit import Unit, parameter


@parameter
class Clock:  # provides `clock`; change a field for one study: simkit --set clock.dt=0.2
    """Discrete time."""

    dt: Annotated[float, "time step", Unit("ms")] = 0.1
    steps: Annotated[int, "number of steps"] = 1000
'''
FILES = {"sim_example.py": EXPERIMENT, "simconf.py": SIMCONF}
NEXT = """\
next:
    simkit --co          what would run
    simkit               run it; again: only what is missing
    simkit --parameters  all values, and where they are defined
    simkit list          what is recorded here
"""


def write_study(folders: Sequence[str]) -> int:
    """Write the files into one folder, by default the current one; 0.

    Raises
    ------
    SimkitError
        When one of them is there already, or more than one folder is named; then nothing is written.
    """
    if len(folders) > 1:
        msg = f"--init takes one folder, not {len(folders)}: {' '.join(folders)}"
        raise SimkitError(msg)
    folder = Path(folders[0]) if folders else Path()
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        msg = f"{shown_path(folder / there[0])} is there already: --init writes over nothing"
        raise SimkitError(f"{msg}\n    name another folder, as in: simkit --init study")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
        about = text.splitlines()[0].strip('".')
        print(f"{shown_path(folder / name)}   {about}")
    print(NEXT, end="")
    return 0
