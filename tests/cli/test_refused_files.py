"""Files that can't be read, in every verb: exit code 4, and a message that names the file and says what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import clean_environment

import simkit
from simkit.cli.main import main

STUDY = """
    import numpy as np
    from simkit import experiment, product

    @experiment
    @product(x=range(40))
    def f(x, run, workdir):
        (workdir / "a.txt").write_text("attached")
        run.attach("a.txt")
        return {"z": np.full(500, x), "text": "word " * x}
"""
BAD = "bad.h5"


@pytest.fixture(scope="module")
def recorded(shared):
    shared.file("sim_f.py", STUDY)
    shared.ok("-n", "0", "--output", "whole.h5")
    return shared.path


def truncated(file):
    os.truncate(file, file.stat().st_size // 2)


def patched(start, data):
    def patch(file):
        place = start if start >= 0 else file.stat().st_size // 2 // 4096 * 4096
        with open(file, "r+b") as stream:
            stream.seek(place)
            stream.write(data)

    return patch


def flipped(file):
    place = file.read_bytes().index(np.full(500, 17).tobytes()) + 100
    patched(place, b"\xff")(file)


def replaced(make):
    def replace(file):
        file.unlink()
        make(file)

    return replace


def strange(file):
    with h5py.File(file, "w") as stream:
        stream["data"] = [1]


def newer(file):
    with h5py.File(file, "r+") as stream:
        stream["f"].attrs["simkit_format"] = 99


def looping(file):
    file.symlink_to(file.name)


KINDS = {
    "cut short": truncated,
    "without its first page": patched(0, bytes(4096)),
    "without a page in the middle": patched(-1, bytes(4096)),
    "with another byte in an array": flipped,
    "cut to nothing": lambda file: os.truncate(file, 0),
    "text": replaced(lambda file: file.write_text("x" * 100)),
    "not there": lambda file: file.unlink(),
    "a folder": replaced(lambda file: file.mkdir()),
    "a pipe": replaced(os.mkfifo) if hasattr(os, "mkfifo") else None,
    "a link to nothing": replaced(lambda file: file.symlink_to("nowhere")),
    "a link to itself": replaced(looping),
    "another program's": replaced(strange),
    "of a newer simkit": newer,
}
VERBS = {
    "show": ["show", BAD],
    "show a run": ["show", BAD, "--run", "17"],
    "show provenance": ["show", BAD, "--provenance"],
    "export a table": ["export", BAD, "out.csv", "--names", "text"],
    "export a trajectory": ["export", BAD, "out.h5"],
    "export an archive": ["export", BAD, "out/"],
    "export files": ["export", BAD, "--files", "out"],
    "merge": ["merge", "out.h5", BAD, "whole.h5"],
    "merge behind": ["merge", "out.h5", "whole.h5", BAD],
    "verify": ["verify", BAD],
    "verify the file": ["verify", "--file", BAD],
    "diff": ["diff", BAD, "whole.h5"],
    "diff behind": ["diff", "whole.h5", BAD],
    "restore": ["restore", BAD, "out"],
    "repair": ["repair", BAD],
    "report": ["report", BAD],
    "list": ["list", BAD],
    "watch": ["watch", BAD],
    "go on": ["-n", "0", "--output", BAD],
    "go on into": ["-n", "0", "--into", BAD],
    "constants": ["-n", "0", "--params", BAD],
}


DAMAGED = ("without a page in the middle", "with another byte in an array")
# What can still be read of such a file is read, and what can't is computed again, where that is asked for.
PARTLY = ("show", "show provenance", "export a table", "export files", "restore", "repair", "list", "watch")
PARTLY += ("go on", "go on into", "constants", "merge behind")
OTHERS = {
    ("repair", "another program's"): 0,
    ("watch", "a folder"): 5,
    ("watch", "a pipe"): 5,
    ("list", "a folder"): 5,
    **{("verify the file", kind): 1 for kind in (*DAMAGED, "without its first page")},
    **{("go on", kind): 0 for kind in ("cut to nothing", "not there", "another program's", "a link to nothing")},
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_what_can_not_be_read_is_an_error_that_names_the_file(recorded, tmp_path, monkeypatch, capsys, verb):
    """Never a value, an interpreter that dies, a bug of simkit's; `serve` shows what can be shown, in its own tests."""
    for kind, damage in KINDS.items():
        if damage is None:
            continue
        folder = tmp_path / kind.replace(" ", "-").replace("'", "")
        folder.mkdir()
        shutil.copy(recorded / "sim_f.py", folder)
        for name in (BAD, "whole.h5"):
            shutil.copy(recorded / "whole.h5", folder / name)
        damage(folder / BAD)
        monkeypatch.chdir(folder)
        code = main(VERBS[verb])
        out, err = capsys.readouterr()
        codes = {OTHERS.get((verb, kind), 4)} | ({0} if kind in DAMAGED and verb in PARTLY else set())
        assert code in codes, f"{kind}: {out}{err}"
        assert "bug in simkit" not in err, kind
        if code == 4:
            assert BAD in err, f"{kind}: {err}"
        if code == 1:
            assert "damaged block" in out


