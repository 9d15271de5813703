"""What stands in the file after runs of every kind, read by simkit and by plain h5py."""

from __future__ import annotations

import linecache
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

import simkit
from simkit import product
from simkit.declare.annotations import Note
from simkit.record.columns.layout import read
from simkit.record.facts import clean
from simkit.record.file.store import Store
from simkit.record.writer import Writer
from simkit.values.batch import Batch, Status
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode


@pytest.fixture
def record(tmp_path):
    """Runs whose results are the given ones, in this order."""

    def run(results):
        def f(i):
            if isinstance(results[i], Exception):
                raise results[i]
            return results[i]

        return simkit.run(f, product(i=range(len(results))), output=tmp_path / "f.h5")

    return run


def test_a_type_that_widens_loses_nothing(record):
    traj = record([{"z": 1}, {"z": 2}, {"z": 2.5}, {"z": 2**53 + 1}])
    assert [run.z for run in traj] == [1, 2, 2.5, 2**53 + 1]
    assert [type(run.z) for run in traj] == [int, int, float, int]


def test_a_shape_that_changes_loses_nothing(record):
    shapes = [(2,), (2,), (3,), (0,), (2, 2), ()]
    traj = record([{"z": np.ones(shape)} for shape in shapes])
    assert [run.z.shape for run in traj] == shapes


def test_runs_of_other_results_lack_the_name(record):
    traj = record([{"a": 1.5}, {"b": 2}, {"a": 3.5, "b": 4}, {}, None])
    np.testing.assert_array_equal(traj["a"], [1.5, np.nan, 3.5, np.nan, np.nan])
    assert traj["b"].mask.tolist() == [True, False, False, True, True]
    assert traj.status.tolist() == ["done"] * 5
    with pytest.raises(AttributeError, match="run 1 has no 'a': its status is done"):
        _ = traj.runs[1].a


def test_a_name_that_is_leaf_in_one_run_and_group_in_another_fails_the_later_one(record):
    traj = record([{"a": 1}, {"a.b": 2}, {"a": 3}])
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert "'a' is a leaf and, through 'a.b', a group in other runs" in traj.error(1)
    assert traj["a"].compressed().tolist() == [1, 3]


def test_names_that_differ_only_beyond_the_dot_are_neighbours(record):
    traj = record([{"a.b": 1, "a.c.d": 2, "ab": 3}])
    assert (traj.runs[0].a.b, traj.runs[0].a.c.d, traj.runs[0].ab) == (1, 2, 3)


def test_dictionaries_of_varying_keys_come_back(record):
    values = [{"d": {"a": 1}}, {"d": {"b": 2}}, {"d": {}}, {"d": {"two words": 3, 4: 5}}]
    assert [{"d": run.d} for run in record(values)] == values


def test_a_failed_run_keeps_its_parameters_and_traceback(record):
    traj = record([{"z": 1}, ValueError("no\0 \ud800 way"), {"z": 3}])
    assert traj["i"].tolist() == [0, 1, 2]
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert "ValueError: no\\x00 \\ud800 way" in traj.error(1)
    assert traj.error(0) == ""


def test_one_name_is_one_dataset_whose_row_is_the_run(record, tmp_path):
    record([{"z": 1.5}, {"z": 2.5}]).close()
    with h5py.File(tmp_path / "f.h5", "r") as file:
        root = file["f"]
        assert list(root) == ["parameters", "results", "runs", "info"]
        assert root["results/z"][:].tolist() == [1.5, 2.5]
        assert root["parameters/i"][:].tolist() == [0, 1]
        assert root["runs/status"][:].tolist() == [1, 1]
        words = h5py.check_enum_dtype(root["runs/status"].dtype)
        assert words == {"pending": 0, "done": 1, "failed": 2, "timeout": 3, "crashed": 4}
        assert root.attrs["simkit_format"] == 1
        assert root["info/001"].attrs["python"]


def test_a_constant_is_its_value_with_comment_unit_and_origin(study, tmp_path):
    text = """
        from typing import Annotated
        from simkit import Unit

        def f(x, tau: Annotated[float, "time constant", Unit("ms")] = 2.5, name="a", pair=(1, "b"), day=None):
            return x
        """
    traj = study.run(text, space=product(x=[1]))
    assert traj.constants() == {"tau": 2.5, "name": "a", "pair": (1, "b"), "day": None}
    about = traj.describe("tau")
    assert (about.comment, about.unit, about.constant) == ("time constant", "ms", True)
    assert about.origin == "default of experiment f (sim_a.py:5)"
    with h5py.File(traj.path, "r") as file:
        tau = file["f/parameters/tau"]
        assert (tau[()], tau.shape, bool(tau.attrs["constant"])) == (2.5, (), True)


