"""What the merged experiment says of itself: sessions, attempts, notes; a summary does not go along."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

import simkit
from simkit import explore

F = """
from simkit import experiment

@experiment
def f(x=0.0):
    return {"z": x}
"""


TEXT = h5py.string_dtype()


@pytest.fixture
def two(study):
    """``a.h5`` with the points 1 and 2, ``b.h5`` with 3."""
    study.run(F, space=explore(x=[1.0, 2.0]), output="a.h5").close()
    study.run(F, space=explore(x=[3.0]), output="b.h5").close()
    return study


def test_notes_on_the_trajectory_of_all_sources_are_kept(two):
    for file in ("a.h5", "b.h5"):
        with h5py.File(file, "r+") as opened:
            for key, text in (("name", ""), ("text", f"of {file}")):
                data = np.array([text], object)
                opened.create_dataset(f"f/notes/{key}", data=data, dtype=TEXT, maxshape=(None,))
    simkit.merge("m.h5", "a.h5", "b.h5").close()
    with h5py.File("m.h5") as merged:
        assert merged["f/notes/text"].asstr()[:].tolist() == ["of a.h5", "of b.h5"]


def add_summary(file):
    """As `@after` leaves it: a value, its state, a parameter that only it asked for, second names."""
    with h5py.File(file, "r+") as opened:
        root = opened["f"]
        root.create_dataset("summary/mean", data=1.5).attrs.update({"codec": "float", "constant": True})
        root.create_dataset("parameters/limit", data=3).attrs.update(
            {"codec": "int", "constant": True, "after": "tell"}
        )
        root.create_group("after/tell")
        root.create_group("links")["best"] = h5py.SoftLink("/f/summary/mean")
        root["links/column"] = h5py.SoftLink("/f/results/z")


def test_a_summary_tells_of_its_own_file_and_is_left_out(two):
    add_summary("a.h5")
    with pytest.warns(UserWarning, match=r"the summary of a\.h5 tells of that file's runs alone: left out"):
        simkit.merge("m.h5", "a.h5", "b.h5").close()
    with h5py.File("m.h5") as merged:
        assert "summary" not in merged["f"]
        assert "after" not in merged["f"]
        assert list(merged["f/parameters"]) == ["x"]
        assert list(merged["f/links"]) == ["column"]
        assert merged["f/links/column"][:].tolist() == [1.0, 2.0, 3.0]


def test_a_target_keeps_its_own_summary(two):
    add_summary("a.h5")
    with simkit.merge("a.h5", "b.h5") as merged:
        assert merged.names("summary") == ["mean"]
        assert merged.names("parameters") == ["x", "limit"]
        assert merged["z"].tolist() == [1.0, 2.0, 3.0]


def test_session_numbers_go_on_and_attempts_add_up(study):
    bad = F.replace("    return", "    assert x != 2.0\n    return")
    study.run(bad, space=explore(x=[1.0, 2.0]), output="a.h5").close()
    del sys.modules[study.module("sim_a.py").__name__]  # its text changes
    study.run(F, space=explore(x=[3.0]), output="b.h5").close()
    study.run(F, space=explore(x=[3.0, 2.0]), output="b.h5").close()  # a second session
    with pytest.warns(UserWarning, match="other code"):
        simkit.merge("m.h5", "a.h5", "b.h5").close()
    with h5py.File("m.h5") as merged:
        runs = merged["f/runs"]
        assert runs["session"][:].tolist() == [1, 3, 2]
        assert runs["status"][:].tolist() == [1, 1, 1]
        assert runs["attempt"][:].tolist() == [1, 2, 1]
        assert [key for key in merged["f/info"] if key.isdigit()] == ["001", "002", "003"]
        assert runs["source"][:].tolist() == [1, 2, 2]
        assert runs["source_run"][:].tolist() == [0, 1, 0]
        table = merged["f/info/merged"]
        assert table["file"].asstr()[:].tolist() == ["a.h5", "b.h5"]
        assert table["first_session"][:].tolist() == [1, 2]
        assert table["sessions"][:].tolist() == [1, 2]


def test_texts_that_sessions_share_are_there_once(two):
    for file, keys in (("a.h5", "pq"), ("b.h5", "qr")):
        with h5py.File(file, "r+") as opened:
            for key in keys:
                opened.create_dataset(f"f/info/sources/{key}", data=key * 3, dtype=TEXT)
    simkit.merge("m.h5", "a.h5", "b.h5").close()
    with h5py.File("m.h5") as merged:
        store = merged["f/info/sources"]
        texts = {key: store[key].asstr()[()] for key in "pqr"}
        assert texts == {"p": "ppp", "q": "qqq", "r": "rrr"}
        assert len(store) > 3  # and the sources of the study itself, once
        assert [key for key in merged["f/info"] if key.isdigit()] == ["001", "002"]


STEADY = """
import os
from simkit import adaptive, experiment, explore

