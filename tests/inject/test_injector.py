"""One run's arguments, its fixtures and its results."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

import simkit
from simkit import SimkitError
from simkit.errors import ProviderFailed, RunFailed
from simkit.inject.injector import Injector

HEAD = """
import types
from collections import namedtuple
from dataclasses import dataclass
from typing import NamedTuple

import attrs
import numpy as np

from simkit import experiment, explore, fixture, parameter, product

events = []
"""


@pytest.fixture
def execute(study):
    """Run ``f`` of a text; gives the trajectory and the module's list of events."""

    def run(text, **options):
        traj = study.run(HEAD + text, **options)
        return traj, study.module("sim_a.py").events

    return run


# Fixtures


FIXTURES = """
@fixture(scope="experiment")
def engine():
    events.append("engine up")
    yield "engine"
    events.append("engine down")

@fixture
def outer(engine, x):
    events.append(f"outer up {x}")
    yield engine
    events.append(f"outer down {x}")

@fixture
def inner(outer):
    events.append("inner up")
    yield outer
    events.append("inner down")

@experiment
@product(x=[1, 2])
def f(inner, x):
    events.append("run")
    if x == 1:
        raise ValueError("no")
    return inner
"""


def test_fixtures_are_torn_down_in_reverse_order_after_failed_runs_too(execute):
    traj, events = execute(FIXTURES)
    assert events == [
        *("engine up", "outer up 1", "inner up", "run", "inner down", "outer down 1"),
        *("outer up 2", "inner up", "run", "inner down", "outer down 2", "engine down"),
    ]
    assert traj.status.tolist() == ["failed", "done"]


def test_a_fixture_is_made_once_per_run_however_many_ask(execute):
    _, events = execute("""
@fixture
def tool():
    events.append("made")
    return []

@parameter
def p(tool):
    tool.append(1)
    return 1

@experiment
@product(x=[1, 2])
def f(x, tool, p):
    assert tool == [1]
""")
    assert events == ["made", "made"]


def test_a_failing_set_up_fails_the_run_and_tears_down_what_was_made(execute):
    traj, events = execute("""
@fixture
def first():
    yield 1
    events.append("first down")

@fixture
def second(first, x):
    if x == 1:
        raise OSError("no device")
    yield 2

@experiment
@product(x=[1, 2])
def f(second, x):
    return x
""")
    assert traj.status.tolist() == ["failed", "done"]
    assert "OSError: no device" in traj.error(0)
    assert events == ["first down", "first down"]


def test_a_failing_tear_down_fails_its_run_and_the_others_still_tear_down(execute):
    traj, events = execute("""
@fixture
def first():
    yield 1
    events.append("first down")

@fixture
def second(first, x):
    yield 2
    if x == 1:
        raise OSError("stuck")

@experiment
@product(x=[1, 2])
def f(second, x):
    return x
""")
    assert traj.status.tolist() == ["failed", "done"]
    assert "OSError: stuck" in traj.error(0)
    assert events == ["first down", "first down"]


def test_a_shared_fixture_that_fails_fails_every_run_with_its_traceback(execute):
    traj, _ = execute("""
@fixture(scope="experiment")
def engine():
    raise OSError("no licence")

@experiment
@product(x=[1, 2])
def f(engine, x):
    return x
""")
    assert traj.status.tolist() == ["failed", "failed"]
    for run in (0, 1):
        assert "fixture 'engine' failed, and all runs of f need it" in traj.error(run)
        assert "OSError: no licence" in traj.error(run)
        assert "sim_a.py:14" in traj.error(run)


TEARDOWN = """
@fixture(scope="experiment")
def engine():
    yield 1
    raise OSError("stuck")

@experiment
@product(x=[1, 2])
def f(engine, x):
    return x
"""


def test_a_shared_fixture_that_fails_to_tear_down_costs_no_results(execute):
    with pytest.warns(UserWarning, match="OSError: stuck"):
        traj, _ = execute(TEARDOWN)
    assert traj["result"].tolist() == [1, 2]
    assert traj.status.tolist() == ["done", "done"]


