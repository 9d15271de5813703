"""A value that cannot be kept fails its run with the path to it; the other runs finish."""

from __future__ import annotations

import pytest

RUN = """
import attrs, dataclasses, os
from collections import deque
from typing import Any
import numpy as np, pandas as pd
from simkit import experiment, product

@dataclasses.dataclass
class Meta:
    note: Any

@attrs.frozen
class Frozen:
    inner: Any

class Odd:
    pass

def objects(*cells):
    array = np.empty(len(cells), object)
    array[:] = cells
    return array

BAD = {
    "list": lambda: [1, 2, 3, len],
    "dictionary": lambda: {"a": {"two words": (x for x in ())}},
    "file": lambda: {"f": [open(os.devnull)]},
    "objects": lambda: objects(1, Odd()),
    "frame": lambda: pd.DataFrame({"x": objects(1, Odd())}),
    "series": lambda: [pd.Series(objects(len), name="s")],
    "attrs of frame": lambda: [pd.DataFrame({"x": [1]})],
    "dataclass": lambda: [Meta({"f": lambda: 1})],
    "attrs": lambda: [Frozen(Meta(open))],
    "set": lambda: {1, len},
    "deque": lambda: deque([1, Odd()]),
    "class": lambda: {"kind": int},
    "instance": lambda: Odd(),
    "itself": lambda: (lambda v: v.append(v) or v)([]),
}

@experiment
@product(kind=[*BAD, "good"], added=[False, True])
def f(kind, added, run):
    if kind == "good":
        return {"meta": 1.5, "n": 1}
    value = BAD[kind]()
    if kind == "attrs of frame":
        value[0].attrs["f"] = len
    if added:
        run.add(meta=value)
        return {"n": 1}
    return {"meta": value, "n": 1}
"""

WORDS = {
    "list": "result meta[3]: cannot store a function",
    "dictionary": "result meta.a.two words: cannot store a generator",
    "file": "result meta.f[0]: cannot store an open file",
    "objects": "result meta[1]: cannot store a value of type",
    "frame": "result meta.x[1]: cannot store a value of type",
    "series": "result meta[0][0]: cannot store a function",
    "attrs of frame": "result meta[0].attrs.f: cannot store a function",
    "dataclass": "result meta[0].note.f: cannot store a function",
    "attrs": "result meta[0].inner.note: cannot store a function",
    "set": "result meta: cannot store a function",
    "deque": "result meta[1]: cannot store a value of type",
    "class": "result meta.kind: cannot store a class",
    "instance": "result meta: cannot store a value of type",
    "itself": "contains itself",
}


@pytest.fixture(scope="module")
def errors(shared):
    shared.file("sim_f.py", RUN)
    result = shared.simkit()
    assert result.code == 1, result.out + result.err
    trajectory = shared.open("f-001")
    assert [run.kind for run in trajectory.where("kind == 'good'").runs] == ["good", "good"]
    assert set(trajectory.status) == {"done", "failed"}
    assert list(trajectory.where("kind == 'good'").status) == ["done", "done"]
    bad = trajectory.where("kind != 'good'")
    return {
        (run.kind, run.added): trajectory.error(i)
        for i, run in zip(bad.index.tolist(), bad.runs, strict=True)
    }


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("added", [False, True])
def test_the_error_leads_to_what_cannot_be_kept(errors, kind, added):
    assert WORDS[kind] in errors[kind, added]
    assert "Traceback" not in errors[kind, added]
