"""How far a study is, and how numbers look."""

from __future__ import annotations

import numpy as np
import pytest

from simkit.inform.progress import Progress, assignments, briefly, counted, duration, rule, size, tally


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (2100, "2.1 kB"),
        (21_000, "21 kB"),
        (1_500_000, "1.5 MB"),
        (7 * 10**12, "7.0 TB"),
    ],
)
def test_sizes_have_two_or_three_digits(nbytes, text):
    assert size(nbytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.21, "0.21 s"), (12.4, "12 s"), (340, "5:40"), (7540, "2:05:40"), (59.999, "60 s")],
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


def test_values_stand_on_one_line():
    assert briefly(np.float64(1.5)) == "1.5"
    assert briefly(np.arange(3)) == "array([0, 1, 2])"
    assert briefly("a\nb") == r"'a\nb'"
    assert briefly(np.arange(1000.0)) == "array float64 (1000,)"
    assert briefly("word " * 9, 20) == "'word word word wor…"
    assert assignments({"x": np.float32(1), "name": "a"}) == "x=1.0  name='a'"


def test_one_is_no_plural_and_titles_are_as_wide_as_the_page():
    assert (counted(1, "run"), counted(12, "run")) == ("1 run", "12 runs")
    assert rule("done", width=12) == "=== done ==="


def test_counts_stand_in_the_order_of_the_statuses_whichever_came_first():
    assert tally({"after failed": 1, "crashed": 2, "failed": 5, "done": 45}) == (
        "45 done, 5 failed, 2 crashed, 1 after failed"
    )
    assert tally({}) == ""


def test_the_numbers_of_a_study_are_those_of_its_record(project):
    project.file(
        "sim_f.py",
        "from simkit import experiment, product\n@experiment\n@product(x=range(50))\n"
        "def f(x):\n    return 1 / (x % 10)\n",
    )
    assert "45 done, 5 failed" in project.simkit("-n", "2").out
    again = project.simkit("-n", "0").out
    assert "5 failed" in again
    assert (project.open("f-001").status == "done").sum() == 45


@pytest.mark.parametrize(
    ("crew", "words"),
    [((4, 4), ["4/4 busy"]), ((4, 1), ["1/4 busy"]), ((1, 0), ["0/1 busy"]), ((1, 1), []), ((0, 0), [])],
)
def test_workers_that_live_and_those_that_have_something_to_do_are_said_while_runs_are_left(crew, words):
    progress = Progress(plan=None, total=10, target=None, size=10, crew=lambda: crew)
    assert [part for part in progress.pace.split("  ") if "busy" in part] == words
    progress.counts["done"] = 10
    assert "busy" not in progress.pace
