"""What travels to a worker: a job without points, and declared objects as their numbers."""

from __future__ import annotations

import pickle

import attrs
import dill
import numpy as np
import pytest

import simkit
from simkit.declare.space import product
from simkit.execute.job import Declared, portable
from simkit.execute.processes.worker import packed, unpacked
from simkit.testing.engines import job_of, squares
from simkit.values.batch import Portion


class Odd:
    """No two of these are equal, and none can be pickled by its name."""

    def __reduce__(self):
        raise TypeError("stay here")


def test_declared_objects_travel_as_numbers():
    first, second = Odd(), Odd()
    space = simkit.explore(x=[first, second, first, "text", 3], y=[1.0, 2.0, 3.0, 4.0, 5.0])
    declared = Declared.of(space)
    assert declared.elements == [first, second, first]
    portion = Portion(np.array([0, 1, 2, 4]), space.at(np.array([0, 1, 2, 4])))
    back = unpacked(declared.loads(declared.dumps(packed(portion))))
    assert back.points["x"].elements() == [first, second, first, 3]
    assert back.points["y"].elements() == [1.0, 2.0, 3.0, 5.0]
    assert back.runs.tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.5]), np.array(3), np.empty((0, 2), "f4"), np.arange(6, dtype="q").reshape(2, 3),
        np.arange(6).reshape(2, 3).T, np.arange(3, dtype=">i2"), np.array([True]), np.array([1j]),
        np.array(["ab"]), np.array(["2026-01-01"], "M8[D]"), np.array([(1, 2.0)], "i4,f8"),
        np.array(["2026-01-01", "NaT"], ">M8[D]"), np.arange(6).astype(">m8[us]").reshape(2, 3).T,
        np.arange(20_000).astype(">M8[s]"), np.array(5).astype(">m8[25ns]"),
        np.zeros(600), np.zeros(99)[::3],
        np.array([object, None, 1]), np.array([1.0], np.longdouble), np.array([1], np.dtype("i4", metadata={"of": 1})),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)  # fmt: skip
@pytest.mark.parametrize("elements", [(), (Odd(),)])
def test_arrays_arrive_as_they_are(array, elements):
    locked = array.copy()
    locked.flags.writeable = False
    declared = Declared(elements)
    back, still = declared.loads(declared.dumps([array, locked]))
    assert (back.dtype, back.dtype.char, back.shape) == (array.dtype, array.dtype.char, array.shape)
    assert back.tolist() == array.tolist()
    assert back.flags.writeable
    as_numbers = locked.view(">i8") if array.dtype.str[:2] in (">M", ">m") else locked
    assert still.flags.writeable == pickle.loads(pickle.dumps(as_numbers, 5)).flags.writeable


def test_a_subclass_of_arrays_arrives_as_one():
    masked = np.ma.MaskedArray([1.0, 2.0], [False, True])
    back = Declared().loads(Declared().dumps({"z": masked}))["z"]
    assert type(back) is np.ma.MaskedArray
    assert back.mask.tolist() == [False, True]


@pytest.mark.parametrize("dtype", [">M8[s]", "<M8[s]", ">m8[D]", ">f8", ">i2", ">U3"])
@pytest.mark.parametrize("how", ["plain", "with elements", "with code"])
def test_masked_arrays_keep_their_byte_order(dtype, how):
    """By each way in which simkit pickles; NumPy's own, and dill's, lose that of times."""
    from simkit.execute.job import _with_code

    values = np.array([1, 2, 3]).astype(dtype.replace(">", "<")).astype(dtype)
    masked = np.ma.MaskedArray(values, [False, True, False], fill_value=values[2])
    declared = Declared((Odd(),) if how == "with elements" else ())
    message = {"bare": values, "in": [masked], "free": np.ma.MaskedArray(values)}
    back = dill.loads(_with_code(message)) if how == "with code" else declared.loads(declared.dumps(message))
    (other,) = back["in"]
    assert {array.dtype.str for array in (back["bare"], other, back["free"])} == {dtype}
    assert (back["bare"] == values).all()
    assert (type(other), other.mask.tolist()) == (np.ma.MaskedArray, [False, True, False])
    assert other.data.tolist() == values.tolist()
    assert other.fill_value == values[2]
    assert not np.ma.getmaskarray(back["free"]).any()


def test_what_runs_share_keeps_its_byte_order_on_the_way_to_a_spawned_worker():
    times = np.array(["2026-01-01", "NaT"], "M8[s]").astype(">M8[s]")
    shared = {"p": {"times": times, "masked": [np.ma.MaskedArray(times, [True, False])]}}
    job = attrs.evolve(job_of(squares, product(x=[0.0])), shared=shared)
    arrived = portable(job, Declared())()[0].shared["p"]
    assert [array.dtype.str for array in (arrived["times"], arrived["masked"][0])] == [">M8[s]"] * 2
    assert arrived["times"].tolist() == times.tolist()
    assert arrived["masked"][0].mask.tolist() == [True, False]


def test_a_space_of_a_million_points_is_not_sent_to_a_spawned_worker():
    space = product(x=np.linspace(0, 1, 1000), label=[str(i) for i in range(1000)])
    job = job_of(squares, space)
    source = portable(job, Declared.of(space))
    small = portable(job_of(squares, product(x=[0.0], label=["a"])), Declared())
    assert len(pickle.dumps(source)) < len(pickle.dumps(small)) + 100


def test_a_portable_job_is_made_again_with_its_values_and_names():
    job = job_of(squares, product(x=[0.0]), seeds=np.array([7, 8]), most_failures=3)
    again, declared = pickle.loads(pickle.dumps(portable(job, Declared())))()
    assert again.plan.node_id == job.plan.node_id
    assert again.plan.space.names == ("x",)
    assert len(again.plan.space) == 0
    assert (again.root, again.shared, again.parameters) == (job.root, job.shared, job.parameters)
    assert (again.seeds.tolist(), again.most_failures, list(declared.elements)) == ([7, 8], 3, [])


def test_names_that_some_points_lack_are_known_to_be_optional():
    job = job_of(squares, product(x=[1.0]) + product(x=[2.0], offset=[3.0]))
    again, _ = portable(job, Declared())()
    assert again.plan.space.optional == {"offset"}
    assert [node.kind for node in again.plan.parameters.values()] == ["explored", "constant", "explored"]


SCRIPT = """
import threading
import attrs
import simkit

@attrs.frozen
class Mode:
    name: str

FAST = Mode("fast")

def f(mode, x):
    return {"y": 2 * x if mode == FAST else x, "known": isinstance(mode, Mode)}

if THREAD:  # then processes are spawned
    threading.Thread(target=threading.Event().wait, daemon=True).start()
traj = simkit.run(f, simkit.product(mode=[FAST, Mode('slow')], x=[1, 2]), workers=2)
print(traj["y"].tolist(), traj["known"].tolist(), traj.info.sessions[-1]["engine"])
"""


@pytest.mark.parametrize(("thread", "method"), [("False", "fork"), ("True", "spawn")])
def test_objects_of_a_script_are_of_its_own_classes_in_its_workers(project, thread, method):
    """Pickle would look for the class in a ``__main__`` that a worker does not have."""
    project.file("script.py", SCRIPT.replace("THREAD", thread))
    result = project.python("script.py")
    assert result.out == f"[2, 4, 1, 2] [True, True, True, True] {method}\n", result.err