class Steady:
    def __init__(self, start, n):
        self.points = [start + i for i in range(n)]
        self.heard = []

    def ask(self):
        return {"x": self.points.pop(0)} if self.points else None

    def tell(self, point, results):
        self.heard.append(point["x"])

    def result(self):
        return {"heard": self.heard}

def steady(start=0.0, n=3):
    return Steady(start, n)

@experiment
@adaptive(steady)
def f(x):
    if x == 1.0 and os.path.exists('a-bad-day'):
        raise ValueError(x)
    return {"z": x}
"""
GENERATIONS = """
from simkit import adaptive, experiment, explore

def grow(start=0.0, n=3):
    for i in range(n):
        yield explore(x=[start + i, start + i + 0.5])

@experiment
@adaptive(grow)
def f(x):
    return {"z": x}
"""


def order(file):
    """What stands in the file about who was asked for and told when."""
    with h5py.File(file) as opened:
        runs = opened["f/runs"]
        return {name: runs[name][:].tolist() for name in ("generation", "asked", "told") if name in runs}


def test_only_the_first_source_tells_when_its_strategy_asked_and_was_told(study, merge):
    study.run(GENERATIONS, output="a.h5", set={"n": 2}).close()
    for file, start in (("b.h5", 10.0), ("c.h5", 20.0)):
        study.run(GENERATIONS, output=file, set={"start": start, "n": 2}).close()
    merge("m.h5", "a.h5", "b.h5", "c.h5").close()
    assert order("m.h5") == {
        "generation": [0, 0, 1, 1] * 3,
        "asked": [0, 0, 2, 2] + [-1] * 8,
        "told": [0, 1, 2, 3] + [-1] * 8,
    }


def test_a_merged_trajectory_goes_on_by_the_first_strategy(study, merge):
    study.run(STEADY, output="a.h5").close()
    study.run(STEADY, output="b.h5", set={"start": 10.0}).close()
    merge("m.h5", "a.h5", "b.h5").close()
    assert order("m.h5") == {"asked": [0, 1, 2, -1, -1, -1], "told": [0, 1, 2, -1, -1, -1]}
    with study.run(STEADY, into="m.h5", set={"n": 4}) as more:
        assert more["x"].tolist() == [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 3.0]
        assert more.status.tolist() == ["done"] * 7
        assert list(more.summary.heard) == [0.0, 1.0, 2.0, 3.0]


def test_a_run_that_another_source_completes_keeps_its_place(study, merge):
    study.write("a-bad-day", "")
    study.run(STEADY, output="a.h5").close()
    (study.root / "a-bad-day").unlink()
    study.run(STEADY, output="b.h5", set={"start": 1.0}).close()
    merge("m.h5", "a.h5", "b.h5", duplicates="first").close()
    assert order("m.h5") == {"asked": [0, 1, 2, -1], "told": [0, 1, 2, -1]}
    with simkit.open("m.h5") as merged:
        assert merged["x"].tolist() == [0.0, 1.0, 2.0, 3.0]
        assert merged.status.tolist() == ["done"] * 4


def test_after_a_grid_no_run_has_a_place_in_a_strategys_order(make, merge):
    make("a.h5", explore(x=[5.0, 6.0]), F)
    make("b.h5", None, GENERATIONS.replace("def f(x)", "def f(x=0.0)"), set={"n": 1})
    merge("m.h5", "a.h5", "b.h5").close()
    assert order("m.h5") == {"generation": [-1, -1, 0, 0]}
