"""One call computes many runs: what it is given, what it gives, and what one bad run costs."""

from __future__ import annotations

import re
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest

import simkit
from simkit import experiment, explore, parameter, product, sample
from simkit.declare.tags import mark

CALLS: list[tuple] = []


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


@pytest.fixture
def run(tmp_path):
    """Runs a function vectorized, in a file of its own; warnings are errors."""
    numbers = iter(range(1000))

    def of(function, space=None, *, most=0, into=None, **options):
        mark(function, vectorized=most)
        file = tmp_path / f"{next(numbers)}.h5" if into is None else into
        return simkit.run(function, space, output=file, **options)

    return of


@pytest.fixture
def warned(run):
    """Runs a function vectorized and gives the trajectory's failures as a list of run numbers and first texts."""

    def of(function, space=None, **options):
        with pytest.warns(UserWarning, match="not done"):
            traj = run(function, space, **options)
        failed = np.flatnonzero(traj.status == "failed").tolist()
        return traj, failed

    return of


def both(function, space, run, tmp_path, **options):
    """The trajectories of the same function vectorized and run by run."""
    together = run(function, space, **options)
    mark(function, vectorized=None)
    alone = simkit.run(function, space, output=tmp_path / "alone.h5", **options)
    return together, alone


# What a call is given


def test_what_varies_arrives_as_arrays_and_constants_as_they_are(run):
    def f(x, y, charge: float = 2.0, label="a"):
        CALLS.append((type(x), x.dtype, x.shape == y.shape, charge, label, x.flags.writeable))
        return {"v": charge * x + y}

    space = product(x=np.linspace(0, 1, 10), y=[1, 2, 3])
    traj = run(f, space)
    assert {*CALLS} == {(np.ndarray, np.dtype("f8"), True, 2.0, "a", False)}
    frame = space.to_dataframe()
    assert traj["v"].tolist() == (2 * frame.x + frame.y).tolist()
    assert traj.parameters.charge == 2.0
    assert traj["y"].dtype == np.int64
    assert (traj.status == "done").all()


def test_the_file_is_that_of_the_same_experiment_run_by_run(run, tmp_path):
    def f(x, seed, k=3):
        return {"v": np.sqrt(x) * k, "s": seed % 7 * 1.0}

    together, alone = both(f, explore(x=np.arange(50.0)), run, tmp_path, seed=5)
    for name in ("x", "v", "s", "k"):
        one, other = together[name], alone[name]
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    assert together.seeds.tolist() == alone.seeds.tolist()
    assert type(together.runs[3].v) is type(alone.runs[3].v)


@pytest.mark.parametrize(
    "elements",
    [
        ["a", "bb", "c"],
        [{"k": 1}, {"k": 2}, {"k": 3}],
        [[1, 2], [3], []],
        [None, 1, "x"],
        [2**70, 1, 2],
        [True, 2, 3.5],
        [("a", 1), ("b", 2), ("c", 3)],
    ],
    ids=str,
)
def test_explored_objects_arrive_as_an_array_of_them(run, elements):
    def f(x):
        CALLS.append((type(x), x.dtype, x.shape))
        return {"same": x.tolist()}

    traj = run(f, explore(x=elements))
    assert CALLS[0] == (np.ndarray, np.dtype(object), (3,))
    assert [traj.runs[i].same for i in range(3)] == elements
    assert [type(traj.runs[i].x) for i in range(3)] == [type(element) for element in elements]


def test_explored_arrays_of_one_shape_are_stacked(run):
    def f(w):
        CALLS.append(w.shape)
        return {"s": w.sum(1)}

    traj = run(f, explore(w=np.arange(12.0).reshape(4, 3)))
    traj_of_list = run(f, explore(w=list(np.arange(12.0).reshape(4, 3))))
    assert CALLS[0] == (4, 3)
    assert traj["s"].tolist() == traj_of_list["s"].tolist() == [3, 12, 21, 30]


