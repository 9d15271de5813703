"""Every kind of value in real files: as results, parameters, explored values, states; in several sessions."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from identity import identical
from kinds import KINDS, NAMES, SEEDED, back, is_there, nth
from kinds.generated import frames, indices, series, structured
from written import Written

from simkit.values.decode import ABSENT, as_array, decode

kinds = pytest.mark.parametrize("kind", KINDS)


TESTS = str(Path(__file__).parents[2])


class Kinds(Written):
    """A column whose instances are put together again when it is checked."""

    def check(self, start: int = 0, stop: int | None = None) -> None:
        got = decode(self.column(start, stop))
        for value, wanted in zip(got, self.model[start:stop], strict=True):
            assert (value is ABSENT) == (wanted is ABSENT)
            assert value is ABSENT or identical(*back([value]), wanted)


# Columns


@kinds
def test_each_kind_comes_back_from_the_file_however_it_was_written(kind):
    """Out of order, with holes, in two sessions, beside a number, again in another order."""
    values = KINDS[kind][:6]
    n = 2 * len(values)
    result = Kinds(n)
    for i, value in reversed(list(enumerate(values))):
        result.put({2 * i: value, 2 * i + 1: ABSENT})
    result.open()
    result.grow(len(values) + 1)
    result.put({n + i: value for i, value in enumerate(reversed(values))})
    result.check()
    result.put({n + len(values): 1.5})
    result.check(1)
    assert len(as_array(result.column())) == n + len(values) + 1
    result.file.close()


@attrs.frozen
class One:
    a: object


MANY = {
    "frames of other columns": [pd.DataFrame({f"c{i}": [i], f"d{i}": ["x"]}) for i in range(300)],
    "frames of other labels": [pd.DataFrame([[i]], columns=[f"two words {i}"]) for i in range(300)],
    "frames of other attrs": [pd.DataFrame({"a": [1.0]}, pd.Index([1], name=f"i{i}")) for i in range(300)],
    "text of other widths": [np.array(["x" * (i + 1)]) for i in range(300)],
    "text of other widths, ragged": [np.array(["x" * (i + 1)] * (i % 3)) for i in range(300)],
    "structured of other fields": [np.zeros(2, [(f"f{i}", "f8"), ("t", "U2")]) for i in range(300)],
    "series of other names": [pd.Series([1.5], name=f"n{i}") for i in range(300)],
    "categories of their own": [pd.Categorical([f"c{i}"]) for i in range(300)],
    "dictionaries of other keys": [{f"k{i}": i, "a": [i]} for i in range(300)],
    "sparse of all classes": [
        getattr(sp, f"{fmt}_{kind}")(np.eye(2, dtype=dtype))
        for fmt in ("csr", "csc", "bsr", "coo", "dia", "dok", "lil")
        for kind in ("array", "matrix")
        for dtype in ("f8", "f4", "c16", "?")
    ],
    "one of everything": [value for values in KINDS.values() for value in values][::7],
}


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize("size", [300, 7])
def test_ever_new_layouts_come_back_and_do_not_become_ever_more_groups(kind, size):
    values = MANY[kind] if size > 7 else MANY[kind][:40]
    result = Kinds(len(values))
    for start in range(0, len(values), size):
        result.put({start + i: value for i, value in enumerate(values[start : start + size])})
        if start == size:
            result.open()
    result.check()
    result.check(5, 25)
    if kind != "one of everything":
        count = []
        result.file.visit(count.append)
        assert len(count) < 150  # a group each would be thousands
    result.file.close()


@kinds
def test_each_kind_comes_back_nested_from_the_file(kind):
    values = KINDS[kind][:4]
    result = Kinds(len(values) + 1)
    for i, value in enumerate(values):
        result.put({i: [value, {"inner": (value, None), "two words": i}]})
    result.put({len(values): {"other": values[0]}})
    result.check()
    result.file.close()


@settings(max_examples=30)
@given(st.lists(structured() | frames() | series() | indices(), min_size=1, max_size=5), st.data())
def test_any_arrays_and_tables_come_back_from_the_file(wanted, data):
    result = Written(2 * len(wanted))
    cut = data.draw(st.integers(1, len(wanted)))
    result.put({2 * i: value for i, value in enumerate(wanted[:cut])})
    result.open()
    if wanted[cut:]:
        result.put({2 * (cut + i) + 1: value for i, value in enumerate(wanted[cut:])})
    result.check()
    result.file.close()


# Studies


RETURNED = """
from kinds import NAMES, is_there, nth
from simkit import experiment, product