@pytest.mark.parametrize(
    "value", [np.zeros((2, 3)), np.array([]), "é", [1, [2.5]], {"a": {"b": 1}}, np.float16(1), b"\0", 2**80]
)
def test_a_constant_of_any_type_comes_back(tmp_path, value):
    def f(x=value):
        return 1

    constant = simkit.run(f, output=tmp_path / "f.h5").parameters.x
    assert type(constant) is type(value)
    assert repr(constant) == repr(value)


def test_constants_and_points_are_committed_before_the_first_run(tmp_path):
    path = tmp_path / "f.h5"
    seen = []

    def f(x, n=3):
        with h5py.File(path, "r") as file:
            seen.append(
                (file["f/parameters/n"][()], file["f/parameters/x"][:].tolist(), file["f/runs/status"][0])
            )

    simkit.run(f, product(x=[1.5, 2.5]), output=path, check=True)
    assert seen[0] == (3, [1.5, 2.5], 0)


def test_notes_and_trials_are_recorded(tmp_path):
    def f(x, run):
        run.note(f"trial {run.trial}")
        return x

    traj = simkit.run(f, product(x=[1]).repeat(3), output=tmp_path / "f.h5")
    assert traj["trial"].tolist() == [0, 1, 2]
    assert traj.notes(2) == ["trial 2"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain\n\ttext é", "plain\n\ttext é"),
        ("a\0b", "a\\x00b"),
        ("\ud800", "\\ud800"),
        ("", ""),
        ("𝄞", "𝄞"),
    ],
)
def test_texts_are_kept_as_hdf5_can_hold_them(text, kept):
    assert clean(text) == kept


# The writer by itself


def batch(runs, status=None, **results):
    n = len(runs)
    done = np.full(n, Status.DONE, "u1") if status is None else np.array(status, "u1")
    columns = {name: encode(values) for name, values in results.items()}
    return Batch(np.array(runs), done, np.arange(n) * 1.0, np.ones(n, "f4"), results=columns)


@pytest.fixture
def writer(tmp_path):
    store = Store(tmp_path / "f.h5")
    made = Writer(store, "f", 6)
    made.describe({"node_id": "sim_a.py::f", "root_seed": "1", "doc": "", "fingerprint": "{}"})
    yield made
    store.close()


def test_batches_may_come_in_any_order(writer, tmp_path):
    for runs in ([4, 5], [0], [2, 3]):
        writer.put(batch(runs, z=[10 * run for run in runs]))
    writer.commit()
    traj = simkit.open(tmp_path / "f.h5")
    assert traj["z"].tolist() == [0, None, 20, 30, 40, 50]
    assert traj.status.tolist() == ["done", "pending", "done", "done", "done", "done"]


def test_what_is_put_counts_with_the_commit(writer, tmp_path):
    writer.put(batch([0], z=[1]))
    writer.commit()
    writer.put(batch([1], z=[2]))
    with simkit.open(tmp_path / "f.h5") as traj:
        assert traj.status.tolist()[:2] == ["done", "pending"]
    writer.commit()
    with simkit.open(tmp_path / "f.h5") as traj:
        assert traj["z"].tolist()[:2] == [1, 2]


def test_a_name_that_turns_up_late_is_absent_in_earlier_runs(writer, tmp_path):
    writer.put(batch([0, 1], z=[1, 2]))
    writer.put(batch([2, 3], z=[3, 4], late=[5, 6]))
    writer.put(batch([4], z=[7]))
    writer.commit()
    assert simkit.open(tmp_path / "f.h5")["late"].tolist() == [None, None, 5, 6, None, None]


def test_a_constant_is_written_once(writer):
    writer.constants({"a.b": (1, Note(), "here")})
    writer.constants({"a.b": (2, Note(), "there")})
    assert writer.root["parameters/a/b"][()] == 1
    assert writer.root["parameters/a/b"].attrs["origin"] == "here"


def test_nothing_to_commit_is_never_due(writer):
    assert not writer.is_due()
    writer.put(batch([0], z=[np.zeros(9_000_000)]))
    assert writer.is_due()
    writer.commit()
    assert not writer.is_due()