def test_quantities_arrive_as_one_and_are_given_back_so(run):
    brian2 = pytest.importorskip("brian2")

    def f(tau, unit=2 * brian2.mV):
        CALLS.append((type(tau), tau.shape, str(tau.dim)))
        return {"half": tau / 2, "v": unit * np.ones((len(tau), 3))}

    traj = run(f, explore(tau=np.array([10.0, 20, 30]) * brian2.ms))
    assert CALLS[0] == (brian2.Quantity, (3,), "s")
    assert (traj["half"] == np.array([5, 10, 15]) * brian2.ms).all()
    assert traj["v"].shape == (3, 3)
    assert traj.runs[1].half == 10 * brian2.ms
    listed = run(f, explore(tau=[10 * brian2.ms, 20 * brian2.ms]))
    assert (listed["half"] == np.array([5, 10]) * brian2.ms).all()


def test_seeds_are_arrays_and_the_same_as_run_by_run(run, tmp_path):
    def f(x, seed, random_state):
        CALLS.append((seed.dtype, random_state.dtype, seed.shape))
        draws = [np.random.default_rng(s).normal() + x[i] for i, s in enumerate(seed.tolist())]
        return {"draw": draws, "small": random_state.astype("i8")}

    together = run(f, explore(x=np.arange(20.0)), seed=3)
    assert CALLS[0] == (np.dtype("u8"), np.dtype("u4"), (16,))

    def g(x, seed, random_state):
        return {"draw": np.random.default_rng(seed).normal() + x, "small": random_state}

    g.__name__ = "f"  # streams belong to the name
    alone = simkit.run(g, explore(x=np.arange(20.0)), output=tmp_path / "g.h5", seed=3)
    assert together["draw"].tolist() == alone["draw"].tolist()
    assert together["small"].tolist() == alone["small"].tolist()
    assert together.seeds.tolist() == alone.seeds.tolist()


def test_a_seed_of_the_users_own(run):
    def f(seed, random_state):
        return {"s": seed * 2, "r": random_state}

    traj = run(f, explore(seed=[1, 2, 3]))
    assert traj["s"].tolist() == [2, 4, 6]
    assert len({*traj["r"].tolist()}) == 3


def test_run_has_arrays(run):
    def f(x, run):
        run.add(z=x * 2, i=run.index)
        return {"t": run.trial}

    traj = run(f, explore(x=[1.0, 2.0]).repeat(3))
    assert traj["z"].tolist() == [2, 2, 2, 4, 4, 4]
    assert traj["i"].tolist() == list(range(6))
    assert traj["t"].tolist() == [0, 1, 2, 0, 1, 2]


def test_derived_parameters_are_computed_run_by_run(run, tmp_path):
    @parameter
    def depth(x: float, seed: int, rng) -> float:
        return (1.0 if x > 1 else x * 2) + rng.integers(3) + seed % 2

    def f(x, depth):
        return {"v": x + depth}

    globals()["depth"] = depth
    depth.__module__ = __name__
    try:
        together, alone = both(f, explore(x=[0.5, 1.0, 2.0, 3.0]), run, tmp_path, seed=1)
    finally:
        del globals()["depth"]
    assert together["depth"].tolist() == alone["depth"].tolist()
    assert together["v"].tolist() == alone["v"].tolist()
    assert together.seeds.tolist() == alone.seeds.tolist()


GROUPS = """
from typing import Annotated
import attrs
import numpy as np
from simkit import experiment, explore, fixture, parameter, product

@parameter
class Synapse:
    w: float = 1.0
    tau: float = 5.0

@parameter
class Neuron:
    N: int = 100
    tau: float = 10.0
    twice: float = attrs.field(default=attrs.Factory(lambda self: 2 * self.tau, takes_self=True))
    synapse: Synapse = Synapse()

@parameter
class Cell:
    n: int = 3
    gain: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))

@parameter
class Plain:
    n: int = 3
    k: float = 1.0

shapes = []
"""