# Folders that may not be entered, and names too long for the file system


@pytest.fixture
def restricted(project):
    """Run a command as somebody who must not do everything, as root may."""
    if not sys.platform.startswith("linux"):
        pytest.skip("gives up root's privileges by a system call of Linux")
    give_up = "import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, n, 0, 0, 0) for n in (1, 2)]"
    code = f"{give_up}; os.execv(sys.executable, [sys.executable, '-m', 'simkit', *sys.argv[1:]])"
    closed: list[Path] = []

    def run(*arguments, close=(), mode=0):
        for name in close:
            (project.path / name).chmod(mode)
            closed.append(project.path / name)
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=project.path, env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    yield run
    for path in closed:
        path.chmod(0o755)


PLAIN = """
    from simkit import experiment, product

    @experiment
    @product(x=[1, 2])
    def {name}(x, run, workdir):
        run.add(y=x)
        return x
"""


@pytest.fixture
def with_closed(project):
    project.file("sim_a.py", PLAIN.format(name="a"))
    project.file("closed/sim_b.py", PLAIN.format(name="b"))
    project.file("pyproject.toml", "[tool.simkit]\n")
    return project


@pytest.mark.parametrize("mode", [0, 0o400, 0o100])
def test_a_folder_that_may_not_be_entered_costs_only_what_is_in_it(with_closed, restricted, mode):
    """Or read: its names are known then, or its files are there for who knows them."""
    result = restricted("-n", "0", close=["closed"], mode=mode)
    assert result.returncode == 4, result.stdout + result.stderr
    assert "closed" in result.stdout + result.stderr
    assert "Permission denied" in result.stdout + result.stderr
    with with_closed.open("a-001") as traj:
        assert traj.status.tolist() == ["done", "done"]
    assert restricted("sim_a.py", "-n", "0").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["closed"], ["closed/sim_b.py"], ["closed/sim_b.py::b"], ["show", "closed/x.h5"],
     ["export", "closed/x.h5", "a.csv"], ["merge", "closed/y.h5", "closed/x.h5"],
     ["--output", "closed/x.h5", "-n", "0", "sim_a.py"],
     ["--params", "closed/p.toml"], ["verify", "closed/x.h5"], ["verify", "--file", "closed/x.h5"], ["list", "closed"],
     ["repair", "closed/x.h5"], ["diff", "closed/x.h5", "closed/x.h5"], ["restore", "closed/x.h5", "out"]],
)  # fmt: skip
def test_what_lies_in_such_a_folder_is_named(with_closed, restricted, arguments):
    result = restricted(*arguments, close=["closed"])
    assert result.returncode == 4, result.stdout + result.stderr
    assert "closed" in result.stderr
    assert "bug in simkit" not in result.stderr


def test_results_that_may_not_be_read_are_not_passed_over(with_closed, restricted):
    assert restricted("-n", "0", "sim_a.py").returncode == 0
    results = with_closed.path / "results"
    (results / "a-001.h5").chmod(0)
    for arguments in (["list"], ["show", "a"], ["-n", "0", "sim_a.py"]):
        result = restricted(*arguments)
        assert result.returncode == 4, arguments
        assert "a-001.h5" in result.stderr + result.stdout, arguments
    (results / "a-001.h5").chmod(0o644)
    for arguments in (["list"], ["show", "a"], ["-n", "0", "sim_a.py"]):
        result = restricted(*arguments, close=["results"])
        assert result.returncode == 4, arguments
        assert "results" in result.stderr + result.stdout, arguments


LONG = "a" * 300


@pytest.mark.parametrize("name", ["b" * 246, LONG, "名" * 200])
def test_an_experiment_may_have_a_name_that_is_too_long_for_a_file(project, name):
    """The file is called after its beginning and a digest; all else knows it by its name."""
    project.file("sim_a.py", PLAIN.format(name=name))
    project.ok("-n", "1")
    (file,) = (project.path / "results").glob("*.h5")
    assert len(file.name.encode()) < 200
    assert project.ok("show", name).out.startswith(f"<Trajectory {name}: 2 runs, 2 done>")
    with project.open(file.stem) as traj:
        assert (traj.name, traj["y"].tolist()) == (name, [1, 2])
    assert "nothing to do" in project.ok("-n", "0").out