def test_runs_and_their_points_may_come_while_others_are_recorded(tmp_path):
    store = Store(tmp_path / "f.h5")
    writer = Writer(store, "f", 0)
    writer.session({})
    for start, values in ((0, [1, 2, 3]), (3, [4.5]), (4, ["five", None])):
        writer.grow(start + len(values))
        writer.points(start, {"x": encode(values)})
        runs = [start + i for i in range(len(values))]
        writer.put(batch(runs, z=[10 * run for run in runs]))
        writer.commit()
    root = writer.root
    assert root["runs/status"][:].tolist() == [Status.DONE] * 6
    assert root["results/z"][:].tolist() == [0, 10, 20, 30, 40, 50]
    column = read(root["parameters"], "x", slice(0, 6))
    assert decode(column) == [1, 2, 3, 4.5, "five", None]
    store.close()


def test_rows_that_were_grown_and_not_run_are_absent(writer):
    writer.put(batch(range(6), z=[1, 2, 3, 4, 5, 6]))
    writer.grow(9)
    writer.put(batch([7], z=[7.5]))
    column = read(writer.root["results"], "z", slice(0, 9), writer.table.status == Status.DONE)
    assert decode(column) == [1, 2, 3, 4, 5, 6, ABSENT, 7.5, ABSENT]


def test_runs_far_apart_are_written_without_what_lies_between_them(tmp_path):
    store = Store(tmp_path / "f.h5")
    writer = Writer(store, "f", 100_000)
    writer.describe({"node_id": "sim_a.py::f", "root_seed": "1", "doc": "", "fingerprint": "{}"})
    writer.put(batch([5], z=[np.full(1000, 5.0)]))
    tracemalloc.start()
    writer.put(batch([0, 7, 99_999], z=[np.full(1000, float(run)) for run in (0, 7, 99_999)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    store.close()
    assert peak < 10_000_000
    with simkit.open(tmp_path / "f.h5") as traj:
        assert [traj.runs[run].z[0] for run in (0, 5, 7, 99_999)] == [0, 5, 7, 99_999]


# Parameters that come and go while a trajectory is continued


HEAD = "from simkit import experiment, parameter\n"
HAVING = {
    "nothing": "def f(x):\n    return {'r': x}\n",
    "k=5": "def f(x, k=5):\n    return {'r': x * k}\n",
    "k=7": "def f(x, k=7):\n    return {'r': x * k}\n",
    "text": "def f(x, k='a'):\n    return {'r': x}\n",
    "computed": "def f(x, k):\n    return {'r': x * k}\n",
    "group": "def f(x, g):\n    return {'r': x * g.k}\n",
}


def recorded_k(run):
    try:
        return run["k"]
    except LookupError:
        return None


PROVIDERS = {
    "computed": "@parameter\ndef k(x):\n    return x * 1.5\n",
    "group": "@parameter\nclass g:\n    k: int = 3\n",
}


def session(study, number, having):
    """One more point with this code, into the same trajectory; the module is imported as in a new process."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(study.root)):
            del sys.modules[name]
    linecache.clearcache()
    text = HEAD + PROVIDERS.get(having, "") + "@experiment\n" + HAVING[having]
    target = {"into": study.root / "f.h5"} if number else {"output": study.root / "f.h5"}
    return study.run(text, space=simkit.explore(x=list(range(1, number + 2))), **target)


@pytest.mark.parametrize(
    ("sessions", "k"),
    [
        (["nothing", "k=5"], [None, 5]),
        (["k=5", "nothing"], [5, None]),
        (["nothing", "k=5", "nothing", "k=7"], [None, 5, None, 7]),
        (["k=5", "k=7", "nothing"], [5, 7, None]),
        (["nothing", "text"], [None, "a"]),
        (["k=5", "computed"], [5, 3.0]),
        (["computed", "k=5"], [1.5, 5]),
        (["nothing", "computed", "k=5", "nothing", "computed"], [None, 3.0, 5, None, 7.5]),
        (["k=5", "text", "nothing"], [5, "a", None]),
    ],
)
def test_a_parameter_that_runs_did_not_have_is_absent_in_them(study, sessions, k):
    for number, having in enumerate(sessions):
        with session(study, number, having) as traj:
            assert traj["x"].tolist() == list(range(1, number + 2))
            assert [recorded_k(run) for run in traj.runs] == k[: number + 1]


def test_a_group_that_runs_did_not_have_is_absent_in_them(study):
    for number, having in enumerate(["nothing", "group", "nothing"]):
        with session(study, number, having) as traj:
            shown = traj["r"].tolist()
            groups = traj["g.k"].tolist() if number else []
    assert shown == [1, 6, 3]
    assert groups == [None, 3, None]
