"""Fixtures, working directories and protected arguments."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from injected import HEAD

from simkit.inject.injector import Injector

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


def test_what_a_shared_fixture_prints_is_in_the_log_of_the_first_run_of_its_worker(project):
    project.file(
        "sim_f.py",
        """
        from simkit import experiment, fixture, product

        @fixture(scope="experiment")
        def table():
            print("made a table")
            yield 3

        @experiment
        @product(x=range(8))
        def f(x, table):
            print("run", x)
            return x * table

        @experiment
        @product(x=range(2))
        def quiet(x, table):
            return x * table
        """,
    )
    project.ok("-n", "1")
    traj = project.open("f-001")
    assert [traj.log(i) for i in range(8)] == ["made a table\nrun 0\n", *(f"run {i}\n" for i in range(1, 8))]
    assert "made a table" in project.ok("show", "f", "--run", "0").out
    traj = project.open("quiet-001")
    assert [traj.log(i) for i in range(2)] == ["made a table\n", ""]
    assert "made a table" in project.ok("-n", "0", "--fresh").out
