"""``simkit.open``: a path, a name, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import pytest

import simkit

MULTIPLY = """
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def {name}(x, gain=1):
    return x * gain
"""


@pytest.fixture
def here(project, monkeypatch):
    """The project as the working directory."""
    monkeypatch.chdir(project.path)
    return project


def opened(project, *arguments):
    project.opened.append(simkit.open(*arguments))
    return project.opened[-1]


def test_by_path_name_or_nothing(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.file("sim_b.py", MULTIPLY.format(name="beta"))
    here.ok("-k", "alpha")
    here.ok("-k", "beta")
    here.ok("-k", "alpha", "--set", "gain=3")

    assert opened(here, "results/alpha-001.h5")["result"].tolist() == [1, 2]
    assert opened(here, here.path / "results" / "alpha-002.h5")["result"].tolist() == [3, 6]
    assert opened(here, "alpha")["result"].tolist() == [3, 6]  # the newest of that name
    assert opened(here, "beta").path.name == "beta-001.h5"
    assert opened(here).path.name == "alpha-002.h5"  # the newest of all
    here.close()
    # The newest is the one written last, not the one with the highest number.
    here.ok("-k", "beta", "--product", "x=7")
    assert opened(here).path.name == "beta-002.h5" or opened(here)["result"].tolist() == [1, 2, 7]

    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open("alhpa")
    assert "no trajectory of 'alhpa' in results" in str(caught.value)
    assert "there: alpha, beta" in str(caught.value)


def test_a_file_is_also_known_by_its_name_among_the_results(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.ok()
    here.ok("--fresh")
    for name in ("alpha-001", "alpha-001.h5"):
        with simkit.open(name) as traj:
            assert traj.path.name == "alpha-001.h5"
    assert "2 runs, 2 done" in here.ok("show", "alpha-001").out
    Path("alpha-001").write_bytes(Path("results/alpha-002.h5").read_bytes())
    with simkit.open("alpha-001") as traj:  # a file that is there comes first
        assert traj.path.name == "alpha-001"
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open("alpha-003")
    expected = "no such file: alpha-003, nor one of that name in results\n    there: alpha-002, alpha-001"
    assert str(caught.value) == expected


def test_from_a_folder_below_the_rootdir(project, monkeypatch):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("deep/sim_a.py", MULTIPLY.format(name="alpha"))
    project.ok()
    monkeypatch.chdir(project.path / "deep")
    assert opened(project, "alpha")["result"].tolist() == [1, 2]
    assert opened(project)["result"].tolist() == [1, 2]


def test_one_of_several_in_a_file(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha") + MULTIPLY.format(name="beta"))
    here.ok("--output", "study.h5")
    assert opened(here, "study.h5", "beta").name == "beta"
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open("study.h5")
    assert "study.h5 holds several experiments: alpha, beta" in str(caught.value)
    assert 'simkit.open("study.h5", "alpha")' in str(caught.value)
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open("study.h5", "alhpa")
    assert "study.h5 has no experiment 'alhpa'" in str(caught.value)
    assert "experiments there: alpha, beta" in str(caught.value)


def test_an_ambiguous_name_is_an_error_that_names_both(here):
    here.file("a/sim_a.py", MULTIPLY.format(name="alpha"))
    here.file("b/sim_b.py", MULTIPLY.format(name="alpha"))
    here.ok()
    assert sorted(p.name for p in (here.path / "results").iterdir()) == ["alpha-001.h5", "alpha-002.h5"]
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open("alpha")
    assert "'alpha' is ambiguous: a/sim_a.py::alpha, b/sim_b.py::alpha" in str(caught.value)
    assert "open the file by its path, such as results/alpha-002.h5" in str(caught.value)
    assert opened(here, "results/alpha-001.h5").info.node_id == "a/sim_a.py::alpha"
    assert opened(here, "results/alpha-002.h5").info.node_id == "b/sim_b.py::alpha"
    here.close()
    assert "nothing to do" in here.ok().out  # each continues its own


def test_nothing_there(here):
    for name in ((), ("alpha",)):
        with pytest.raises(simkit.SimkitError) as caught:
            simkit.open(*name)
        assert "no trajectory" in str(caught.value)
        assert "results" in str(caught.value)
    for path in ("gone.h5", here.path / "gone.h5", "results/gone.h5"):
        with pytest.raises(simkit.SimkitError, match=r"no such file: .*gone\.h5"):
            simkit.open(path)


def test_files_that_are_no_trajectory(here):
    here.file("notes.h5", "dear diary")
    here.file("empty.h5")
    with h5py.File("foreign.h5", "w") as file:
        file["data"] = [1]
    with pytest.raises(simkit.SimkitError, match=r"notes\.h5: not a trajectory file: it is not an HDF5 file"):
        simkit.open("notes.h5")
    with pytest.raises(simkit.SimkitError, match=r"empty\.h5: not a trajectory file"):
        simkit.open("empty.h5")
    with pytest.raises(simkit.SimkitError, match=r"foreign\.h5: an HDF5 file, but no trajectory"):
        simkit.open("foreign.h5")
    with pytest.raises(simkit.SimkitError, match="study"):
        simkit.open(here.path)
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.ok()
    whole = (here.path / "results" / "alpha-001.h5").read_bytes()
    (here.path / "half.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(simkit.SimkitError, match=r"half\.h5"):
        simkit.open("half.h5")


def test_a_strange_file_among_the_results_does_not_hide_the_others(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.ok()
    with h5py.File("results/alpha-009.h5", "w") as file:
        file["data"] = [1]
    here.file("results/alpha.h5", "dear diary")
    assert opened(here, "alpha")["result"].tolist() == [1, 2]
    assert opened(here)["result"].tolist() == [1, 2]


def test_opening_again_shows_what_came_since_even_with_an_older_one_still_open(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.ok("--where", "x == 1")
    older = opened(here, "alpha")
    assert older.status.tolist() == ["done", "pending"]
    here.file("sim_a.py", MULTIPLY.format(name="alpha").replace("[1, 2]", "[1, 2, 3]"))
    here.ok()
    newer = opened(here, "alpha")
    assert newer.status.tolist() == ["done", "done", "done"]
    assert newer["result"].tolist() == [1, 2, 3]


def test_an_open_reader_does_not_stop_a_session(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.ok("--where", "x == 1")
    opened(here, "alpha")
    assert here.ok().code == 0


def test_opening_runs_no_code_of_the_project(here):
    here.file("sim_a.py", MULTIPLY.format(name="alpha"))
    here.ok()
    here.file("sim_a.py", "import os\nos.abort()\n")
    assert opened(here, "alpha")["result"].tolist() == [1, 2]
    os.remove("sim_a.py")
    assert opened(here)["result"].tolist() == [1, 2]


# One that was written last

TWO = """
from simkit import experiment, explore
@experiment
@explore(x=[1, 2])
def a(x, gamma=0.1, mode="slow"):
    return {"r": x}