def test_a_shared_fixture_that_fails_to_tear_down_is_told(study):
    injector = Injector(study.plan(HEAD + TEARDOWN), 0, {})
    injector.prepare()
    problem = injector.close()
    assert "OSError: stuck" in problem
    assert "sim_a.py" in problem


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("yield 1\n    yield 2", "fixture 'tool' yields more than once"),
        ("return 1\n    yield", "fixture 'tool' did not yield a value"),
    ],
)
def test_a_fixture_yields_exactly_once(execute, body, message):
    traj, _ = execute(f"@fixture\ndef tool():\n    {body}\n\n@experiment\ndef f(tool):\n    return 1\n")
    assert traj.status.tolist() == ["failed"]
    assert message in traj.error(0)
    assert "sim_a.py:13" in traj.error(0)


def test_a_shared_fixture_may_need_constants_and_other_shared_ones(execute):
    traj, events = execute("""
@parameter
def size(n=3):
    events.append("size")
    return 2 * n

@fixture(scope="experiment")
def one(size):
    events.append("one")
    return [size]

@fixture(scope="experiment")
def two(one):
    return one

@experiment
@product(x=[1, 2])
def f(two, one, x):
    assert two is one
    return two[0]
""")
    assert traj["result"].tolist() == [6, 6]
    assert sorted(events) == ["one", "size"]


def test_a_fixture_is_never_recorded(execute):
    traj, _ = execute(
        "@fixture\ndef tool():\n    return 1\n@experiment\ndef f(tool, x=1):\n    return tool\n"
    )
    assert list(traj.parameters) == ["x"]


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


@pytest.mark.parametrize(
    "change",
    [
        "neuron.tau = 3",
        "neuron.w[0] = 3",
        "array[0] = 3",
        "array += 1",
        "explored[0] = 3",
        "derived[0] = 3",
        "varying[0] = 3",
        "default[0] = 3",
    ],
)
def test_groups_are_frozen_and_arrays_read_only(execute, change):
    traj, _ = execute(f"""
@parameter
class Neuron:
    tau: float = 1.0
    w: np.ndarray = np.zeros(2)

@parameter
def array():
    return np.zeros(2)

@parameter
def derived(array):
    return array + 1

@parameter
def varying(explored):
    return explored + 1

@experiment
@product(explored=np.zeros((2, 3)))
def f(neuron, array, explored, derived, varying, default=np.zeros(2)):
    {change}
""")
    assert traj.status.tolist() == ["failed", "failed"]
    assert "FrozenInstanceError" in traj.error(0) or "read-only" in traj.error(0)


def test_a_providers_arguments_are_protected_too(execute):
    traj, _ = execute("""
@fixture
def tool(array=np.zeros(2)):
    array[0] = 1

@experiment
def f(tool):
    return 1
""")
    assert "read-only" in traj.error(0)


@pytest.mark.parametrize(
    "declared",
    ["[1]", "[[1]]", "{'k': [1]}", "([1],)", "[np.ones(1)]", "(np.ones(1),)", "{'k': np.ones(1)}"],
)
@pytest.mark.parametrize("source", ["default", "explored", "derived", "group", "varying"])
def test_what_a_run_does_to_its_arguments_reaches_no_other_run_nor_the_record(execute, declared, source):
    code = {
        "default": f"@experiment\n@product(x=[1, 2])\ndef f(x, v={declared}):",
        "explored": f"@experiment\n@product(x=[1, 2], v=[{declared}])\ndef f(x, v):",
        "derived": f"@parameter\ndef v():\n    return {declared}\n@experiment\n@product(x=[1, 2])\ndef f(x, v):",
        "varying": f"@parameter\ndef v(x):\n    return {declared}\n@experiment\n@product(x=[1, 2])\ndef f(x, v):",
        "group": f"@parameter(name='v')\nclass V:\n    w: object = attrs.field(factory=lambda: {declared})\n"
        "@experiment\n@product(x=[1, 2])\ndef f(x, v):\n    v = v.w",
    }[source]
    traj, events = execute(f"""
def spoil(value):
    try:
        if isinstance(value, np.ndarray):
            value += 1
        elif isinstance(value, list) and type(value[0]) is int:
            value.append(2)
        else:
            spoil(value['k'] if isinstance(value, dict) else value[0])
    except ValueError:
        pass  # read-only is fine

{code}
    events.append(repr(v))
    spoil(v)
    return 0
""")
    assert events[0] == events[1]
    name = "v.w" if source == "group" else "v"
    recorded = (
        [traj.parameters[name]] if traj.describe(name).constant else [getattr(run, name) for run in traj]
    )
    assert [repr(value) for value in recorded] == [events[0]] * len(recorded)


