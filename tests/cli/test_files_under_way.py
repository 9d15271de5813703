"""Files that are moved, removed, replaced, locked or unreadable: none is passed over, each keeps what is done."""

from __future__ import annotations

import os
import shutil

import h5py
import pytest

import simkit
from simkit.cli.verbs.repair import repair
from simkit.errors import FileGone
from simkit.execute import agenda
from simkit.record.catalogue import existing

STUDY = """
import os, shutil
from pathlib import Path
from simkit import experiment, explore
ROOT = Path(__file__).parent
RESULTS = ROOT / "results"
FILE = RESULTS / "f-001.h5"

@experiment
@explore(x=[1, 2, 3, 4])
def f(x, run):
    run.checkpoint()                 # commits, so that the file has its name
    if x == 2 and (ROOT / "do").exists():
        exec((ROOT / "do").read_text())
    return {"r": x * 10}
"""

GONE = {
    "moved": ("os.rename(FILE, ROOT / 'moved.h5')", "was moved to moved.h5"),
    "moved with its folder": ("os.rename(RESULTS, ROOT / 'old')", "was moved to old/f-001.h5"),
    "moved, another one in its place": (
        "os.rename(FILE, ROOT / 'moved.h5'); shutil.copy(ROOT / 'moved.h5', FILE)",
        "was moved to moved.h5",
    ),
    "removed": (
        "os.unlink(FILE)",
        "was removed while the runs went on: what is done is kept as results/f-002.h5",
    ),
    "removed with its folder": ("shutil.rmtree(RESULTS)", "was removed while the runs went on"),
    "replaced": (
        "shutil.copy(FILE, ROOT / 'c'); os.replace(ROOT / 'c', FILE)",
        "was replaced by another file while the runs went on: what is done is kept as results/f-002.h5",
    ),
    "replaced by rubbish": (
        "(ROOT / 'c').write_text('x'); os.replace(ROOT / 'c', FILE)",
        "was replaced by another file",
    ),
}


@pytest.mark.parametrize("how", GONE)
def test_a_file_that_goes_while_its_runs_go_on(project, how):
    project.file("sim_a.py", STUDY)
    what, told = GONE[how]
    project.file("do", what)
    ended = project.simkit("-n", "0")
    assert ended.code == 1
    assert told in ended.err
    assert "of 4 runs" not in ended.out
    (project.path / "do").unlink()
    kept = next(
        p for p in (project.path / n for n in ("moved.h5", "old/f-001.h5", "results/f-002.h5")) if p.exists()
    )
    with simkit.open(kept) as traj:
        done = traj.where(status="done")
        assert len(done) >= 2
        assert (done["r"] == 10 * done["x"]).all()
    if how.startswith("moved"):
        (project.path / "results").mkdir(exist_ok=True)
        os.replace(kept, project.path / "results" / "f-001.h5")
    elif how == "replaced by rubbish":
        (project.path / "results" / "f-001.h5").unlink()
    assert "4 of 4 runs" in project.ok("-n", "0").out


def test_a_script_is_told_as_well(study):
    study.write("sim_a.py", STUDY)
    study.write("do", "os.unlink(FILE)")
    with pytest.raises(FileGone, match="removed"):
        simkit.run(study.module("sim_a.py").f)


@pytest.mark.parametrize("how", GONE)
def test_runs_that_were_done_together_with_the_one_that_saw_it_are_kept(study, monkeypatch, how):
    """The third run's checkpoint sees that the file has gone; those before it are not handed over yet."""
    monkeypatch.setattr(agenda, "next_size", lambda *_: 3)
    study.write("sim_a.py", STUDY)
    what, _ = GONE[how]
    study.write("do", what)
    with pytest.raises(FileGone) as error:
        simkit.run(study.module("sim_a.py").f, workers=0)
    names = ("moved.h5", "old/f-001.h5", "results/f-002.h5")
    (kept,) = (path for path in (study.root / name for name in names) if path.exists())
    assert os.path.relpath(kept) in str(error.value)
    with simkit.open(kept) as traj:
        assert traj.where(status="done")["r"].tolist()[:3] == [10, 20, 30]


# What stands in the way of the newest trajectory is told before anything is computed.


@pytest.fixture
def recorded(study):
    """Four done runs, and the function that made them."""
    study.write("sim_a.py", STUDY)
    f = study.module("sim_a.py").f
    simkit.run(f).close()
    return study.root / "results" / "f-001.h5", f


def zeroed(file):
    with open(file, "r+b") as stream:
        stream.write(bytes(4096))