@pytest.mark.parametrize("decorator", ["@experiment", "@experiment(vectorized=True)"])
def test_groups_have_arrays_for_the_fields_that_vary(study, decorator):
    text = f"""
        {decorator}
        @product({{"neuron.tau": [1.0, 2.0, 3.0], "neuron.N": [4, 5]}}, a=[1])
        def f(neuron, a):
            shapes.append([np.shape(v) for v in (neuron.tau, neuron.N, neuron.twice, neuron.synapse.w)])
            return {{"v": neuron.tau + neuron.N + neuron.twice + neuron.synapse.w + neuron.synapse.tau}}
    """
    traj = study.run(GROUPS + dedent(text))
    expected = [tau + n + 2 * tau + 1 + 5 for tau in (1.0, 2, 3) for n in (4, 5)]
    assert traj["v"].tolist() == expected
    assert traj["neuron.twice"].tolist() == [2, 2, 4, 4, 6, 6]
    assert traj["neuron.synapse.w"].tolist() == [1] * 6
    if "vectorized" in decorator:
        assert study.module("sim_a.py").shapes[0] == [(6,), (6,), (6,), ()]


@pytest.mark.parametrize("group", ["plain", "cell"])
def test_fields_that_do_not_vary_stay_single(study, group):
    field = {"plain": "k", "cell": "gain"}[group]
    traj = study.run(
        GROUPS
        + f"""
@experiment(vectorized=True)
@explore({{"{group}.{field}": [1.0, 2.0, 2.0]}})
def f({group}):
    return {{"v": np.ones(({group}.{field}.shape[0], {group}.n)) * {group}.{field}[:, None]}}
"""
    )
    assert traj["v"].tolist() == [[1.0] * 3, [2.0] * 3, [2.0] * 3]
    assert traj.parameters[group + ".n"] == 3


def test_a_group_that_can_not_be_made_costs_its_run(study):
    text = """
@experiment(vectorized=True)
@explore({"cell.gain": [1.0, -2.0, 3.0]})
def f(cell):
    return {"v": cell.gain}
"""
    with pytest.warns(UserWarning, match="1 of 3 runs not done"):
        traj = study.run(GROUPS + text)
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert "'gain' must be > 0" in traj.error(1)
    assert traj["v"][[0, 2]].tolist() == [1, 3]


def test_an_experiment_fixture_is_as_it_is(study):
    text = """
@fixture(scope="experiment")
def table():
    return {"a": 5}

@experiment(vectorized=True)
@explore(x=[1, 2])
def f(x, table):
    return {"v": x + table["a"]}
"""
    assert study.run(GROUPS + text)["v"].tolist() == [6, 7]


# Sums of spaces, conditions, samples


def test_a_call_holds_one_set_of_explored_names(run, tmp_path):
    def f(x=0.5, y=7, z="no"):
        CALLS.append((np.shape(x), np.shape(y), z if isinstance(z, str) else "array", np.size(x)))
        word = np.broadcast_to(z, np.broadcast(x, y, z).shape) if isinstance(z, str) else z
        return {"v": np.broadcast_to(x + y * 1.0, word.shape), "w": list(word)}

    space = (explore(x=[1.0, 2.0]) + explore(y=[1, 2, 3]) + explore(x=[9.0], z=["yes"])) * product(x2=[0])

    def g(x=0.5, y=7, z="no", x2=0):
        return f(x, y, z)

    traj = run(g, space)
    several = [call[:3] for call in CALLS if call[3] > 1 or call[0] == () or call[2] == "array"]
    assert several == [((2,), (), "no"), ((), (3,), "no"), ((1,), (), "array")]
    assert traj["v"].tolist() == [8, 9, 1.5, 2.5, 3.5, 16]
    assert traj["w"].tolist() == ["no"] * 5 + ["yes"]
    assert traj["x"].tolist() == [1, 2, 0.5, 0.5, 0.5, 9]
    assert traj["y"].tolist() == [7, 7, 1, 2, 3, 7]
    assert traj["z"].tolist() == ["no"] * 5 + ["yes"]


def test_alternating_names_are_two_calls(run):
    def f(c, x=0, y=0):
        CALLS.append(len(c))
        return {"v": c + 10 * np.broadcast_to(x, len(c)) + 100 * np.broadcast_to(y, len(c))}

    traj = run(f, product(c=list(range(5))) * (explore(x=[1]) + explore(y=[2])))
    assert CALLS[0] == 5
    assert traj["v"].tolist() == [c + more for c in range(5) for more in (10, 200)]


