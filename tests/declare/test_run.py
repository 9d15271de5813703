from __future__ import annotations

import numpy as np
import pytest
from storable import identical

from simkit import Run, SimkitError
from simkit.declare.run import ManyRuns


def test_a_run_collects_what_is_added():
    run = Run()
    run.add(z=1)
    run.add({"spikes.t": [1.0]}, w="x")
    run.add(**{"spikes.i": [2]})
    assert run.results == {"z": 1, "spikes.t": [1.0], "w": "x", "spikes.i": [2]}


def test_a_run_knows_its_index_and_trial():
    assert (Run(3, trial=1).index, Run(3, trial=1).trial) == (3, 1)
    assert (Run().index, Run().trial) == (0, 0)


def test_adding_a_name_twice_is_an_error_that_suggests_append():
    run = Run(7)
    run.add(z=1)
    with pytest.raises(SimkitError, match="result 'z' was added twice in run 7") as error:
        run.add(z=2)
    assert "run.append()" in str(error.value)
    assert run.results == {"z": 1}


def test_one_bad_name_adds_none_of_its_call():
    run = Run()
    run.add(z=1)
    with pytest.raises(SimkitError):
        run.add(a=1, z=2)
    assert run.results == {"z": 1}


@pytest.mark.parametrize("first", ["add", "append"])
def test_a_name_is_either_added_or_appended(first):
    run = Run()
    second = "append" if first == "add" else "add"
    getattr(run, first)(z=1)
    with pytest.raises(SimkitError, match="'z'"):
        getattr(run, second)(z=2)


@pytest.mark.parametrize(
    ("rows", "series"),
    [
        ([1.0, 2.5], np.array([1.0, 2.5])),
        ([1, 2], np.array([1, 2])),
        ([True, False], np.array([True, False])),
        ([np.float32(1), np.float32(2)], np.array([1, 2], "f4")),
        ([np.zeros(2), np.ones(2)], np.array([[0.0, 0.0], [1.0, 1.0]])),
        ([np.zeros(2), np.ones(3)], [np.zeros(2), np.ones(3)]),
        ([np.zeros(2, "f4"), np.ones(2)], [np.zeros(2, "f4"), np.ones(2)]),
        ([1, 2.0], [1, 2.0]),
        (["a", "b"], ["a", "b"]),
        ([None, 1.0], [None, 1.0]),
        ([2**70, 1], [2**70, 1]),
        ([2**63, -1], [2**63, -1]),
        ([[1], [2]], [[1], [2]]),
    ],
)
def test_appended_rows_of_one_type_and_shape_become_an_array_others_a_list(rows, series):
    run = Run()
    for row in rows:
        run.append(v=row)
    assert identical(run.results["v"], series)


def test_a_row_is_kept_as_it_was_when_it_was_appended():
    run, state = Run(), np.zeros(2)
    for _ in range(3):
        state += 1
        run.append(v=state)
    assert run.results["v"].tolist() == [[1, 1], [2, 2], [3, 3]]


def test_several_series_grow_side_by_side():
    run = Run()
    run.append({"a.b": 1}, c=2.0)
    run.append({"a.b": 3}, c=4.0)
    assert {name: column.tolist() for name, column in run.results.items()} == {"a.b": [1, 3], "c": [2.0, 4.0]}


def test_notes_are_on_the_run_or_on_a_result():
    run = Run()
    run.note("diverged")
    run.note(z="first second only")
    assert run.notes == [("", "diverged"), ("z", "first second only")]


def test_repr_tells_what_is_there():
    run = Run(2)
    assert repr(run) == "<Run 2: no results yet>"
    run.add(z=1)
    assert repr(run) == "<Run 2: z>"


def test_many_runs_take_arrays_and_have_numbers():
    runs = ManyRuns(np.array([3, 4]), np.array([0, 1]))
    values = np.array([1.0, 2.0])
    runs.add({"a.b": [1, 2]}, v=values)
    values[:] = 0  # as it was when it was added
    assert runs.results["v"].tolist() == [1, 2]
    assert runs.results["a.b"] == [1, 2]
    assert (runs.index.tolist(), runs.trial.tolist()) == ([3, 4], [0, 1])
    assert repr(runs) == "<2 runs: a.b, v>"
    assert repr(ManyRuns(np.arange(5000), np.zeros(5000, int))) == "<5,000 runs: no results yet>"
    with pytest.raises(SimkitError, match="result 'v' was added twice"):
        runs.add(v=values)


def test_what_belongs_to_one_run_says_so():
    runs = ManyRuns(np.array([3, 4]), np.array([0, 1]))
    for name in {name for name in dir(Run) if not name.startswith("_")} - {
        "index",
        "trial",
        "results",
        "add",
    }:
        with pytest.raises(
            SimkitError, match=f"run.{name} belongs to one run, and this call computes 2 of them"
        ):
            getattr(runs, name)
    with pytest.raises(AttributeError, match="run has no attribute 'ad': there are index, trial and add"):
        runs.ad()


def test_reports_count_once_a_step_and_nobody_stops_a_run_that_only_collects():
    run = Run()
    assert not run.should_stop()
    run.report(np.float32(0.5), np.int64(1))
    run.report(0.25, 2)
    run.report(7, 2)
    assert run.reports == [(1, 0.5), (2, 0.25)]
    assert not run.should_stop()


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        ("low", 1, "reports 'low', which is no number"),
        (np.ones(2), 1, "which is no number"),
        (None, 1, "reports None, which is no number"),
        (0.5, 1.5, "at step 1.5: give a whole number"),
        (0.5, True, "at step True: give a whole number"),
    ],
)
def test_a_report_is_a_number_at_a_step(value, step, text):
    with pytest.raises(SimkitError, match=text):
        Run(3).report(value, step)
