"""A study with values of many kinds, written for other programs."""

from __future__ import annotations

SOURCE = '''
from typing import Annotated, NamedTuple
import numpy as np
from simkit import Unit, experiment, parameter, product

@parameter
class Neuron:
    """A leaky neuron."""
    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0
    N: int = 10

class Found(NamedTuple):
    z: Annotated[float, "the product", Unit("mV")]
    t: str
    b: bool
    n: int
    when: np.datetime64

@experiment
@product(x=[1.0, 2.0, 3.0], y=[4.0, 5.0])
def plain(x: Annotated[float, "position", Unit("cm")], y, neuron, opt=None) -> Found:
    """Scalars only."""
    print("hello", x)
    if (x, y) == (3.0, 4.0):
        raise ValueError("no luck")
    when = np.datetime64("2026-01-01T00:00:01") + np.timedelta64(int(x), "s")
    return Found(x / 3 + y, f't,"{x}', x > 1, int(x), when)

@experiment
@product(x=[1.0, 2.0, 3.0]).repeat(2)
def rich(x, rng, run, neuron):
    run.note("looks fine")
    run.note(z="roughly")
    if x == 3.0:
        raise ValueError(f"burnt out")
    return {
        "z": rng.normal(), "vec": np.arange(3) * x, "mat": np.full((2, 2), x), "rag": np.arange(int(x)),
        "table": {"a": x}, "c": 1j * x, "mixed": [1, "a"][int(x) - 1], "s.t": np.arange(int(x)) * 0.5,
        "half": np.float16(x),
    }
'''


def exported(study, source, target, names=None, where=None):
    """The new file's path, and the remarks; in this process, since another one takes a second."""
    out = study.path / target
    out.unlink(missing_ok=True)
    traj = study.open(source)
    written = (traj if where is None else traj.where(where)).export(out, names)
    assert written.path == out
    return out, list(written.remarks)


PLAIN, RICH = "results/plain-001.h5", "results/rich-001.h5"