def test_a_hole_is_filled_by_what_is_computed_run_by_run(study):
    text = """
@parameter
def dt(tau):
    return tau / 10

@experiment(vectorized=True)
def f(tau, dt):
    return {"v": dt + 0.0}

f = (explore(tau=[10.0, 20.0]) + explore(tau=[30.0], dt=[1.0]))(f)
"""
    traj = study.run(GROUPS + text)
    assert traj["v"].tolist() == traj["dt"].tolist() == [1, 2, 1]


def test_spaces_of_every_kind(run):
    def f(x, y):
        return {"v": x + y}

    for space in (
        product(x=[1, 2, 3], y=[4, 5]).where("x < y - 1"),
        sample(40, x=(0, 1), y=[1, 2], seed=1),
        explore(pd.DataFrame({"x": [1.5, 2], "y": [3, 4]})),
        explore([{"x": 1, "y": 2}, {"x": 3, "y": 4}]),
        product(x=[1], y=[2]).repeat(30),
    ):
        traj = run(f, space)
        frame = space.to_dataframe()
        assert traj["v"].tolist() == (frame.x + frame.y).tolist()


# What a call gives


@pytest.mark.parametrize(
    ("give", "expected"),
    [
        (lambda x: x * 2, {"result": [0, 2, 4]}),
        (lambda x: None, {}),
        (lambda x: {"a": x, "b": x[:, None] * np.ones(2)}, {"a": [0, 1, 2], "b": [[0, 0], [1, 1], [2, 2]]}),
        (lambda x: pd.DataFrame({"a": x, "w": ["p", "q", "r"]}), {"a": [0, 1, 2], "w": ["p", "q", "r"]}),
        (lambda x: {"a": pd.Series(x)}, {"a": [0, 1, 2]}),
        (lambda x: {"a": pd.Series(["p", None, "q"], dtype="string")}, {}),
        (lambda x: {"a": x > 1}, {"a": [False, False, True]}),
        (lambda x: {"a": np.array(["p", "q", "r"])}, {"a": ["p", "q", "r"]}),
        (lambda x: {"a": np.array(["2020", "2021", "NaT"], "M8[Y]")}, {}),
        (lambda x: {"a.b": x, "a.c": x + 1}, {"a.b": [0, 1, 2], "a.c": [1, 2, 3]}),
        (lambda x: {"a": x.astype(">f4")}, {"a": [0, 1, 2]}),
        (lambda x: {"a": [None, None, None]}, {}),
        (lambda x: {"a": [{"k": 1}, [2], "three"]}, {}),
    ],
)
def test_results_have_the_runs_first(run, give, expected):
    def f(x):
        return give(x)

    traj = run(f, explore(x=[0.0, 1.0, 2.0]))
    assert (traj.status == "done").all()
    for name, values in expected.items():
        assert traj[name].tolist() == values


def test_ragged_results_are_a_list(run):
    def f(n):
        return {"t": [np.arange(k) for k in n.tolist()], "word": ["x" * k for k in n.tolist()]}

    traj = run(f, explore(n=[2, 0, 3]))
    assert [row.tolist() for row in traj["t"]] == [[0, 1], [], [0, 1, 2]]
    assert traj["word"].tolist() == ["xx", "", "xxx"]


def test_masked_rows_are_absent(run):
    def f(x):
        return {"v": np.ma.masked_less(x, 1)}

    traj = run(f, explore(x=[0.0, 1.0, 2.0]))
    assert np.isnan(traj["v"][0])
    assert traj["v"][1:].tolist() == [1, 2]
    assert not hasattr(traj.runs[0], "v")


def test_large_arrays_are_kept_row_by_row(run):
    def f(x):
        return {"field": x[:, None] * np.ones(20_000)}

    traj = run(f, explore(x=np.arange(40.0)))
    assert traj["field"].shape == (40, 20_000)
    assert (traj["field"][:, 7] == np.arange(40)).all()


