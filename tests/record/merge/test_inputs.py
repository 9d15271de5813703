"""What is merged: names, types, units and comments of several files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from merges import F, refused

import simkit
from simkit import explore


def test_a_result_that_only_some_files_have_is_absent_in_the_others(make, merge):
    make("a.h5", explore(x=[1.0]))
    make("b.h5", explore(x=[2.0]), F.replace("}", ', "new.one": 7}'))
    merged = merge("m.h5", "a.h5", "b.h5")
    assert np.ma.getmaskarray(merged["new.one"]).tolist() == [True, False]
    with pytest.raises(AttributeError, match=r"run 0 has no 'new\.one'"):
        merged.runs[0].new.one  # noqa: B018
    other_way = merge("n.h5", "b.h5", "a.h5")
    assert np.ma.getmaskarray(other_way["new.one"]).tolist() == [False, True]


def test_comments_and_units_stay_and_units_must_agree(make, merge):
    text = """
    from typing import Annotated
    from simkit import Unit, experiment

    @experiment
    def f(x=0.0, tau: Annotated[float, "time constant", Unit("ms")] = 1.0):
        return {"z": x}
    """
    make("a.h5", explore(x=[1.0]), text)
    make("b.h5", explore(x=[2.0]), text, set={"tau": 3.0})
    about = merge("m.h5", "a.h5", "b.h5").describe("tau")
    assert (about.comment, about.unit, about.explored) == ("time constant", "ms", True)
    make("c.h5", explore(x=[3.0]), text.replace('"ms"', '"s"'))
    assert refused("n.h5", "a.h5", "c.h5").startswith("tau is in ms in a.h5, but in s in c.h5\n")


def test_results_of_other_types_are_refused_naming_both_files(make):
    make("a.h5", explore(x=[1.0]))
    make("b.h5", explore(x=[2.0]), F.replace("x * k", "[x]"))
    assert refused("m.h5", "a.h5", "b.h5").startswith("z is float in a.h5, but list in b.h5\n")
    make("c.h5", explore(x=[2.0]), F.replace('"z"', '"z.deep"'))
    told = refused("m.h5", "a.h5", "c.h5")
    assert told.startswith("z is a value in a.h5, but a group, through z.deep in c.h5\n")
    make("d.h5", explore(x=[2.0]), F.replace('"z"', '"k"').replace("k=1", "j=1").replace("* k", "* j"))
    assert refused("m.h5", "a.h5", "d.h5").startswith("k is a parameter in a.h5, but a result in d.h5\n")
    assert not Path("m.h5").exists()


def test_a_result_that_the_same_code_gives_in_two_types_merges(make, merge):
    text = F.replace("x * k", "x if x < 2 else str(x)")
    make("a.h5", explore(x=[1.0]), text)
    make("b.h5", explore(x=[2.0]), text)
    assert merge("m.h5", "a.h5", "b.h5")["z"].tolist() == [1.0, "2.0"]


# Files


def test_several_experiments_in_a_file_merge_one_by_one(study, merge):
    study.write("sim_a.py", F + F.replace("def f", "def g").replace("from simkit import experiment", ""))
    module = study.module("sim_a.py")
    for file, x in (("a.h5", [1.0, 2.0]), ("b.h5", [3.0])):
        for function in (module.f, module.g):
            simkit.run(function, explore(x=x), output=file).close()
    merge("m.h5", "a.h5", "b.h5")
    for name in ("f", "g"):
        with simkit.open("m.h5", name) as merged:
            assert merged["z"].tolist() == [1.0, 2.0, 3.0]


def test_beginners_mistakes(make):
    make("a.h5", explore(x=[1.0]))
    Path("text.h5").write_text("no")
    assert refused("m.h5", "nothing.h5") == "no such file: nothing.h5"
    assert "not an HDF5 file" in refused("m.h5", "a.h5", "text.h5")
    assert refused("m.h5", "a.h5", "a.h5") == "a.h5 is named twice"
    assert refused(".", "a.h5").endswith("is a folder: the merged file comes first, then its sources")
    assert "experiments there: f" in refused("m.h5", "a.h5::g")
    assert 'simkit.merge("all.h5", "a.h5", "b.h5")' in refused("m.h5")
    assert 'simkit.merge("all.h5", "a.h5", "b.h5")' in refused("m.h5", ["a.h5", "a.h5"])
    assert "not an HDF5 file" in refused("text.h5", "a.h5")  # not overwritten
    assert Path("text.h5").read_text() == "no"
    assert sorted(path.name for path in Path().glob("*.h5*")) == ["a.h5", "text.h5"]
    assert not list(Path().glob(".*"))
