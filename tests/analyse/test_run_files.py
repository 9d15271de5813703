from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

import simkit
from simkit import SimkitError

STUDY = """
    from simkit import experiment, product

    @experiment
    @product(x=range(11))
    def f(x, run, workdir):
        if x % 2:
            (workdir / "deep").mkdir()
            (workdir / "deep" / "trace.dat").write_bytes(bytes([x]) * 10)
            (workdir / "log.txt").write_text(f"run {x}")
            run.attach("**/*")
        return x
"""


@pytest.fixture
def traj(study):
    with study.run(STUDY) as made:
        yield made


def test_files_are_a_mapping_of_bytes(traj):
    files = traj.files(3)
    assert list(files) == ["deep/trace.dat", "log.txt"]
    assert files["log.txt"] == b"run 3"
    assert files == {"deep/trace.dat": b"\3" * 10, "log.txt": b"run 3"}
    assert (len(files), "log.txt" in files, "x" in files) == (2, True, False)
    assert (files.size("log.txt"), len(files.sha256("log.txt"))) == (5, 64)
    assert repr(files) == "<files of run 3: deep/trace.dat (10 B), log.txt (5 B)>"
    assert dict(traj.files(-2)) == {"deep/trace.dat": b"\t" * 10, "log.txt": b"run 9"}
    assert repr(traj.files(0)) == "<files of run 0: none>"
    with pytest.raises(KeyError, match=r"run 3 has no file 'log.tx'; did you mean 'log.txt'\?"):
        files["log.tx"]
    with pytest.raises(KeyError, match="run 0 has no file 'a'; attached: none"):
        traj.files(0)["a"]


def test_they_are_written_into_a_folder_by_run(traj, tmp_path):
    assert traj.export_files(tmp_path / "out") == (10, 5 * 15)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["01", "03", "05", "07", "09"]
    assert (tmp_path / "out" / "07" / "deep" / "trace.dat").read_bytes() == b"\7" * 10
    assert traj.where("x == 3").export_files(str(tmp_path / "one")) == (2, 15)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["03"]


def test_nothing_is_overwritten_and_nothing_written_for_nothing(traj, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    for folder in ("full", "full/a"):
        with pytest.raises(SimkitError, match="is there already: name a new folder, or an empty one"):
            traj.export_files(tmp_path / folder)
    with pytest.raises(SimkitError, match=r"these runs of f have no files: run.attach\(…\) keeps them"):
        traj.where("x == 0").export_files(tmp_path / "none")
    assert not (tmp_path / "none").exists()


# A stranger's file


def changed(traj, tmp_path, change):
    path = tmp_path / "stranger.h5"
    shutil.copy(traj.path, path)
    with h5py.File(path, "r+") as file:
        change(file["f/runs/files"])
    return simkit.open(path)


def named(name):
    def change(files):
        files["name"][0] = name

    return change


@pytest.mark.parametrize(
    "name",
    [
        "../../evil",
        "/tmp/evil",
        ".git/config",
        "a/../../evil",
        "C:\\evil",
        "..\\evil",
        "a\x1b[2J",
        "",
        "con",
        "~/x/.bashrc",
        "x" * 300,
    ],
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(traj, tmp_path, name):
    with changed(traj, tmp_path, named(name)) as stranger, pytest.raises(SimkitError, match="tampered with"):
        stranger.export_files(tmp_path / "out" / "deep")
    assert not (tmp_path / "out").exists()


def test_one_name_twice_and_one_under_another_are_an_error(traj, tmp_path):
    for name in ("log.txt", "log.txt/x"):

        def change(files, name=name):
            files["name"][0] = name

        with (
            changed(traj, tmp_path, change) as stranger,
            pytest.raises(SimkitError, match="could not be written"),
        ):
            stranger.export_files(tmp_path / name.replace("/", ""))


def test_files_larger_than_the_disk_are_refused_before_anything_is_written(traj, tmp_path, monkeypatch):
    """One place of the file may stand for a million files."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 40, 60))
    with pytest.raises(SimkitError, match="the files have 75 bytes, and 60 are free"):
        traj.export_files(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sizes_that_the_file_does_not_hold_are_refused(traj, tmp_path):
    def change(files):
        files["data"].resize(10**13, 0)
        files["size"][0] = 10**13 - 100

    with pytest.raises(SimkitError, match=r"refused|damaged"), changed(traj, tmp_path, change) as stranger:
        stranger.files(1)["deep/trace.dat"]


def test_a_digest_that_does_not_fit_is_an_error(traj, tmp_path):
    def change(files):
        files["data"][0] = np.uint8(255)

    with changed(traj, tmp_path, change) as stranger:
        with pytest.raises(SimkitError, match=r"run 1: the file 'deep/trace.dat' does not fit its digest"):
            stranger.files(1)["deep/trace.dat"]
        with pytest.raises(SimkitError, match="does not fit its digest"):
            stranger.export_files(tmp_path / "out")
        assert stranger.files(3)["log.txt"] == b"run 3"