@experiment
@product(i=range(4))
def returned(i, run):
    values = {name: nth(kind, i) for kind, name in NAMES.items() if is_there(kind, i)}
    if i % 2:
        run.add(values)
        return {}
    for kind in list(NAMES)[i::7]:
        run.append(mixed=nth(kind, i))
    return values
"""


PARAMETERS = """
import os
from pathlib import Path
from identity import identical
from kinds import KINDS, NAMES, SEEDED, nth
from simkit import experiment, explore, parameter

N = int(os.environ.get("POINTS", 2))

@parameter
def derived():
    with Path("computed").open("a") as file:
        file.write("x")
    return {name: nth(kind, 1) for kind, name in NAMES.items()}

def wrong(got, wanted):
    compared = {kind: name for kind, name in NAMES.items() if kind not in SEEDED}
    return [kind for kind, name in compared.items() if not identical(got[name], wanted(kind))]

"""


STATES = """
from pathlib import Path
from identity import identical
from kinds import KINDS, NAMES, SEEDED, nth
from simkit import experiment

@experiment
def states(run):
    state = run.restore()
    if state is None:
        run.add({f"early_{name}": nth(kind, 2) for kind, name in NAMES.items()})
        for kind in NAMES:
            run.append(rows=nth(kind, 1))
        run.checkpoint({name: nth(kind, 0) for kind, name in NAMES.items()})
        raise RuntimeError("interrupted")
    compared = {kind: name for kind, name in NAMES.items() if kind not in SEEDED}
    return {"wrong": [kind for kind, name in compared.items() if not identical(state[name], nth(kind, 0))]}
"""


FIELDS = """
from typing import Any
import attrs
from identity import identical
from kinds import NAMES, SEEDED, nth
from simkit import experiment, explore, parameter

def field(kind):
    return attrs.field(factory=lambda: nth(kind, 0))

fields = {name: field(kind) for kind, name in NAMES.items()}
Inner = parameter(attrs.make_class("Inner", fields, frozen=True, kw_only=True, slots=False))
Inner.__module__ = __name__

@parameter
class Group:
    inner: Inner = attrs.field(factory=Inner)

EVERY_OTHER = list(NAMES.items())[::2]
POINTS = {f"group.inner.{name}": [nth(kind, i) for i in range(3)] for kind, name in EVERY_OTHER}

@experiment
@explore({"i": range(3), **POINTS})
def fields_of_groups(i, group, run):
    explored = dict(EVERY_OTHER)
    compared = {kind: name for kind, name in NAMES.items() if kind not in SEEDED}
    wanted = {kind: nth(kind, i if kind in explored else 0) for kind in compared}
    run.add({name: nth(kind, i) for kind, name in NAMES.items()})
    return {"wrong": [k for k, name in compared.items() if not identical(getattr(group.inner, name), wanted[k])]}