def test_a_buffer_that_is_used_again_is_copied(run):
    buffer = np.zeros(4)

    def f(x):
        buffer[: len(x)] = x
        return {"v": buffer[: len(x)]}

    assert run(f, explore(x=np.arange(12.0)), most=4)["v"].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (
            lambda x: {"v": 1.0},
            r"'v' is one value \(a float without dimensions\), and the call computed 5 runs",
        ),
        (lambda x: {"v": x[:3]}, r"'v' has 3 rows, and the call computed 5 runs"),
        (lambda x: {"v": np.ones((3, len(x)))}, r"'v' has 3 rows, its shape is \(3, 5\), and the call"),
        (lambda x: {"v": [1, 2]}, r"'v' has 2 rows, and the call computed 5 runs"),
        (lambda x: {"v": "words"}, r"'v' is one value \(a str"),
        (lambda x: {"v": {"a": x}}, r"'v' is a dict, and the call"),
        (lambda x: {"v": (x, x)}, r"'v' is a tuple"),
        (lambda x: x.mean(), r"'result' is one value \(a float64 without"),
        (lambda x: {"v": np.array(1.0)}, r"'v' is one value \(a ndarray without"),
    ],
)
def test_other_numbers_of_rows_are_an_error_that_names_them(warned, give, words):
    def f(x):
        CALLS.append(x)
        return give(x)

    traj, failed = warned(f, explore(x=np.arange(5.0)))
    assert failed == list(range(5))
    assert len(CALLS) == 1  # no halving: it fits no number of runs
    assert re.search("f is vectorized: result " + words, traj.error(3))


@pytest.mark.parametrize("name", ["append", "note", "checkpoint", "restore"])
def test_what_belongs_to_one_run_is_an_error(warned, name):
    def f(x, run):
        getattr(run, name)
        return x

    traj, failed = warned(f, explore(x=[1, 2, 3]))
    assert failed == [0, 1, 2]
    assert f"run.{name} belongs to one run, and this call computes 3 of them" in traj.error(2)
    assert "leave out vectorized" in traj.error(2)


def test_a_result_is_given_once(warned):
    def f(x, run):
        run.add(v=x)
        return {"v": x}

    traj, _ = warned(f, explore(x=[1, 2]))
    assert "'v' was added with run.add() and is returned as well" in traj.error(0)

    def g(x, run):
        run.add(v=x)
        run.add(v=x)

    traj, _ = warned(g, explore(x=[1, 2]))
    assert "'v' was added twice" in traj.error(1)


def test_a_row_that_can_not_be_kept_costs_its_run(warned):
    def f(x):
        return {"v": [1, lambda: 0, 3], "w": x}

    traj, failed = warned(f, explore(x=[1, 2, 3]))
    assert failed == [1]
    assert "result v: cannot store a function" in traj.error(1)
    assert traj["w"][[0, 2]].tolist() == [1, 3]


def test_a_result_with_a_parameters_name_fails_its_runs(warned):
    def f(x, k=1):
        return {"k": x, "v": x}

    traj, failed = warned(f, explore(x=[1, 2]))
    assert failed == [0, 1]
    assert "'k' has the name of a parameter" in traj.error(0)


# One bad run costs one run


def test_a_call_that_raises_is_halved_until_the_culprit_stands_alone(warned, monkeypatch):
    monkeypatch.setattr("simkit.inject.vectorized.PATIENCE", 1000.0)  # one batch, whatever the load

    def f(x):
        CALLS.append(x.tolist())
        if (x == 11).any():
            raise ValueError("no luck")
        return {"v": x * 2}

    traj, failed = warned(f, explore(x=np.arange(200.0)), most=200)
    assert failed == [11]
    assert "ValueError: no luck" in traj.error(11)
    assert 'raise ValueError("no luck")' in traj.error(11)
    good = np.delete(np.arange(200), 11)
    assert traj["v"][good].tolist() == (2 * good).tolist()
    assert [11.0] in CALLS
    assert [len(call) for call in CALLS if 11.0 in call] == [200, 100, 50, 25, 12, 6, 3, 2, 1]


def test_many_culprits(warned):
    def f(x):
        if (x % 7 == 3).any():
            raise ValueError(f"{len(x)} runs")
        return {"v": x}

    traj, failed = warned(f, explore(x=np.arange(100)))
    assert failed == [x for x in range(100) if x % 7 == 3]
    assert all("1 runs" in traj.error(run) for run in failed)


