"""Codecs of the user's own, through the hook ``simkit_codecs``."""

import json

import h5py
import pytest
from spikes import GOOD, STUDY, simconf

import simkit


@pytest.mark.parametrize("arguments", [["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]])
def test_own_types_are_results_and_parameters(project, arguments):
    simconf(project)
    assert "3 done" in project.ok(*arguments).out
    assert "nothing to do" in project.ok().out
    with h5py.File(project.path / "results/f-001.h5") as file:
        group = file["f/results/spikes"]
        assert group.attrs["codec"] == "lab.Spikes"
        flat, rows = group["t/values"], group["t/rows"][:]
        assert [flat[start:stop].tolist() for start, stop in rows] == [[0], [0, 1], [0, 1, 2]]
        assert json.loads(group.attrs["attributes"]) == {"source": "soma"}


def test_a_file_finds_the_codecs_of_the_project_in_which_it_is_opened(project):
    simconf(project)
    project.ok("-n", "0")
    script = (
        "import simkit; t = simkit.open('results/f-001.h5'); s = t.runs[2].spikes; "
        "print(type(s).__name__, s.t, s.source, t.parameters.kind.source, t['spikes'][1].t, t.runs[0].both[0].t)"
    )
    assert project.python("-c", script).out.strip() == "Spikes [0 1 2] soma template [0 1] [1.]"


def test_a_file_whose_codec_is_missing_shows_the_arrays_and_names_it(project, tmp_path, monkeypatch):
    simconf(project)
    project.ok("-n", "0")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match=r"'lab\.Spikes'.*not known here"):
        traj = simkit.open(project.path / "results/f-001.h5")
    with traj:
        spikes = traj.runs[1].spikes
        assert spikes.t.tolist() == [0, 1]
        assert "lab.Spikes" in repr(spikes)
        with pytest.raises(AttributeError, match="it has: t"):
            _ = spikes.source
        with pytest.raises(AttributeError, match="read-only"):
            spikes.t = 3


def test_what_a_codec_does_wrongly_costs_the_run_and_names_the_codec(project):
    simconf(project, GOOD.replace('return {"t": spikes.t}, {', 'return {"t t": spikes.t}, {'))
    project.file(
        "sim_f.py", STUDY.replace('kind=Spikes(np.zeros(2), "template")', "kind=3").replace("assert", "#")
    )
    result = project.simkit("-n", "0")
    assert result.code == 1
    assert "result spikes: cannot store a value of codec 'lab.Spikes': its encode() gave a part" in result.out
    simconf(project, GOOD.replace("spikes.source}", "spikes.nothing}"))
    result = project.simkit("-n", "0")
    assert result.code == 4
    assert "raised AttributeError: 'Spikes' object has no attribute 'nothing'" in result.err
