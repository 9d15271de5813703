"""What was returned or added is recorded as it was then, whatever its maker does to it later."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from identity import identical
from kinds import back
from kinds.instances import Loose, Trace

from simkit.declare.snapshot import snapshot
from simkit.values.decode import decode
from simkit.values.encode import encode
from simkit.values.results import take_apart

INPLACE = {
    "frame": (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), lambda v: v.__setitem__("a", 9)),
    "cell of a frame": (pd.DataFrame({"a": [1.0, 2]}), lambda v: v.loc.__setitem__((0, "a"), 9.0)),
    "frame's index": (pd.DataFrame({"a": [1.0]}), lambda v: setattr(v, "index", ["z"])),
    "frame's attrs": (pd.DataFrame({"a": [1.0]}), lambda v: v.attrs.__setitem__("a", 1)),
    "series": (pd.Series([1, 2]), lambda v: v.iloc.__setitem__(0, 5)),
    "categories": (pd.Categorical(["a", "b"]), lambda v: v.__setitem__(0, "b")),
    "nullable": (pd.array([1, None]), lambda v: v.__setitem__(0, 7)),
    "sparse": (sp.csr_array(np.eye(2)), lambda v: v.data.__setitem__(0, 7.0)),
    "lil": (sp.lil_array(np.eye(2)), lambda v: v.__setitem__((0, 1), 7.0)),
    "masked": (np.ma.MaskedArray([1.0, 2], [True, False]), lambda v: v.__setitem__(0, 5.0)),
    "mask": (np.ma.MaskedArray([1.0, 2], [False, False]), lambda v: v.mask.__setitem__(0, True)),
    "array": (np.arange(3), lambda v: v.__setitem__(0, 9)),
    "view": (np.arange(4)[::2], lambda v: v.base.__setitem__(0, 9)),
    "structured": (np.zeros(2, [("a", "f8")]), lambda v: v["a"].__setitem__(0, 9)),
    "object array": (np.array([[1], None], object), lambda v: v[0].append(2)),
    "instance": (Loose([1]), lambda v: setattr(v, "a", 2)),
    "instance's list": (Trace([1]), lambda v: v.v.append(2)),
    "instance in an instance": (Loose(Trace(np.ones(2))), lambda v: v.a.v.__setitem__(0, 5)),
    "set": ({1, 2}, lambda v: v.add(3)),
    "dictionary": ({"a": [1]}, lambda v: v["a"].append(2)),
    "bytearray": (bytearray(b"ab"), lambda v: v.append(1)),
    "generator": (np.random.default_rng(1), lambda v: v.random()),
}


@pytest.mark.parametrize("kind", INPLACE)
@pytest.mark.parametrize("where", ["alone", "in a list", "in a dictionary of tuples"])
def test_a_later_change_is_not_recorded(kind, where):
    made, change = INPLACE[kind]
    value = made if kind == "view" else copy.deepcopy(made)
    wanted = copy.deepcopy(value)
    wrap = {
        "alone": lambda v: v,
        "in a list": lambda v: [v],
        "in a dictionary of tuples": lambda v: {"k": (v,)},
    }[where]
    kept = snapshot(wrap(value), take_apart)
    change(value)
    assert not identical(value, wanted)
    assert identical(back(decode(encode([kept])))[0], wrap(wanted))
    if kind == "view":
        made.base[0] = 0


def test_a_run_that_goes_on_with_its_table_keeps_what_it_added(study):
    trajectory = study.run(
        """
        import pandas as pd, numpy as np, scipy.sparse as sp
        from simkit import experiment, product

        TABLE = pd.DataFrame({"a": [0, 0]})

        @experiment
        @product(i=range(40))
        def f(i, run):
            TABLE.loc[0, "a"] = i
            matrix = sp.lil_array((2, 2))
            matrix[0, 0] = i + 1
            run.add(table=TABLE, matrix=matrix, many=[TABLE, matrix])
            run.append(rows=TABLE)
            TABLE.loc[0, "a"] = -1
            matrix[0, 0] = -1
            return {"late": TABLE}
        """
    )
    for i, run in enumerate(trajectory.runs):
        assert [run.table.a[0], run.many[0].a[0], run.rows[0].a[0], run.late.a[0]] == [i, i, i, -1]
        assert run.matrix[0, 0] == run.many[1][0, 0] == i + 1