def test_two_long_names_that_begin_alike_have_files_of_their_own(project):
    project.file("sim_a.py", PLAIN.format(name=LONG + "1") + PLAIN.format(name=LONG + "2"))
    project.ok("-n", "0")
    assert len(list((project.path / "results").glob("*-001.h5"))) == 2
    assert "4 of 4 runs done" in project.ok("list").out


@pytest.mark.parametrize(
    "arguments",
    [[f"{LONG}.py"], ["show", f"{LONG}.h5"], ["show", f"x/{LONG}.h5"], ["export", "a", f"{LONG}.csv"],
     ["export", "a", f"{LONG}.h5"], ["export", "a", "--files", LONG], ["merge", f"{LONG}.h5", "results/a-001.h5"],
     ["merge", "x.h5", f"{LONG}.h5"], ["restore", "a", LONG], ["--output", f"{LONG}.h5"], ["--params", f"{LONG}.toml"],
     ["--into", f"{LONG}.h5"], ["diff", "a", f"{LONG}.h5"], ["verify", f"{LONG}.h5"],
     ["verify", "--file", f"{LONG}.h5"], ["repair", f"{LONG}.h5"], ["report", "a", "-o", f"{LONG}.html"]],
)  # fmt: skip
def test_a_name_on_the_command_line_that_is_too_long_is_an_error(shared, arguments):
    if not (shared.path / "results" / "a-001.h5").exists():
        shared.file("sim_a.py", PLAIN.format(name="a"))
        shared.ok("-n", "0", "sim_a.py")
    result = shared.simkit(*arguments)
    assert result.code == 4, result.out + result.err
    assert LONG[:50] in result.err
    assert "bug in simkit" not in result.err


def test_a_trajectory_with_a_long_name_is_opened_by_it(study):
    study.write("sim_a.py", PLAIN.format(name=LONG))
    simkit.run(getattr(study.module("sim_a.py"), LONG), space=simkit.product(x=[1])).close()
    with simkit.open(LONG) as traj:
        assert len(traj) == 1


def _replaced(of: str, value: object) -> Callable[[h5py.File], None]:
    """Another program's change: a dataset or group gives way to a dataset of another kind."""

    def change(file: h5py.File) -> None:
        del file[of]
        file[of] = value

    return change


ALTERED: dict[str, Callable[[h5py.File], None]] = {
    "no statuses": lambda file: file.__delitem__("f/runs/status"),
    "no sessions": lambda file: file.__delitem__("f/info"),
    "a text for seconds": _replaced("f/runs/seconds", "long"),
    "too few results": _replaced("f/results/z", np.zeros(1)),
    "a number for a group": _replaced("f/runs", 3.5),
    "a renamed result": lambda file: file.move("f/results/z", "f/results/other"),
    "no node id": lambda file: file["f"].attrs.__delitem__("node_id"),
}
READING = [["show", BAD], ["show", BAD, "--run", "0"], ["watch", BAD], ["list"], ["report", BAD, "--force"],
           ["export", BAD, "out/"], ["export", BAD, "out.csv", "--force"], ["diff", BAD, "whole.h5"]]  # fmt: skip


@pytest.mark.parametrize("alteration", ALTERED)
def test_what_another_program_changed_is_told_as_that(recorded, tmp_path, monkeypatch, capsys, alteration):
    for name in (BAD, "whole.h5"):
        shutil.copy(recorded / "whole.h5", tmp_path / name)
    with h5py.File(tmp_path / BAD, "r+") as file:
        ALTERED[alteration](file)
    monkeypatch.chdir(tmp_path)
    for arguments in READING:
        shutil.rmtree("out", ignore_errors=True)
        code = main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err, f"{arguments}: {err}"
        assert code in (0, 1, 4, 5), f"{arguments}: {out}{err}"  # what can still be read is shown
        if code == 4 and "another program has changed it" in err:
            assert f"{BAD}: another program" in err
            assert "take the file as it was before" in err


@pytest.mark.parametrize("alteration", ALTERED)
@pytest.mark.parametrize(
    "how", [["--into", "results/f-001.h5"], ["--co"], ["--co", "--into", "results/f-001.h5"], []]
)
def test_a_study_that_would_go_on_in_such_a_file_tells_it_too(
    recorded, tmp_path, monkeypatch, capsys, alteration, how
):
    (tmp_path / "results").mkdir()
    file = shutil.copy(recorded / "whole.h5", tmp_path / "results" / "f-001.h5")
    shutil.copy(recorded / "sim_f.py", tmp_path)
    with h5py.File(file, "r+") as opened:
        ALTERED[alteration](opened)
    monkeypatch.chdir(tmp_path)
    code = main(["-n", "0", *how])
    out, err = capsys.readouterr()
    assert "Traceback" not in err, err
    assert code in (0, 1, 4, 5), f"{out}{err}"
    if code == 4:
        assert "results/f-001.h5" in err