def test_failed_runs_are_computed_again_and_done_ones_are_not(run, tmp_path):
    def f(x):
        CALLS.append(x.tolist())
        if not (tmp_path / "mended").exists() and (x > 90).any():
            raise OSError("not yet")
        return {"v": x}

    with pytest.warns(UserWarning, match="9 of 100 runs not done"):
        run(f, explore(x=np.arange(100)), into=tmp_path / "a.h5")
    (tmp_path / "mended").touch()
    CALLS.clear()
    traj = run(f, explore(x=np.arange(100)), into=tmp_path / "a.h5")
    assert CALLS[0] == list(range(91, 100))
    assert (traj.status == "done").all()


FAILS = """
import numpy as np
from simkit import experiment, explore

@experiment(vectorized=True)
@explore(x=np.arange(100))
def late(x):
    if (x >= 5).any():
        raise ValueError("from five on")
    return x

@experiment(vectorized=True)
@explore(x=np.arange(100))
def misfit(x):
    return 1.0
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_no_more_failures_are_recorded_than_are_wanted(project, workers):
    project.file("sim_a.py", FAILS)
    assert project.simkit("sim_a.py::late", "-x", "-n", workers).code == 1
    assert project.open("late-001").status.tolist()[4:7] == ["done", "failed", "pending"]
    assert project.simkit("sim_a.py::misfit", "--maxfail", "3", "-n", workers).code == 1
    assert project.open("misfit-001").status.tolist() == ["failed"] * 3 + ["pending"] * 97


def test_output_belongs_to_the_first_run_of_its_call(run):
    def f(x):
        print(f"{len(x)} runs from {x[0]}")
        return x

    traj = run(f, explore(x=np.arange(10)), most=5, workers=1)
    assert traj.log(0) == "5 runs from 0\n"
    assert traj.log(5) == "5 runs from 5\n"
    assert traj.log(1) == ""


# Continuing, replaying, calling


def test_run_by_run_goes_on_together_and_the_other_way_round(tmp_path, run):
    def f(x):
        return {"v": np.sqrt(x)}

    file = tmp_path / "a.h5"
    simkit.run(f, explore(x=np.arange(5.0)), output=file)
    traj = run(f, explore(x=np.arange(30.0)), into=file)
    assert traj["v"].tolist() == np.sqrt(np.arange(30.0)).tolist()
    assert traj["v"].dtype == np.float64
    mark(f, vectorized=None)
    traj = simkit.run(f, explore(x=np.arange(40.0)), output=file)
    assert traj["v"].tolist() == np.sqrt(np.arange(40.0)).tolist()
    assert len(traj) == 40


def test_one_run_alone_is_an_array_of_one(run):
    def f(x, k=2):
        return {"v": x * k}

    traj = run(f, explore(x=np.arange(10.0)))
    assert traj.replay(3, f) == {"v": 6.0}
    assert simkit.call(f, x=4.0) == {"v": 8.0}
    assert f(np.array([1.0, 2.0]))["v"].tolist() == [2, 4]
    assert traj.runs[3].v == 6.0


def test_an_exception_of_a_call_is_the_callers():
    @experiment(vectorized=True)
    def f(x):
        raise ZeroDivisionError("as it is")

    with pytest.raises(ZeroDivisionError, match="as it is"):
        simkit.call(f, x=1)
    with pytest.raises(simkit.SimkitError, match="one value"):
        simkit.call(experiment(vectorized=True)(lambda x: 1), x=1)


# Global generators


DRAWS = """
import numpy as np
from simkit import experiment, explore

@experiment{options}
@explore(x=np.arange(20.0))
def f(x):
    return x + np.random.random(np.shape(x))
"""


def test_runs_that_draw_from_global_generators_are_calls_of_their_own(project):
    project.file("sim_a.py", DRAWS.format(options="(vectorized=True)"))
    project.file("sim_b.py", DRAWS.format(options=""))
    said = project.ok("sim_a.py", "--seed", "7", "--output", "together.h5").out
    assert "draws from numpy.random, which can be seeded for one run only" in said
    project.ok("sim_b.py", "--seed", "7", "--output", "alone.h5")
    together, alone = project.open("together.h5"), project.open("alone.h5")
    assert together["result"].tolist() == alone["result"].tolist()
    assert together.seeds.tolist() == alone.seeds.tolist()


ENDS = """
import os
import signal
import time