def test_what_an_experiment_does_to_a_list_does_not_reach_the_users_default(study):
    study.run(HEAD + "default = [1]\n@experiment\ndef f(v=default):\n    v.append(2)\n")
    assert study.module("sim_a.py").default == [1]


# Built-ins


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_working_directory_is_fresh_and_removed_after_a_done_run(execute, temporary):
    traj, _ = execute("""
@experiment
@product(x=[1, 2])
def f(x, workdir):
    assert not list(workdir.iterdir())
    (workdir / "file").write_text("x")
    return str(workdir)
""")
    folders = traj["result"].tolist()
    assert len(set(folders)) == 2
    assert not any(Path(folder).exists() for folder in folders)


def test_the_working_directory_of_a_failed_run_is_kept_and_named(execute, temporary):
    before = os.getcwd()
    traj, _ = execute("""
@experiment
def f(workdir):
    (workdir / "core").write_text("x")
    raise ValueError("look there")
""")
    (folder,) = (p for p in temporary.iterdir() if p.name.startswith("simkit-f-"))
    assert (folder / "core").read_text() == "x"
    assert f"(its working directory is kept: {folder})" in traj.error(0)
    assert os.getcwd() == before


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


# Results


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("{'a': 1, 'b.c': 2}", {"a": 1, "b.c": 2}),
        ("types.MappingProxyType({'a': 1})", {"a": 1}),
        ("namedtuple('T', 'a b')(1, 2)", {"a": 1, "b": 2}),
        ("Typed(1, 'x')", {"a": 1, "b": "x"}),
        ("Data(1, [2])", {"a": 1, "b": [2]}),
        ("Attrs(1)", {"a": 1}),
        ("Slotted(1)", {"a": 1}),
        ("Slotted", None),
        ("(1, 2)", {"result": (1, 2)}),
        ("[1, 'a']", {"result": [1, "a"]}),
        ("5", {"result": 5}),
        ("'text'", {"result": "text"}),
        ("{'a': {'b': {'c': 1}}}", {"a": {"b": {"c": 1}}}),
        ("None", {}),
        ("{}", {}),
        ("{'a': None}", {"a": None}),
    ],
)
def test_what_has_fields_gives_a_result_per_field_and_all_else_one_result(study, result, expected):
    text = f"""
class Typed(NamedTuple):
    a: int
    b: str

@dataclass
class Data:
    a: int
    b: list

@attrs.frozen(slots=False)
class Attrs:
    a: int

@attrs.define
class Slotted:
    a: int

@experiment
def f():
    return {result}
"""
    if expected is None:
        with pytest.raises(SimkitError, match="result result: cannot store a class"):
            study.call(HEAD + text)
    else:
        assert study.call(HEAD + text) == expected


