"""The recorded sources of a session, and nothing beyond the folder."""

from __future__ import annotations

import h5py
import pytest

import simkit
from simkit import SimkitError
from simkit.provenance.restore import restore, session_of, write_requirements
from simkit.record.recorded import Recorded

SOURCE = """
from simkit import experiment, product
import lib

@experiment
@product(x=[1, 2])
def f(x, rng):
    return {"z": lib.double(x), "r": rng.random(3)}
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A clean folder of another project."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_each_session_has_its_own_sources(study, elsewhere):
    study.write("lib.py", "def double(x):\n    return 2 * x\n")
    first = study.run(SOURCE, seed=1)
    first.close()
    study.write("lib.py", "def double(x):\n    return x + x  # better\n")
    study.run(SOURCE, space=simkit.product(x=[1, 2, 3]), into=first.path).close()
    recorded = Recorded.open(first.path)
    for number, part in ((1, "2 * x"), (2, "better"), (None, "better")):
        folder = elsewhere / str(number)
        restore(recorded, session_of(recorded, number)[1], folder)
        assert part in (folder / "lib.py").read_text()
    with pytest.raises(SimkitError, match="--session 3: the sessions of f are numbered 1 to 2"):
        session_of(recorded, 3)
    recorded.close()


@pytest.mark.parametrize(
    "path", ["../evil.py", "/tmp/evil.py", "a/../../evil.py", "C:\\evil.py", "a\\b.py", ""]
)
def test_a_path_that_leads_out_of_the_folder_is_refused(study, elsewhere, path):
    study.write("lib.py", "def double(x):\n    return 2 * x\n")
    made = study.run(SOURCE)
    made.close()
    recorded = Recorded.open(made.path)
    session = dict(recorded.sessions[-1])
    session["sources"] = {path: next(iter(session["sources"].values()))}
    with pytest.raises(SimkitError, match="tampered"):
        restore(recorded, session, elsewhere / "new")
    recorded.close()
    assert not list(elsewhere.rglob("*evil*"))


def test_requirements_hold_only_what_pip_should_see(tmp_path):
    session = {
        "simkit": "0.1", "python": "3.12.1",
        "packages": {"simkit": "0.1", "numpy": "2.1", "evil": "1\n--index-url http://x", "-r": "x", "mine": "3",
                     "vcs": "1"},
        "origins": {"mine": "folder", "vcs": "git+https://h/x.git@abc123", "simkit": "folder"},
    }  # fmt: skip
    (tmp_path / "requirements.txt").write_text("the project's own")
    name, by_hand = write_requirements(session, tmp_path)
    assert name == "requirements-recorded.txt"
    assert (tmp_path / "requirements.txt").read_text() == "the project's own"
    assert (tmp_path / name).read_text().splitlines() == [
        "# as recorded by simkit 0.1 under Python 3.12.1",
        "numpy==2.1",
        "vcs @ git+https://h/x.git@abc123",
        "# not from an index, install by hand: mine 3",
        "# not from an index, install by hand: simkit 0.1",
    ]
    assert by_hand == ("mine 3", "simkit 0.1")


def test_files_of_the_first_simkit_have_no_sources(study, elsewhere):
    study.write("lib.py", "def double(x):\n    return 2 * x\n")
    made = study.run(SOURCE)
    made.close()
    with h5py.File(made.path, "r+") as file:
        del file["f/info/sources"]
        del file["f/info/001"].attrs["sources"]
    recorded = Recorded.open(made.path)
    with pytest.raises(
        SimkitError,
        match="no sources are recorded there: the code was in no file, or simkit was its first version",
    ):
        restore(recorded, session_of(recorded, None)[1], elsewhere / "new")
    recorded.close()
