"""Errors say where, in the user's code, and which names were meant."""

from __future__ import annotations

import os
from pathlib import Path

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


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("{here}/a/b.h5", "a/b.h5"),
        ("a/b.h5", "a/b.h5"),
        ("./a/../b.h5", "b.h5"),
        ("../here/b.h5", "b.h5"),
        ("..b.h5", "..b.h5"),
        ("{here}/..data/b.h5", "..data/b.h5"),
        ("{here}", "{here}"),
        (".", "{here}"),
        ("..", "{above}"),
        ("../c.h5", "{above}/c.h5"),
        ("{above}/here2/c.h5", "{above}/here2/c.h5"),
        (Path("a", "b.h5"), "a/b.h5"),
    ],
)
def test_paths_are_shown_as_they_would_be_typed(tmp_path, monkeypatch, path, shown):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    places = {"here": here, "above": tmp_path}
    given = path if isinstance(path, Path) else path.format(**places)
    assert Path(shown_path(given)) == Path(shown.format(**places))
    assert os.path.isabs(shown_path(given)) == shown.startswith("{")


def test_a_path_that_can_not_be_seen_from_here_is_shown_as_a_whole(tmp_path, monkeypatch):
    def no_way(path):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", no_way)
    assert shown_path(tmp_path / "b.h5") == str(tmp_path / "b.h5")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that somebody stands in")
def test_a_path_is_shown_from_a_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert [shown_path(tmp_path / "b.h5"), shown_path("c.h5")] == [str(tmp_path / "b.h5"), "c.h5"]


@pytest.mark.parametrize(
    ("name", "known", "best"),
    [
        ("widht", ["height", "width"], ["width"]),
        ("TAU", ["tau", "gain"], ["tau"]),
        ("tau", ["Tau", "tau"], ["Tau"]),
        ("nothing", ["x", "y"], []),
        ("mu", ["mus", "server.mu"], ["server.mu"]),
        ("Mu", ["model.server.mu", "x"], ["model.server.mu"]),
        ("server.nu", ["server.mu", "nu"], ["server.mu"]),
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
