"""Batches and the checkpoints of runs that are not done."""

from __future__ import annotations

import pickle

import attrs
import numpy as np
import pytest

from simkit.values.batch import Batch, Checkpoint, Checkpoints, Status, one_batch
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode


def checkpoint(run, state, *, first=False, **rows):
    """A checkpoint as a run makes it: a state, and the rows that each series got since the last one."""
    told = encode([{"state": state, "added": {}}])
    return Checkpoint(run, told, {name: encode(new) for name, new in rows.items()}, first)


def restored(checkpoints, run):
    state, _, series, *_ = checkpoints.known[run].values()
    return state, series


def test_the_latest_state_counts_and_rows_add_up():
    kept = Checkpoints()
    kept.take(checkpoint(3, {"step": 1}, first=True, v=[1.0, 2.0]))
    kept.take(checkpoint(3, {"step": 2}, v=[3.0], w=["a"]))
    kept.take(checkpoint(5, {"step": 9}, first=True))
    assert restored(kept, 3) == ({"step": 2}, {"v": [1.0, 2.0, 3.0], "w": ["a"]})
    assert restored(kept, 5) == ({"step": 9}, {})


def test_an_attempt_that_begins_anew_forgets_the_rows_of_the_last_one():
    kept = Checkpoints()
    kept.take(checkpoint(3, {"step": 1}, first=True, v=[1.0]))
    kept.take(checkpoint(3, {"step": 1}, first=True, v=[7.0]))
    assert restored(kept, 3) == ({"step": 1}, {"v": [7.0]})


def test_runs_that_are_done_have_none():
    kept = Checkpoints()
    kept.take(checkpoint(3, 1, first=True))
    kept.forget([3, 4])
    assert kept.known == {}


@pytest.mark.parametrize("status", Status)
def test_a_status_is_a_number_in_the_file_and_a_word_for_people(status):
    assert np.array([status]).astype("u1")[0] == status.value
    assert Status(status.value).word == status.name.lower()


def test_the_size_of_a_batch_counts_columns_and_logs():
    runs = np.arange(3)
    empty = Batch(runs, np.ones(3, "u1"), np.zeros(3), np.zeros(3, "f4"))
    column = encode([np.zeros(1000)] * 3)
    full = Batch(
        runs,
        np.ones(3, "u1"),
        np.zeros(3),
        np.zeros(3, "f4"),
        {"a": column},
        {"z": column},
        logs={1: "said" * 25},
    )
    assert full.nbytes - empty.nbytes == 2 * column.nbytes + 100
    assert column.nbytes >= 24_000
    assert [row.tolist() for row in decode(column)] == [[0.0] * 1000] * 3


def done(runs, worker, **results):
    n = len(runs)
    return Batch(
        np.array(runs), np.ones(n, "u1"), np.arange(n) * 1.0, np.zeros(n, "f4"), worker=worker,
        results={name: encode(values) for name, values in results.items()}, logs={runs[0]: f"log of {runs[0]}"},
    )  # fmt: skip


def test_small_batches_become_one_in_the_order_of_their_runs():
    batch = one_batch(
        [done([4, 5], 2, z=[4.0, 5.0], a=["d", "e"]), done([1], 1, z=[1.0]), done([3], 2, b=[3])]
    )
    assert batch.runs.tolist() == [1, 3, 4, 5]
    assert batch.worker.tolist() == [1, 2, 2, 2]
    values = {name: [v if v is not ABSENT else None for v in decode(c)] for name, c in batch.results.items()}
    assert values == {"z": [1.0, None, 4.0, 5.0], "a": [None, None, "d", "e"], "b": [None, 3, None, None]}
    assert batch.logs == {4: "log of 4", 1: "log of 1", 3: "log of 3"}
    assert batch.seeds is None


def test_batches_in_order_become_one_in_this_order():
    batch = one_batch([done([1, 2], 1, z=[1.0, 2.0]), done([4], 2, z=[4.0])])
    assert batch.runs.tolist() == [1, 2, 4]
    assert decode(batch.results["z"]) == [1.0, 2.0, 4.0]
    assert batch.results["z"].whole is not None


@pytest.mark.parametrize(
    "values", [[0.5] * 3, [np.zeros(1000)] * 3, ["long" * 100] * 3, [{"a": np.ones(50)}] * 3]
)
def test_no_array_of_a_batch_is_larger_than_it_says(values):
    few = done([1, 2, 3], 1, **{f"z{i}": values for i in range(50)})
    assert encode(values).nbytes <= few.largest < few.nbytes / 10
    many = done(list(range(10_000)), 1, z=[True] * 10_000)
    assert many.largest >= many.runs.nbytes


def test_a_batch_travels_whole_and_is_not_measured_again():
    batch = Batch(
        np.array([3, 5]), np.array([1, 2], "u1"), np.array([7.0, 8.0]), np.array([0.5, 0.25], "f4"),
        {"p": encode([1, 2])}, {"z": encode([[1.0], [2.0, 3.0]])}, np.array([1, 2], "u8"), {5: "Error"}, {3: "log"},
        ((3, "", "note"),), worker=4, again=(5,), warnings=(("name", "text"),),
    )  # fmt: skip
    back = pickle.loads(pickle.dumps(batch, 5))
    for field in attrs.fields(Batch):
        before, after = getattr(batch, field.name), getattr(back, field.name)
        if isinstance(before, np.ndarray):
            assert (after.dtype, after.tolist()) == (before.dtype, before.tolist())
        elif field.name in ("parameters", "results"):
            assert {n: decode(c) for n, c in after.items()} == {n: decode(c) for n, c in before.items()}
        else:
            assert after == before


def test_a_batch_is_done_when_all_of_its_runs_are():
    for status, is_done in (([], True), ([1], True), ([1, 1], True), ([1, 2], False), ([0], False)):
        n = len(status)
        assert Batch(np.arange(n), np.array(status, "u1"), np.zeros(n), np.zeros(n)).is_done == is_done