def test_added_appended_and_returned_results_stand_side_by_side(execute):
    traj, _ = execute("""
@experiment
@product(x=[1, 2])
def f(x, run):
    run.add(a=x, **{"spikes.t": [0.5] * x})
    for i in range(3):
        run.append(s=i * x)
    run.note("slow")
    run.note(a="first second only")
    return {"b": -x}
""")
    assert traj["a"].tolist() == [1, 2]
    assert traj["b"].tolist() == [-1, -2]
    assert traj["s"].tolist() == [[0, 1, 2], [0, 2, 4]]
    assert traj.runs[1].spikes.t == [0.5, 0.5]
    assert traj.notes(0) == ["slow", "a: first second only"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'x': 1}", "result 'x' has the name of a parameter: give it another name, such as 'x_end'"),
        ("return {'n': 1}", "result 'n' has the name of a parameter"),
        ("return {'neuron': 1}", "result 'neuron' has the name of a parameter"),
        ("return {'neuron.tau': 1}", "result 'neuron.tau' has the name of a parameter"),
        ("return {'x.y': 1}", "'x' is a leaf and, through 'x.y', a group"),
        ("return {'a': 1, 'a.b': 2}", "'a' is a leaf and, through 'a.b', a group"),
        ("run.add(a=1); return {'a': 2}", "result 'a' was added with run.add() and is returned as well"),
        ("run.add(a=1); run.add(a=2)", "result 'a' was added twice in run 0"),
        ("run.append(a=1); return {'a': 2}", "result 'a'"),
        ("run.add(**{'a.b': 1}); return {'a': 2}", "'a' is a leaf and, through 'a.b', a group"),
        ("return {1: 2}", "results are named by strings, not by 1"),
        ("return {'': 2}", "'' cannot name a result"),
        ("return {'a..b': 2}", "'a..b' cannot name a result"),
        ("return {'a/b': 2}", "'a/b' cannot name a result"),
        ("return {'a': [0, {'b': len}]}", "result a[1].b: cannot store a function"),
        ("return {'a': np.array([len])}", "result a[0]: cannot store a function"),
        ("return lambda: 1", "result result: cannot store a function"),
        ("v = []; v.append(v); return v", "result result: cannot store a value that contains itself"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_results_that_can_not_be_kept_cost_their_run_only(execute, body, message):
    traj, _ = execute(f"""
@parameter
class Neuron:
    tau: float = 1.0

@experiment
@product(x=[1, 2, 3])
def f(x, run, neuron, n=1):
    if x == 2:
        run.index = 0
        {body}
    else:
        return {{"good": x}}
""")
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert message in traj.error(1)
    assert traj["good"].compressed().tolist() == [1, 3]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("buffer[:] = x\n    return {'z': buffer}", [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [6, 6]]),
        ("history.append(x)\n    return {'z': history}", [[1, 2, 3, 4, 5, 6][:n] for n in range(1, 7)]),
        ("table['k'] = x\n    return {'z': table}", [{"k": n} for n in range(1, 7)]),
        ("buffer[:] = x\n    run.add(z=buffer)", [[n, n] for n in range(1, 7)]),
        ("buffer[:] = x\n    return {'z': [buffer]}", [[[n, n]] for n in range(1, 7)]),
        ("buffer[:] = x\n    return {'z': buffer[:1]}", [[n] for n in range(1, 7)]),
    ],
)
def test_a_result_is_what_it_was_when_the_run_returned_it(execute, body, expected):
    traj, _ = execute(f"""
buffer, history, table = np.zeros(2), [], {{}}

@experiment
@product(x=[1, 2, 3, 4, 5, 6])
def f(x, run):
    {body}
""")

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        return [plain(v) for v in value] if isinstance(value, list) else value

    assert [plain(run.z) for run in traj] == expected


def test_a_failed_run_records_its_traceback_from_the_users_first_line(execute):
    traj, _ = execute("def deep(x):\n    return 1 / x\n@experiment\ndef f(x=0):\n    return deep(x)\n")
    assert traj.error(0).splitlines()[0] == "Traceback (most recent call last):"
    assert "sim_a.py" in traj.error(0).splitlines()[1]
    assert traj.error(0).splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "simkit/inject" not in traj.error(0)


def test_check_raises_the_first_failure_after_all_is_recorded(study):
    text = "@experiment\n@product(x=[1, 0, 2])\ndef f(x):\n    return 1 // x\n"
    with pytest.raises(RunFailed, match=r"(?s)f: run 1 failed\n.*ZeroDivisionError"):
        study.run(HEAD + text, check=True)
    assert simkit.open("f")["result"].compressed().tolist() == [1, 0]
