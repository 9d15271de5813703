"""Derived parameters, computed once or per run; what a run knows of itself."""

from __future__ import annotations

import numpy as np
import pytest
from injected import HEAD

import simkit
from simkit.errors import ProviderFailed

# Parameters


def test_a_derived_parameter_is_computed_once_or_per_run_as_it_depends(execute):
    traj, events = execute("""
@parameter
def constant(n=2):
    events.append("constant")
    return n + 1

@parameter
def varying(x, constant):
    events.append(f"varying {x}")
    return x * constant

@parameter
def further(varying):
    return varying + 1

@experiment
@product(x=[1, 2])
def f(further):
    return further
""")
    assert events == ["constant", "varying 1", "varying 2"]
    assert traj.parameters.constant == 3
    assert traj["varying"].tolist() == [3, 6]
    assert traj["further"].tolist() == traj["result"].tolist() == [4, 7]
    assert traj.describe("constant").constant
    assert not traj.describe("varying").constant


def test_a_constant_parameter_that_fails_is_an_error_before_the_first_run(execute, study):
    with pytest.raises(ProviderFailed) as error:
        execute("@parameter\ndef p():\n    return 1 / 0\n@experiment\ndef f(p):\n    events.append('ran')\n")
    message = str(error.value)
    assert message.startswith("sim_a.py:13: parameter 'p' failed, and all runs of f need it")
    assert "ZeroDivisionError" in message
    assert "simkit/inject" not in message
    assert study.module("sim_a.py").events == []


def test_a_varying_parameter_that_fails_costs_its_run_only(execute):
    traj, _ = execute("""
@parameter
def p(x):
    return 1 / x

@experiment
@product(x=[0, 1, 2])
def f(p):
    return p
""")
    assert traj.status.tolist() == ["failed", "done", "done"]
    assert "ZeroDivisionError" in traj.error(0)
    np.testing.assert_array_equal(traj["p"], [np.nan, 1.0, 0.5])
    assert traj["x"].tolist() == [0, 1, 2]


def test_a_varying_parameter_that_can_not_be_recorded_costs_its_run_only(execute):
    traj, _ = execute("""
@parameter
def p(x):
    return len if x == 1 else x

@experiment
@product(x=[1, 2])
def f(p):
    return 1
""")
    assert traj.status.tolist() == ["failed", "done"]
    assert "parameter p: cannot store a function" in traj.error(0)


def test_a_run_knows_its_number_and_trial(execute):
    traj, _ = execute("""
@experiment
@(product(x=[1, 2]).repeat(2))
def f(x, run, trial):
    return {"i": run.index, "t": run.trial, "same": trial == run.trial}
""")
    assert traj["i"].tolist() == [0, 1, 2, 3]
    assert traj["t"].tolist() == traj["trial"].tolist() == [0, 1, 0, 1]
    assert traj["same"].all()


def test_fixtures_that_ctrl_c_left_half_made_are_made_anew(study):
    text = """
@fixture(scope="experiment")
def first():
    events.append("made")
    yield len(events)
    events.append("gone")

@fixture(scope="experiment")
def second(first):
    if len(events) < 3:
        raise KeyboardInterrupt
    return first

@experiment
@explore(x=[1, 2])
def f(x, second):
    return second
"""
    study.write("sim_a.py", HEAD + text)
    module = study.module("sim_a.py")
    with simkit.start(module.f, output=study.root / "f.h5") as session:
        assert "result" not in session.run(simkit.explore(x=[1, 2]))
        assert module.events == ["made", "gone"]
        results = session.run(simkit.explore(x=[1, 2]))
    assert module.events == ["made", "gone", "made", "gone"]
    assert results["result"].tolist() == [3, 3]