"""


def parameters_source() -> str:
    """An experiment that has every kind as a default, and every kind explored."""
    each = list(NAMES.items())
    defaults = ", ".join(f"{name}=KINDS[{kind!r}][0]" for kind, name in each)
    space = ", ".join(f"e{name}=[nth({kind!r}, i) for i in range(N)]" for kind, name in each)
    return PARAMETERS + (
        f"@experiment\n@explore(i=list(range(N)), {space})\n"
        f"def given(i, derived, {', '.join(f'e{name}' for _, name in each)}, {defaults}):\n"
        "    got = locals()\n"
        "    return {'constant': wrong(got, lambda kind: nth(kind, 0)),\n"
        "            'derived_wrong': wrong(derived, lambda kind: nth(kind, 1)),\n"
        "            'explored': wrong({n: got['e' + n] for n in NAMES.values()}, lambda kind: nth(kind, i))}\n"
    )


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": TESTS, "COLUMNS": "100", **more}


@pytest.fixture(scope="module")
def recorded(shared):
    """Every kind returned, missing in some runs, nested, in a series of mixed types."""
    shared.file("sim_returned.py", RETURNED)
    result = shared.simkit("sim_returned.py", env=environment())
    assert result.code == 0, result.out + result.err
    return shared.open("returned-001")


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in SEEDED])
def test_each_kind_comes_back_as_a_result(recorded, kind):
    name = NAMES[kind]
    for run in recorded.runs:
        i = run.i
        if is_there(kind, i):
            assert identical(back([getattr(run, name)])[0], nth(kind, i))
        else:
            assert not hasattr(run, name)
    column = recorded[name]
    assert len(column) == 4


def test_a_series_of_mixed_kinds_comes_back(recorded):
    for i in (0, 2):
        kinds = list(NAMES)[i::7]
        for kind, value in zip(kinds, back([recorded.runs[i].mixed])[0], strict=True):
            assert kind in SEEDED or identical(value, nth(kind, i)), kind


def test_every_kind_is_a_constant_a_derived_parameter_and_explored_and_stays_so(shared):
    shared.file("sim_given.py", parameters_source())
    first = shared.simkit("sim_given.py", env=environment())
    assert first.code == 0, first.out + first.err
    again = shared.simkit("sim_given.py", env=environment())
    assert again.code == 0, again.out + again.err
    assert "given-001.h5" in again.out, again.out
    more = shared.simkit("sim_given.py", "-n", "0", env=environment(POINTS="3"))
    assert more.code == 0, more.out + more.err
    assert sorted(path.name for path in (shared.path / "results").glob("given*")) == ["given-001.h5"]
    trajectory = shared.open("given-001")
    assert len(trajectory) == 3, "the points of a second session did not match those of the first"
    for run in trajectory.runs:
        assert (run.constant, run.derived_wrong, run.explored) == ([], [], [])
    assert (shared.path / "computed").read_text() == "x"
    for kind, name in NAMES.items():
        assert kind in SEEDED or identical(back([trajectory.parameters[name]])[0], nth(kind, 0)), kind
        for run in trajectory.runs:
            assert kind in SEEDED or identical(back([getattr(run, "e" + name)])[0], nth(kind, run.i)), kind


def test_every_kind_is_a_field_of_a_group_constant_or_explored_and_added(project):
    project.file("sim_fields.py", FIELDS)
    result = project.simkit("sim_fields.py", "-n", "2", env=environment())
    assert result.code == 0, result.out + result.err
    assert "nothing to do" in project.simkit("sim_fields.py", "-n", "0", env=environment()).out
    trajectory = project.open("fields_of_groups-001")
    explored = trajectory.explored
    assert len(explored) == 1 + len(list(NAMES)[::2])
    for run in trajectory.runs:
        assert run.wrong == []
        for kind, name in NAMES.items():
            full = f"group.inner.{name}"
            wanted = nth(kind, run.i if full in explored else 0)
            assert kind in SEEDED or identical(back([run[full]])[0], wanted), kind
            assert kind in SEEDED or identical(back([run[name]])[0], nth(kind, run.i)), kind


def test_every_kind_can_be_a_state_from_which_a_run_goes_on(shared):
    shared.file("sim_states.py", STATES)
    first = shared.simkit("sim_states.py", env=environment())
    assert first.code == 1
    assert "interrupted" in first.out
    again = shared.simkit("sim_states.py", env=environment())
    assert again.code == 0, again.out + again.err
    (run,) = shared.open("states-001").runs
    assert run.wrong == []
    for kind, value in zip(NAMES, back(run.rows), strict=True):
        assert kind in SEEDED or identical(value, nth(kind, 1)), kind
    for kind, name in NAMES.items():
        assert kind in SEEDED or identical(back([getattr(run, f"early_{name}")])[0], nth(kind, 2)), kind
