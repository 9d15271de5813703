"""Which failures are alike, and what is said of them."""

from __future__ import annotations

import pytest

from simkit.inform.failures import FailureKinds, raised, ranges


def traceback_of(error, file="/a/sim_x.py", line=12):
    return (
        f'Traceback (most recent call last):\n  File "{file}", line {line}, in f\n    g()\n    ^^^\n{error}'
    )


CHAIN = traceback_of("KeyError: 1") + "\n\nDuring handling …\n\n" + traceback_of("ValueError: 2", line=30)


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        (traceback_of("ValueError: no luck"), "ValueError: no luck", "/a/sim_x.py:12"),
        (traceback_of("ValueError: two\n  lines"), "ValueError: two", "/a/sim_x.py:12"),
        (traceback_of("ValueError: 3\n(seed is an int below 2**63)"), "ValueError: 3", "/a/sim_x.py:12"),
        (CHAIN, "ValueError: 2", "/a/sim_x.py:30"),
        ("stopped after 1.5 s: its timeout is 1 s", "stopped after 1.5 s: its timeout is 1 s", ""),
        ("", "", ""),
    ],
)
def test_what_was_raised_and_where(text, words, place):
    assert raised(text) == (words, place)


def kinds_of(*failures):
    kinds = FailureKinds()
    for run, (status, text) in enumerate(failures):
        kinds.take(run, status, text)
    return [kind.line("sim_x.py::f") for kind in kinds]


def test_those_of_one_type_and_place_are_one_kind():
    same, other = traceback_of("ValueError: no luck"), traceback_of("ValueError: no luck", line=13)
    assert kinds_of(*[("failed", same)] * 2000, ("failed", other)) == [
        "FAILED sim_x.py::f  2,000 × ValueError: no luck, same every time, runs 0–1999",
        "FAILED sim_x.py::f[2000]  ValueError at /a/sim_x.py:13",
    ]


def test_the_words_are_left_out_where_they_differ():
    texts = [("failed", traceback_of(f"ValueError: {i}")) for i in range(3)]
    assert kinds_of(*texts) == ["FAILED sim_x.py::f  3 × ValueError at /a/sim_x.py:12, runs 0–2"]


def test_what_is_no_exception_is_told_by_its_words_but_for_numbers():
    stopped = [("timeout", f"stopped after {1.5 + i} s: its timeout is 1 s") for i in range(2)]
    assert kinds_of(*stopped, ("crashed", "the worker that executed this run died: SIGSEGV")) == [
        "TIMEOUT sim_x.py::f  2 × stopped after 1.5 s, runs 0–1",
        "CRASHED sim_x.py::f[2]  the worker that executed this run died",
    ]


def test_runs_in_words():
    assert ranges([3]) == "run 3"
    assert ranges([4, 3, 5, 9]) == "runs 3–5, 9"
    assert ranges(list(range(0, 20, 2))) == "runs 0, 2, 4, 6, 8 …"
