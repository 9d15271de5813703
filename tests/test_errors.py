"""Errors say where, in the user's code, and which names were meant."""

from __future__ import annotations

import os

import pytest

import simkit
from simkit.errors import caller, did_you_mean, listed, location, nearest, paragraphs, shown_path


def test_a_place_is_the_line_of_the_user_who_called():
    with pytest.raises(simkit.SimkitError) as error:
        simkit.explore(x=[1], y=[1, 2])
    line = error.traceback[0].lineno + 1
    assert str(error.value).startswith(f"{shown_path(__file__)}:{line}: ")
    assert caller() == f"{shown_path(__file__)}:{caller.__globals__['sys']._getframe().f_lineno}"


def test_functions_and_classes_have_a_place_and_other_things_a_repr():
    assert location(test_functions_and_classes_have_a_place_and_other_things_a_repr).startswith(
        f"{shown_path(__file__)}:"
    )
    assert location(type(simkit.product(x=[1]))).endswith(f":{location(simkit.Space).rpartition(':')[2]}")
    assert location(len) == repr(len)


def test_paths_are_shown_as_they_would_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "a" / "b.h5") == os.path.join("a", "b.h5")
    assert shown_path(tmp_path.parent / "c.h5") == str(tmp_path.parent / "c.h5")


@pytest.mark.parametrize(
    ("name", "known", "best"),
    [
        ("widht", ["height", "width"], ["width"]),
        ("TAU", ["tau", "gain"], ["tau"]),
        ("tau", ["Tau", "tau"], ["Tau"]),
        ("nothing", ["x", "y"], []),
    ],
)
def test_the_nearest_name_is_suggested(name, known, best):
    assert nearest(name, known, 1) == best
    assert did_you_mean(name, known) == (f"; did you mean {best[0]!r}?" if best else "")


def test_names_are_listed_with_the_closest_first_and_not_without_end():
    assert listed("gian", ["zz", "a", "gain"]) == "gain, a, zz"
    assert listed("x", []) == "none"
    assert listed("q", [f"n{i:02}" for i in range(30)]).endswith("n19, … (10 more)")


def test_details_stand_below_a_headline():
    assert paragraphs(["what", "why", "a\nb"]) == "what\n    why\n    a\n    b"