"""


def sorted_by(study, *gammas):
    """A trajectory for each value of a constant."""
    study.write("sim_a.py", TWO)
    for gamma in gammas:
        simkit.run(study.module("sim_a.py").a, set={"gamma": gamma}).close()


def gamma_of(*names, **constants):
    with simkit.open(*names, **constants) as traj:
        return traj.parameters.gamma


def test_a_name_is_the_one_that_was_written_last(study):
    sorted_by(study, 0.1, 0.2)
    assert gamma_of("a") == 0.2
    simkit.run(
        study.module("sim_a.py").a, simkit.explore(x=[1, 2, 3]), set={"gamma": 0.1}, into="results/a-001.h5"
    ).close()
    assert gamma_of("a") == gamma_of() == 0.1
    with simkit.open("results/a-002.h5", mode="r+") as traj:
        traj.note("written later still")
    assert gamma_of("a") == 0.2


def test_a_name_with_constants(study):
    sorted_by(study, 1, 0.2)
    assert gamma_of("a", gamma=1.0) == 1  # numbers by their value
    assert gamma_of("a", gamma=0.2) == 0.2
    with pytest.raises(
        simkit.SimkitError, match=r"no trajectory of 'a' has gamma=3\n.*a-002\.h5: gamma=0\.2\n.*gamma=1"
    ):
        simkit.open("a", gamma=3)
    with pytest.raises(simkit.SimkitError, match=r"has a parameter 'gama'\n    constants: gamma"):
        simkit.open("a", gama=3)
    with pytest.raises(simkit.SimkitError, match=r"has x=1\n.*x=\(varies\)"):
        simkit.open("a", x=1)
    with pytest.raises(simkit.SimkitError, match=r"has gamma=1\n.*a-002\.h5: gamma=0\.2"):
        simkit.open("results/a-002.h5", gamma=1)
    assert gamma_of("results/a-002.h5", gamma=0.2) == 0.2


def test_a_folder_of_the_experiments_name(study):
    sorted_by(study, 0.2)
    (study.root / "a").mkdir()
    assert gamma_of("a") == 0.2
    with pytest.raises(simkit.SimkitError, match="study/a is a folder: give a file in it"):
        simkit.open("./a")


def test_one_that_can_not_be_read_is_not_passed_over(study):
    sorted_by(study, 0.1, 0.2)
    newest, oldest = study.root / "results/a-002.h5", study.root / "results/a-001.h5"
    os.truncate(newest, 5000)
    with pytest.raises(simkit.SimkitError, match=r"a-002\.h5[\s\S]*simkit repair results/a-002\.h5"):
        simkit.open("a")
    os.utime(newest, ns=(0, 0))
    assert gamma_of("a") == 0.1  # it is older than the one that is asked for
    oldest.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def turned(path):
    data = path.read_bytes()
    path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])


def changed(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


REFUSED = {
    "cut short": cut,
    "damaged checksums": turned,
    "no HDF5": lambda path: path.write_bytes(b"text" * 1000),
    "a link elsewhere": lambda path: changed(
        path, lambda file: file.__setitem__("away", h5py.ExternalLink("a.h5", "/"))
    ),
    "nothing of simkit's": lambda path: changed(path, lambda file: file.move("f", "g/f")),
    "of a later format": lambda path: changed(path, lambda f: f["f"].attrs.modify("simkit_format", 99)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_refused_is_let_go(kind, tmp_path):
    """Though a notebook keeps the error and its frames: ``simkit repair`` in a terminal needs the file."""
    fcntl = pytest.importorskip("fcntl", reason="elsewhere HDF5 locks no files")
    path = tmp_path / "f.h5"

    def f(x):
        return x

    simkit.run(f, simkit.explore(x=[1, 2]), output=path).close()
    REFUSED[kind](path)
    with pytest.raises(simkit.SimkitError) as kept:
        simkit.open(path)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert kept.tb is not None
