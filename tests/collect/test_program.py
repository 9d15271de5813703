"""Scripts that are explored as they are."""

from __future__ import annotations

import pytest

import simkit
from simkit import SimkitError, product

SCRIPT = '''"""A model of a magnet."""
import sys
from math import *
import helper

T = 2.0
n: int = 3
name = "ising"
field = [1.0, 2.0]
dt = 1 / 100
_hidden = 4
m = 0
for i in range(n):
    m += i

def energy():
    return T * n * field[0]

class Box:
    T = 7

total = energy() + helper.offset
step = dt * 2
here = [__file__.endswith("model.py"), sys.argv == [__file__], Box.T]
print("T is", T)
if __name__ == "__main__":
    done = True
'''


@pytest.fixture
def script(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.simkit]\n")
    (tmp_path / "helper.py").write_text("offset = 0.5\n")
    path = tmp_path / "model.py"
    path.write_text(SCRIPT)
    return path


def explored(script, *space, **options):
    with simkit.script(script, *space, **{"check": True, **options}) as traj:
        return (
            traj.path.name, traj.explored, traj.constants(),
            {name: traj[name].tolist() for name in traj.names("results")}, len(traj.info.sessions),
        )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_a_script_runs_with_its_constants_replaced(script, workers):
    told = explored(script, T=[1.0, 3.0], results=["total", "here"], workers=workers)
    constants = {"n": 3, "name": "ising", "field": [1.0, 2.0]}
    results = {"total": [3.5, 9.5], "here": [[True, True, 7]] * 2}
    assert told == ("model-001.h5", ("T",), constants, results, 1)
    again = explored(script, T=[1.0, 3.0], results=["total", "here"], workers=workers)
    assert again == told  # nothing is run anew
    more = explored(script, T=[1.0, 3.0, 4.0], results=["total", "here"], workers=workers)
    assert (more[0], more[3]["total"], more[4]) == ("model-001.h5", [3.5, 9.5, 12.5], 2)


def test_without_names_all_that_it_assigns_and_that_can_be_stored_is_a_result(script):
    _, _, _, results, _ = explored(script)
    assert results == {
        "dt": [0.01], "m": [3], "i": [2], "total": [6.5], "step": [0.02], "here": [[True, True, 7]], "done": [True],
    }  # fmt: skip


def test_a_space_values_that_are_set_and_constants_that_are_computed(script):
    space = product(dt=[0.1, 0.2])
    _, names, constants, results, _ = explored(script, space, T=[1.0], set={"n": 2}, results="step")
    assert names == ("dt", "T")
    assert constants == {"n": 2, "name": "ising", "field": [1.0, 2.0]}
    assert results == {"step": [0.2, 0.4]}


def test_the_trajectory_belongs_to_the_script(script):
    with simkit.script(script, T=[1.0], results="total") as traj:
        assert (traj.info.node_id, traj.info.doc) == ("model.py::model", "A model of a magnet.")
        session = traj.info.sessions[0]
        assert sorted(session["sources"]) == ["helper.py", "model.py", "pyproject.toml"]
        assert sorted(session["code"]) == ["helper.py::offset", "model.py"]


def test_another_comment_or_constant_is_no_other_code_and_another_statement_is(script):
    first = explored(script, T=[1.0], results="total")
    script.write_text("# a comment\n" + SCRIPT.replace("T = 2.0", "T = 5.0"))
    assert explored(script, T=[1.0], results="total") == first
    script.write_text(SCRIPT.replace("print(", "print('now', "))
    assert explored(script, T=[1.0], results="total")[0] == "model-002.h5"
    (script.parent / "helper.py").write_text("offset = 1.5\n")
    assert explored(script, T=[1.0], results="total")[3] == {"total": [4.5]}


def test_a_run_whose_script_fails_is_a_failed_run_that_names_the_line(script):
    script.write_text(SCRIPT.replace("total =", "assert T > 1, 'too cold'\ntotal ="))
    with pytest.warns(UserWarning, match="1 of 2 runs not done"):
        traj = simkit.script(script, T=[1.0, 2.0], results="total")
    with traj:
        assert traj.status.tolist() == ["failed", "done"]
        assert 'model.py", line 22' in traj.error(0)
        assert "AssertionError: too cold" in traj.error(0)


def test_the_warning_of_a_result_that_is_missing_says_so_first(script):
    words = "run 0 failed: .*ends without a global 'totl'; did you mean 'total'"
    with pytest.warns(UserWarning, match=words), simkit.script(script, T=[1.0], results="totl"):
        pass


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"Q": [1]}, ["model.py assigns no 'Q'", "constants: T, "]),
        ({"fields": [1]}, ["model.py assigns no 'fields'; did you mean 'field'?"]),
        ({"m": [1]}, ["'m' is set more than once (lines 12, 14)"]),
        ({"i": [1]}, ["model.py:13: 'i' is no constant", "outside of loops"]),
        ({"energy": [1]}, ["model.py:16: 'energy' is no constant"]),
        ({"helper": [1]}, ["model.py:4: 'helper' is no constant"]),
        ({"set": {"tt": 1}}, ["model.py assigns no 'tt'"]),
        ({"T": [1], "results": ["T"]}, ["'T' is explored and a result"]),
        ({"T": [1.0], "results": "totl"}, ["ends without a global 'totl'; did you mean 'total'?", "it has: total"]),
        ({"T": [1.0], "workers": -1}, ["workers=-1: give a number of processes"]),
    ],
)  # fmt: skip
def test_what_a_script_can_not_do_is_said(script, options, words):
    with pytest.raises(SimkitError) as error:
        simkit.script(script, **{"check": True, **options})
    assert [word for word in words if word not in str(error.value)] == []


def test_a_file_that_is_no_script(tmp_path):
    with pytest.raises(SimkitError, match=r"simkit\.script\(.*nope.py'\): cannot read it: No such file"):
        simkit.script(tmp_path / "nope.py")
    (tmp_path / "odd.py").write_text("x = 1\ny = (\n")
    with pytest.raises(SimkitError, match=r"odd\.py:2: SyntaxError: '\(' was never closed"):
        simkit.script(tmp_path / "odd.py")
