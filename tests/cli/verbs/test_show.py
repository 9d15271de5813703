"""``simkit show``: a file, or one run of it, told on the terminal."""

from __future__ import annotations

import pytest

SOURCE = '''
from typing import Annotated
import numpy as np
from simkit import Unit, experiment, parameter, product

@parameter
class Neuron:
    N: Annotated[int, "number of neurons"] = 100
    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0

@experiment
@product(x=[1, 2, 3])
def spiking(x, neuron, run):
    """Spikes of a population."""
    print("begin", x)
    run.note("first note")
    run.note(z="only a guess")
    if x == 2:
        raise ValueError(f"diverged at {x}")
    return {"z": x * neuron.tau, "trace": np.zeros((100, 3)), "deep.er": "text"}

@experiment
@product(y=[1.5])
def other(y):
    return y
'''


@pytest.fixture(scope="module")
def study(shared):
    shared.file("sim_show.py", SOURCE)
    assert shared.simkit("--output", "study.h5").code == 1
    assert shared.simkit("-k", "spiking").code == 1
    return shared


def test_a_file_at_a_glance(study):
    out = study.ok("show", "results/spiking-001.h5").out
    assert "<Trajectory spiking: 3 runs, 2 done, 1 failed>" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "x int, explored" in lines
    assert "neuron.N = 100 number of neurons" in lines
    assert "neuron.tau = 20.0 ms membrane time constant" in lines
    assert "z float" in lines
    assert "trace float64 (100, 3)" in lines
    assert "deep.er str" in lines
    assert lines[-6:] == [
        "x deep.er z status", "run", "0 1 text 20.0 done", "1 2 NaN NaN failed", "2 3 text 60.0 done",
        "results/spiking-001.h5",
    ]  # fmt: skip


