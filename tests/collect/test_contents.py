"""What one file changes in place in a module that others import, they do not find."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from simkit.collect.contents import Same, contents, restore
from simkit.collect.surroundings import merged

SHARED = """
import random
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from types import SimpleNamespace
import numpy as np

LIST, TABLE, SET, QUEUE, BYTES = [1], {"a": {"b": [1]}}, {1}, deque([1]), bytearray(b"ab")
ORDERED, COUNTER, DEFAULT = OrderedDict(a=1), Counter("ab"), defaultdict(list)
ARRAY, PAIR, NAMES = np.zeros(3), ([1], 2), SimpleNamespace(k=1)
GENERATOR, OLD, PYTHONS = np.random.default_rng(1), np.random.RandomState(1), random.Random(1)

@dataclass
class Cell:
    tau: float = 10.0
    weights: list = field(default_factory=lambda: [1.0])

@dataclass(slots=True)
class Slotted:
    tau: float = 10.0

class Base:
    known = {}
    def __init_subclass__(cls):
        Base.known[cls.__name__] = cls

def rate(x, cache=[]):
    cache.append(x)
    return len(cache)

def counter():
    n = 0
    def count():
        nonlocal n
        n += 1
        return n
    return count

CELL, SLOTTED, COUNT, MODELS = Cell(), Slotted(), counter(), {}

def model(function):
    MODELS[function.__name__] = function
    return function
"""
CHANGES = """
import shared
from shared import *
LIST.append(2)
TABLE["a"]["b"].append(2)
TABLE["c"] = 3
SET.add(2)
QUEUE.appendleft(0)
BYTES[0] = 0
ORDERED["b"] = 2
ORDERED.move_to_end("a")
COUNTER.update("ab")
DEFAULT["x"].append(1)
ARRAY += 1
PAIR[0].append(2)
NAMES.k = 2
GENERATOR.random(), OLD.rand(), PYTHONS.random()
CELL.tau, CELL.extra = 20.0, 1
CELL.weights[0] = 2.0
SLOTTED.tau = 20.0
shared.Cell.tau = 30.0
rate.calls = 1
rate(1)
COUNT()

class Mine(Base): pass

@model
def of_EXPERIMENT(): pass
"""
SEEN = """
from simkit import experiment
import shared as s

DRAWN = str([s.GENERATOR.random(), s.OLD.rand(), s.PYTHONS.random()])

@experiment
def EXPERIMENT():
    return {
        "list": str(s.LIST), "table": str(s.TABLE), "set": str(s.SET), "queue": str(s.QUEUE), "bytes": str(s.BYTES),
        "ordered": str(s.ORDERED), "counter": str(s.COUNTER), "default": str(s.DEFAULT), "array": str(s.ARRAY),
        "pair": str(s.PAIR), "names": str(s.NAMES), "cell": str(s.CELL), "extra": hasattr(s.CELL, "extra"),
        "slotted": str(s.SLOTTED), "attribute": s.Cell.tau, "calls": hasattr(s.rate, "calls"),
        "base": str([*s.Base.known]), "models": str([*s.MODELS]), "drawn": DRAWN,
        "cache": s.rate(1), "count": s.COUNT(),
    }
"""
FILES = {
    "alpha": CHANGES + SEEN,
    "beta": SEEN,
    "gamma": "import plugged\n" + SEEN,
    "delta": "import plugged\nfrom shared import *\nTABLE['a']['b'].append(4)\nMODELS['delta'] = 2\n" + SEEN,
}
PLUGGED = "import shared\nshared.MODELS['plugged'] = 1\nshared.LIST.append(9)\nshared.ARRAY[1] = 5\n"


def by_python(folder, name):
    """What the function gives in a process that imports its file alone."""
    text = f"import json, sim_{name} as file; print(json.dumps(file.{name}()))"
    command = [sys.executable, "-c", text]
    return json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout)


def test_what_a_file_changes_in_place_is_not_there_for_another(project):
    for file, text in {"shared.py": SHARED, "plugged.py": PLUGGED}.items():
        project.file(file, text)
    for name, text in FILES.items():
        project.file(f"sim_{name}.py", text.replace("EXPERIMENT", name))
    alone = {name: by_python(project.path, name) for name in FILES}
    assert len({alone["alpha"][key] != alone["beta"][key] for key in alone["alpha"]}) == 1  # each was changed
    for session, way in enumerate([("-n", "0"), ("-n", "1"), ("-n", "1", "--start-method", "spawn")], 1):
        project.ok(*way, "--fresh")
        for name, values in alone.items():
            with project.open(f"{name}-{session:03}") as traj:
                assert {key: traj[key][0] for key in traj.results} == values, (name, way)


@pytest.mark.parametrize(
    ("before", "after", "now", "wanted"),
    [
        ([1], [1, 2], [1, 3], [1, 3, 2]),
        ([1], [1, 1], [1, 3], [1, 3, 1]),
        ([1], [0, 1], [1, 3], [0, 1, 3]),
        ([1, 2], [5], [1, 2, 3], [5]),
        ([], [1], [2], [2, 1]),
        ({1: 1, 2: 2}, {1: 3}, {1: 1, 2: 2, 4: 4}, {1: 3, 4: 4}),
        ({1}, {1, 2}, {1, 3}, {1, 2, 3}),
        (np.zeros(3), np.array([0, 1.0, 0]), np.array([2.0, 0, 0]), np.array([2.0, 1, 0])),
    ],
)
def test_a_change_in_place_is_made_in_what_else_an_object_holds(before, after, now, wanted):
    value = copy.copy(before)

    def noted(entries):
        restore({Same(value): contents([{"value": entries}], frozenset())[Same(entries)]})
        return contents([{"value": value}], frozenset())

    states = [noted(each) for each in (before, after, now)]
    restore(merged(*states))
    np.testing.assert_equal(value, wanted)


def test_what_belongs_to_a_library_or_does_more_than_hold_is_left_alone():
    class Guarded(dict):
        def __setitem__(self, key, value):
            raise AssertionError(key)

    library = {"cache": []}
    spaces = [
        {
            "__name__": "m",
            "a": Guarded(x=1),
            "b": library,
            "c": sys.modules,
            "d": globals(),
            "e": [1] * 30_000,
        }
    ]
    assert contents(spaces, frozenset([id(library)])) == {}


class Elusive:
    """Answers every question, and fails where it is compared."""

    def __getattr__(self, name):
        return name

    def __eq__(self, other):
        raise ValueError("ambiguous")

    __hash__ = None


def test_objects_that_answer_anything_are_not_asked():
    held, spaces = [Elusive()], [{"__name__": "m", "a": Elusive(), "b": {"x": Elusive()}}]
    spaces[0]["c"] = held
    before = contents(spaces, frozenset())
    held.append(1)
    assert contents(spaces, frozenset()) != before
    restore(before)
    assert len(held) == 1
    assert contents(spaces, frozenset()) == before