import numpy as np
from simkit import experiment, explore

@experiment(vectorized=True)
@explore(x=np.arange(60))
def dies(x):
    if (x == 37).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return x

@experiment(vectorized=True, timeout=1)
@explore(x=np.arange(24))
def hangs(x):
    if (x == 13).any():
        time.sleep(600)
    return x
"""


@pytest.mark.parametrize(("name", "culprit", "status"), [("dies", 37, "crashed"), ("hangs", 13, "timeout")])
def test_a_call_that_ends_its_process_is_halved(project, name, culprit, status):
    project.file("sim_a.py", ENDS)
    assert project.simkit(f"sim_a.py::{name}", "-n", "2").code == 1
    traj = project.open(f"{name}-001")
    assert np.flatnonzero(traj.status != "done").tolist() == [culprit]
    assert traj.status[culprit] == status
    done = np.delete(np.arange(len(traj)), culprit)
    assert traj["result"][done].tolist() == done.tolist()


BEFORE = """
import numpy as np
from simkit import experiment, explore

@experiment
@explore(x=np.arange(5.0))
def f(x, k=2):
    return {"v": np.sqrt(x) * k}
"""


def test_the_decorator_is_no_change_of_the_code(project):
    project.file("sim_a.py", BEFORE)
    project.ok("-n", "0")
    together = BEFORE.replace("@experiment", "@experiment(vectorized=True)").replace("5.0", "40.0")
    project.file("sim_a.py", together)
    assert "f-001.h5   40 of 40 runs" in project.ok("-n", "1").out
    project.file("sim_a.py", BEFORE.replace("5.0", "50.0"))
    project.ok("-n", "0")
    traj = project.open("f-001")
    assert traj["v"].tolist() == (np.sqrt(np.arange(50.0)) * 2).tolist()
    assert not project.has("results/f-002.h5")
    project.ok("verify", "results/f-001.h5")


def test_a_strategy_is_answered_by_calls_of_many(project):
    text = """
    import numpy as np
    from simkit import adaptive, experiment, explore

    def climb(rng, run, ngen=4):
        best = 0.0
        for _ in range(ngen):
            x = best + rng.standard_normal(30)
            results = yield explore(x=x)
            best = float(x[np.argmin(results["z"])])
            run.append(best=best)

    @experiment(vectorized=True)
    @adaptive(climb)
    def f(x):
        if (x > 2).any():
            raise ValueError("too far")
        return {"z": (x - 1) ** 2}
    """
    project.file("sim_a.py", text)
    assert project.simkit("-n", "2").code in (0, 1)
    traj = project.open("f-001")
    done = traj.status == "done"
    assert len(traj) == 120
    assert (done == (traj["x"] <= 2)).all()
    assert np.allclose(traj["z"][done], (traj["x"][done] - 1) ** 2)


def test_a_loop_of_ones_own_and_runs_that_are_tried_again(tmp_path):
    tried = []

    @experiment(vectorized=True, retries=1)
    def f(x):
        tried.append(x.tolist())
        if (x == 3).any() and tried.count([3]) < 2:
            raise OSError("once more")
        return {"v": x * 2}

    with simkit.start(f, output=tmp_path / "a.h5") as study:
        assert study.run(explore(x=[1, 2, 3, 4]))["v"].tolist() == [2, 4, 6, 8]
        assert study.run(explore(x=[5, 6]))["v"].tolist() == [10, 12]
    assert tried.count([3]) == 2
    assert (simkit.open(tmp_path / "a.h5").status == "done").all()


def test_warnings_memory_and_exits_of_a_call(warned):
    def f(x):
        if (x == 4).any():
            raise SystemExit(3)
        if len(x) > 8:
            raise MemoryError("too many at once")
        return {"v": x}

    traj, failed = warned(f, explore(x=np.arange(16)))
    assert failed == [4]
    assert "SystemExit: 3" in traj.error(4)
    assert (traj["v"][[*range(4), *range(5, 16)]] == [*range(4), *range(5, 16)]).all()