def test_the_head_of_a_long_or_wide_table(project):
    project.file(
        "sim_wide.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=range(20))
        def wide(x, gain=3):
            return {f"r{i}": x for i in range(12)} | {"text": "long " * 20}

        @experiment
        def single(x=1):
            return None
        """,
    )
    project.ok("-q")
    lines = project.ok("show", "wide").out.splitlines()
    assert lines[-9].split() == ["x", "r0", "r1", "r2", "...", "r9", "r10", "r11", "text"]
    assert lines[-3].endswith("long long long long ...")
    assert lines[-2:] == ["  … 15 more", "  results/wide-001.h5"]
    assert project.ok("show", "single").out.splitlines()[-2:] == ["    x  = 1", "  results/single-001.h5"]


def test_a_done_run(study):
    out = study.ok("show", "results/spiking-001.h5", "--run", "0").out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "sim_show.py::spiking[0]" in lines[0]
    assert lines[1].startswith("status: done seconds: ")
    for line in (
        "x 1",
        "neuron.N 100",
        "neuron.tau 20.0",
        "z 20.0",
        "trace array float64 (100, 3)",
        "deep.er 'text'",
        "first note",
        "z: only a guess",
        "begin 1",
    ):
        assert line in lines, out
    assert lines.index("parameters") < lines.index("results") < lines.index("notes") < lines.index("log")
    assert "error" not in lines
    assert lines[-1] == "replay: simkit 'sim_show.py::spiking[0]' --pdb"


def test_a_failed_run(study):
    out = study.ok("show", "results/spiking-001.h5", "--run", "1").out
    assert "status: failed" in out
    assert "x           2" in out
    assert "begin 2" in out
    assert 'sim_show.py", line 19, in spiking' in out
    assert "ValueError: diverged at 2" in out
    assert "results" not in [line.strip() for line in out.splitlines()]
    assert "replay: simkit 'sim_show.py::spiking[1]' --pdb" in out
    replay = study.simkit("sim_show.py::spiking[1]", "--pdb", stdin="c\n")
    assert replay.code == 1
    assert "ValueError: diverged at 2" in replay.out


def test_the_provenance_of_each_session(study):
    out = study.ok("show", "results/spiking-001.h5", "--provenance").out
    session = study.open("spiking-001").info.sessions[0]
    assert out.splitlines()[0].strip("= ") == "sim_show.py::spiking"
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[1].startswith("session 1 2")
    assert lines[1].endswith(": 1 failed, 2 done") or lines[1].endswith(": 2 done, 1 failed")
    assert "command simkit -k spiking" in lines
    assert f"seed {session['root_seed']}" in lines
    assert f"simkit {session['simkit']}, Python {session['python']}" in lines
    assert f"numpy {session['packages']['numpy']}" in out
    assert f"{session['user']}@{session['host']}" in out
    digest = session["sources"]["sim_show.py"]
    assert f"sources sim_show.py {len(SOURCE)} B {digest[:12]}" in lines
    assert lines[-1] == "the sources again: simkit restore results/spiking-001.h5 DIR"
    both = study.ok("show", "study.h5", "--provenance").out
    assert "sim_show.py::spiking" in both
    assert "sim_show.py::other" in both
    assert "sim_show.py::other" not in study.ok("show", "study.h5", "spiking", "--provenance").out


def test_several_experiments_in_a_file(study):
    out = study.ok("show", "study.h5").out
    assert "<Trajectory spiking: 3 runs, 2 done, 1 failed>" in out
    assert "<Trajectory other: 1 runs, 1 done>" in out or "<Trajectory other: 1 run, 1 done>" in out
    assert "<Trajectory other" not in study.ok("show", "study.h5", "spiking").out
    assert "result  1.5" in study.ok("show", "study.h5", "other", "--run", "0").out
    ambiguous = study.simkit("show", "study.h5", "--run", "0")
    assert ambiguous.code == 4
    assert "study.h5 holds several experiments: spiking, other" in ambiguous.err
    wrong = study.simkit("show", "study.h5", "spikin")
    assert wrong.code == 4
    assert "study.h5 has no experiment 'spikin'\n    experiments there: spiking, other" in wrong.err


def test_a_file_is_named_as_every_verb_takes_it(study):
    assert study.ok("show", "study.h5::other").out == study.ok("show", "study.h5", "other").out
    assert study.ok("show", "spiking").out == study.ok("show", "results/spiking-001.h5").out
    one_run = study.ok("show", "spiking", "--run", "0").out
    assert "status: done" in one_run
    study.ok("export", "spiking", "z.csv", "--names", "z")
    study.ok("restore", "spiking", "again")
    assert (study.path / "again" / "sim_show.py").read_text() == SOURCE
    unknown = study.simkit("show", "spikin")
    assert unknown.code == 4
    assert "no trajectory of 'spikin' in results\n    there: spiking" in unknown.err


def test_wrong_runs_and_options(study):
    for run in ("3", "-1"):
        wrong = study.simkit("show", "results/spiking-001.h5", "--run", run)
        assert wrong.code == 4
        assert f"--run {run}: the runs of spiking are numbered 0 to 2" in wrong.err
    assert study.simkit("show", "results/spiking-001.h5", "--run", "x").code == 4
    assert study.simkit("show").code == 4
    assert "FILE" in study.ok("show", "--help").out


def test_a_file_that_is_no_trajectory(study):
    study.file("notes.txt", "dear diary")
    wrong = study.simkit("show", "notes.txt")
    assert wrong.code == 4
    assert "notes.txt: not a trajectory file: it is not an HDF5 file" in wrong.err
    wrong = study.simkit("show", "results")
    assert wrong.code == 4
    assert "results" in wrong.err
    assert "Traceback" not in wrong.err


def test_show_ends_quietly_when_its_reader_has_seen_enough(study):
    with study.under_way("show", "study.h5") as process:
        process.stdin.close()
        process.stdout.close()  # as `simkit show … | head -0` does
        assert process.stderr.read() == ""
        process.wait(60)
    assert process.returncode == 0
