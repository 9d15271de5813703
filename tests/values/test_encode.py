"""Values to columns and back, type and bits kept, or an error that names the value."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storable import EXAMPLES, all_identical, values

from simkit.declare.axes import from_list
from simkit.errors import Unstorable
from simkit.values.decode import decode
from simkit.values.encode import encode, encode_table, encode_values, explain

examples = pytest.mark.parametrize("kind", EXAMPLES)


rows = st.lists(values, max_size=5)


@examples
def test_each_type_comes_back_as_it_was(kind):
    assert all_identical(decode(encode(EXAMPLES[kind])), EXAMPLES[kind])


@examples
def test_each_value_comes_back_from_a_column_of_its_own(kind):
    for value in EXAMPLES[kind]:
        assert all_identical(decode(encode([value])), [value])


@given(rows)
def test_any_values_come_back_as_they_were(wanted):
    assert all_identical(decode(encode(wanted)), wanted)


@given(st.lists(st.integers() | st.floats() | st.text(max_size=3) | st.booleans() | st.none(), max_size=5))
def test_a_declared_axis_is_encoded_as_its_elements(wanted):
    assert all_identical(decode(encode_values(from_list(wanted))), wanted)


def test_a_declared_array_is_encoded_as_its_scalars():
    space_values = from_list([np.float32(1), np.float32(2)])
    assert all_identical(decode(encode_values(space_values)), [np.float32(1), np.float32(2)])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "a value of type object"),
        (lambda: 1, "a function"),
        (len, "a function"),
        ("".join, "a function"),
        (int, "a class"),
        (np, "a module"),
        ((i for i in ()), "a generator"),
        (io.StringIO(), "an open file"),
    ],
)
def test_what_has_no_lossless_form_is_refused_by_its_type(value, words):
    with pytest.raises(Unstorable, match="cannot store") as error:
        encode([value])
    assert words in str(error.value)
    assert str(explain(value, "z")).startswith("z: cannot store ")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"f": len}]}, "z.a[1].f"),
        ([1, (2, len)], "z[1][1]"),
        ({3: len}, "z[3]"),
        ({"two words": len}, "z.two words"),
        ([[0.5], [len]], "z[1][0]"),
    ],
)
def test_the_path_leads_to_the_part_that_is_to_blame(value, path):
    problem = explain(value, "z")
    assert str(problem) == f"{path}: cannot store a function"


def test_a_list_that_contains_itself_is_refused():
    endless = [1]
    endless.append(endless)
    assert "contains itself" in str(explain(endless, "z"))


@given(values)
def test_what_can_be_kept_needs_no_explanation(value):
    assert explain(value, "z") is None


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


ROWS = {
    "floats": [{"a": 1.5, "b": -0.0}, {"a": float("nan"), "b": 2.0}],
    "integers": [{"a": 1, "b": 2}, {"a": -1, "b": 2**63 - 1}],
    "integers beyond 64 bits": [{"a": 1, "b": 2**64}, {"a": -(2**70), "b": 0}],
    "truths": [{"a": True, "b": False}],
    "complex": [{"a": 1j, "b": complex("nan")}],
    "a truth among integers": [{"a": 1, "b": 2}, {"a": True, "b": 3}],
    "a number of each kind": [{"a": 1, "b": 1.0}, {"a": 2, "b": True}],
    "texts and numbers": [{"a": "x", "b": 1}, {"a": "", "b": 2}],
    "arrays": [{"a": np.arange(3), "b": np.zeros(2)}, {"a": np.arange(2), "b": np.ones(2)}],
    "records of NumPy's": [{"a": np.array([(1, 2.0)], "i4,f8")}, {"a": np.array([(3, 4.0)], "i4,f8")}],
    "tuples": [{"a": (1, "x")}, {"a": (2, "y")}],
    "no names": [{}, {}],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_a_table_has_the_columns_that_its_names_have_alone(rows):
    columns = encode_table(rows)
    assert list(columns) == list(rows[0])
    for name, column in columns.items():
        alone = encode([row[name] for row in rows])
        assert [node.signature for _, node in column.variants] == [
            node.signature for _, node in alone.variants
        ]
        assert column.digest() == alone.digest()
