"""Relative places mean what they meant where the command was typed, wherever what it executes goes meanwhile."""

from __future__ import annotations

import pytest

import simkit
from simkit.cli.main import main

SOURCE = """
import os, tempfile
from simkit import after, experiment, fixture, parameter, product
{top}

@fixture{scope}
def here():
    {fixture}
    yield 1
    {teardown}

@parameter
def factor():
    {parameter}
    return 2

@experiment
@product(x=[1, 2, 3])
def moves(x, here, factor):
    {run}
    return x * factor

@after(moves)
def summed(trajectory):
    {after}
    return {{"sum": int(trajectory["result"].sum())}}

@experiment
@product(x=[1, 2])
def stays(x):
    return x
"""
REMOVED = "folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder)"
GOES = {
    "run": {"run": "os.makedirs('sub', exist_ok=True); os.chdir('sub')"},
    "run, into one that it removes": {"run": REMOVED},
    "fixture": {"fixture": "os.chdir('/')", "teardown": "os.chdir('/tmp')"},
    "shared fixture": {"fixture": "os.chdir('/')", "scope": "(scope='experiment')"},
    "end of a shared fixture": {"teardown": REMOVED, "scope": "(scope='experiment')"},
    "parameter": {"parameter": "os.chdir('/')"},
    "after": {"after": REMOVED},
    "top of the file": {"top": "os.chdir('/')"},
    "import": {"top": "import helper"},
}


def written(project, where):
    parts = dict.fromkeys(("top", "fixture", "teardown", "parameter", "run", "after"), "pass")
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("helper.py", "import os\nos.chdir('/')\n")
    project.file("sim_places.py", SOURCE.format(**{**parts, "scope": "", **GOES[where]}))


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("where", GOES)
def test_the_output_is_where_it_was_asked_for(project, where, workers):
    written(project, where)
    for arguments in (["sim_places.py"], [], ["sim_places.py::moves", "sim_places.py::stays"]):
        ended = project.ok("-n", workers, "--output", "out/o.h5", *arguments)
        assert 'simkit.open("out/o.h5", "stays")' in ended.out
    assert "2 runs to do" not in ended.out
    assert [path.relative_to(project.path).as_posix() for path in project.path.rglob("*.h5*")] == ["out/o.h5"]
    with simkit.open(project.path / "out/o.h5", "moves") as moves:
        assert moves["result"].tolist() == [2, 4, 6]
        assert moves.summary.sum == 12
    with simkit.open(project.path / "out/o.h5", "stays") as stays:
        assert stays["result"].tolist() == [1, 2]
    assert "out/o.h5" in project.ok("--co", "--into", "out/o.h5", "-k", "moves").out
    assert "3 of 3 runs" in project.ok("verify", "out/o.h5", "moves").out


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("where", ["run", "run, into one that it removes", "parameter"])
def test_the_output_of_a_script_is_where_it_was_asked_for(project, where, workers):
    written(project, where)
    lines = [
        "import os, simkit",
        "from sim_places import moves, stays",
        *[f"t = simkit.run({f}, output='o.h5', workers={workers}); t.close()" for f in ("moves", "stays")],
        f"with simkit.start(moves, output='own.h5', workers={workers}) as study: study.run(simkit.explore(x=[7, 8]))",
        "traj = simkit.open('o.h5', 'moves')",
        "os.chdir('/')",
        "assert traj.replay(1) == {'result': 4}, traj.replay(1)",
        "print(traj['result'].tolist(), traj.runs[2].x)",
    ]
    ended = project.python("-c", "\n".join(lines))
    assert ended.out.splitlines()[-1:] == ["[2, 4, 6] 3"], ended.err
    assert sorted(path.name for path in project.path.rglob("*.h5*")) == ["o.h5", "own.h5"]
    with simkit.open(project.path / "own.h5") as own:
        assert own["result"].tolist() == [14, 16]


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["sim_a.py"], ["--co"], ["--init"], ["list"], ["watch"], ["show", "o"], ["show", "o.h5"],
        ["export", "o.h5", "o.csv"], ["merge", "all.h5", "o.h5"], ["verify", "o.h5"], ["restore", "o.h5", "there"],
        ["report", "o.h5"], ["diff", "o", "o"], ["repair", "o.h5"], ["rename", "a", "b"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_folder_that_has_been_removed_is_told(tmp_path, monkeypatch, capsys, arguments):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(arguments) == 4
    told = capsys.readouterr().err
    assert "has been removed" in told or "o such file" in told
    assert "Traceback" not in told


def test_what_needs_no_folder_goes_on_in_one_that_has_been_removed(tmp_path, monkeypatch, capsys):
    simkit.run(lambda x: {"z": x}, simkit.product(x=[1, 2]), output=tmp_path / "o.h5").close()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    file = str(tmp_path / "o.h5")
    for words in (["show", file], ["verify", "--file", file], ["diff", file, file], ["repair", file]):
        assert main(words) == 0, capsys.readouterr().err
    assert "2 runs" in capsys.readouterr().out
    with simkit.open(file) as trajectory:
        assert trajectory["z"].tolist() == [1, 2]