def newer(file):
    with h5py.File(file, "r+") as stream:
        stream["f"].attrs["simkit_format"] = 99


UNREADABLE = {
    "cut short": lambda file: os.truncate(file, 9000),
    "its first page lost": zeroed,
    "text": lambda file: file.write_text("x" * 100),
    "a link that leads nowhere": lambda file: (file.unlink(), file.symlink_to(file.parent / "annexed")),
    "a folder": lambda file: (file.unlink(), file.mkdir(), (file / "x").write_text("x")),
    "of a newer simkit": newer,
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_a_newest_trajectory_that_can_not_be_read_is_not_passed_over(recorded, how):
    file, f = recorded
    if how == "of a newer simkit":
        shutil.copy(file, file.with_name("f-002.h5"))
        file = file.with_name("f-002.h5")
    UNREADABLE[how](file)
    with pytest.raises(simkit.SimkitError, match=rf"{file.name}[\s\S]*simkit --fresh"):
        simkit.run(f)
    assert not file.with_name("f-003.h5").exists()
    with simkit.run(f, fresh=True) as traj:
        assert len(traj) == 4


def test_somebody_elses_file_of_that_name_is_passed_over(recorded):
    file, f = recorded
    with h5py.File(file.with_name("f-002.h5"), "w") as stream:
        stream["data"] = [1]
    file.with_name("f-003.h5").touch()
    simkit.run(f).close()
    assert len(list(file.parent.glob("*.h5"))) == 3


def test_a_locked_one_is_named(recorded):
    fcntl = pytest.importorskip("fcntl")
    file, f = recorded
    with open(file, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(simkit.SimkitError, match=r"f-001\.h5: another program holds the file locked"):
            simkit.run(f)


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    def refused(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(
        simkit.SimkitError, match="can't be read: Permission denied: what is recorded there is not known"
    ):
        existing(tmp_path, "f")


def test_repair_says_what_can_not_be_opened(recorded, capsys):
    file, _ = recorded
    whole = shutil.copy(file, file.with_name("whole.h5"))
    os.truncate(file, 9000)
    assert repair([str(file), str(whole)]) == 4
    out, err = capsys.readouterr()
    assert "f-001.h5" in err
    assert "it can't be repaired" in err
    assert "whole.h5: nothing to repair" in out


def test_what_another_session_did_meanwhile_is_seen(recorded):
    """Between the comparison and the opening for writing."""
    file, f = recorded
    from simkit.study import session

    space = simkit.explore(x=[1, 2, 3, 4, 5])
    decide = session.decide

    def late(plan, settings):
        target = decide(plan, settings)
        with h5py.File(file, "r+") as stream:
            stream["f/runs/status"][0] = 2
        return target

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "decide", late)
        with pytest.raises(simkit.SimkitError, match="was changed by another session"):
            simkit.run(f, space)


WRITTEN_INTO = {
    "cut short": "os.truncate(FILE, 0)",
    "a zeroed page": "file = open(FILE, 'r+b'); file.seek(4096); file.write(bytes(4096)); file.close()",
    "noise at its head": "file = open(FILE, 'r+b'); file.write(b'noise' * 4000); file.close()",
    "an older copy of its first half": (
        "new = FILE.read_bytes(); old = (ROOT / 'old').read_bytes(); file = open(FILE, 'r+b'); "
        "file.write(old[: len(old) // 2]); file.close()"
    ),
}


@pytest.mark.parametrize("how", WRITTEN_INTO)
def test_what_another_program_wrote_into_a_file_under_way_is_never_taken_for_ours(project, how):
    project.file("sim_a.py", STUDY.replace("run.checkpoint() ", "run.checkpoint(x=x) "))
    if how.startswith("an older"):
        project.ok("-n", "0", "sim_a.py::f[0]")
        shutil.copy(project.path / "results" / "f-001.h5", project.path / "old")
    project.file("do", WRITTEN_INTO[how])
    result = project.simkit("-n", "0")
    assert result.code == 4
    assert "f-001.h5 was changed by another program while it was being written, near byte" in result.err
    for words in (
        ["list"],
        ["show", "f"],
        ["export", "results/f-001.h5", "o.csv"],
        ["verify", "--file", "results/f-001.h5"],
    ):
        again = project.simkit(*words)
        assert again.code in (0, 1, 4), again.err
        assert "Traceback" not in again.err
    if project.has("o.csv"):
        assert all(
            float(row.split(",")[2] or 10 * float(row.split(",")[1])) == 10 * float(row.split(",")[1])
            for row in (project.path / "o.csv").read_text().splitlines()[1:]
        )
