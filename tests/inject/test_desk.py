"""Programs, files and templates of runs, wherever these are executed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import simkit
from simkit import SimkitError, product

SHARED = f"""
    from simkit import experiment, fixture, parameter, product
    from subprocess import CalledProcessError, TimeoutExpired
    PYTHON = {sys.executable!r}

    @parameter
    class Neuron:
        tau: float = 20.0
        N: int = 3

    @parameter
    def twice(x):
        return 2 * x
"""
STUDY = (
    SHARED
    + """
    @experiment
    @product(x=[1, 2, 3, 4])
    def f(x, run, {more}neuron: Neuron, dt: float = 0.1, twice=0):
        written = run.template("params.in", "params.txt", hint="none")
        code = "import sys; print(open('params.txt').read()); open('out.dat', 'w').write('{{}}' * int(sys.argv[1]))"
        done = run.command([PYTHON, "-c", code, x])
        run.attach("*.dat")
        run.attach("params.txt")
        if x == 3:
            run.command([PYTHON, "-c", "raise SystemExit(7)"])
        return {{"text": done.stdout.decode().strip(), "folder": str(written.parent)}}
"""
)
TEMPLATE = "$x ${neuron.tau} ${neuron.N} $dt $hint"


def attached(traj):
    return [dict(traj.files(i)) for i in range(len(traj))]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("more", ["", "rng, "])
def test_runs_have_programs_files_and_templates(study, workers, more):
    """With and without anything that is made for each run; the template stands beside the experiment."""
    study.write("params.in", TEMPLATE)
    text = STUDY.format(more=more)
    with pytest.warns(UserWarning, match="1 of 4 runs not done.*exit code 7"):
        traj = study.run(text, workers=workers)
    assert traj.status.tolist() == ["done", "done", "failed", "done"]
    expected = [f"{x} 20.0 3 0.1 none" for x in (1, 2, 3, 4)]
    assert [traj.runs[i].text for i in (0, 1, 3)] == [expected[i] for i in (0, 1, 3)]
    assert attached(traj) == [
        {"out.dat": b"{}" * (i + 1), "params.txt": expected[i].encode()} for i in range(4)
    ]
    assert [[one.exit_code for one in traj.commands(i)] for i in range(4)] == [[0], [0], [0, 7], [0]]
    assert traj.commands(2)[1].arguments == (sys.executable, "-c", "raise SystemExit(7)")
    folders = [Path(traj.runs[i].folder) for i in (0, 1, 3)]
    assert len({*folders}) == 3
    assert not any(folder.exists() for folder in folders)
    kept = Path(traj.error(2).rpartition("kept: ")[2].rstrip(")"))
    assert (kept / "params.txt").read_text() == expected[2]
    if workers:
        assert all(expected[i] in traj.log(i) for i in range(4))


def test_a_call_without_a_file_has_them_too(study):
    study.write("params.in", TEMPLATE)
    results = study.call(STUDY.format(more=""), x=2)
    assert results["text"] == "2 20.0 3 0.1 none"


def test_what_varies_is_filled_in_as_it_is_in_the_run(study):
    """A derived parameter, a field of a group, a trial."""
    study.write("params.in", "$x $twice ${neuron.tau}")
    text = (
        SHARED
        + """
    @experiment
    @(product({"neuron.tau": [1.0, 2.0]}, x=[1, 2]).repeat(2))
    def f(x, run, neuron: Neuron, twice):
        return run.template("params.in", "p").read_text()
"""
    )
    traj = study.run(text)
    expected = [f"{x} {2 * x} {tau}" for tau in (1.0, 2.0) for x in (1, 2) for _ in range(2)]
    assert sorted(traj["result"].tolist()) == sorted(expected)
    assert [f"{run.x} {run.twice} {run.neuron.tau}" for run in traj.runs] == traj["result"].tolist()


def test_the_workdir_of_a_run_is_the_folder_of_its_programs(study):
    text = (
        SHARED
        + """
    @experiment
    @product(x=[1, 2])
    def f(run, workdir, x):
        (workdir / "a.txt").write_text(str(x))
        run.attach("a.txt")
        return run.command([PYTHON, "-c", "import os; print(os.getcwd())"], text=True).stdout.strip() == str(workdir)
"""
    )
    traj = study.run(text)
    assert traj["result"].tolist() == [True, True]
    assert traj.files(1) == {"a.txt": b"2"}


def test_a_missing_name_in_a_template_fails_the_run(study):
    study.write("params.in", "$tau")
    text = SHARED + "\n    @experiment\n    def f(run, tua=1):\n        run.template('params.in', 'p')\n"
    with pytest.raises(SimkitError, match=r"params.in:1: no parameter 'tau'; did you mean 'tua'\?"):
        study.call(text)


def test_templates_and_programs_of_the_project_are_inputs_of_the_runs(study):
    """Typing the same again with another template makes the runs anew."""
    study.write("params.in", "$x")
    study.write("solver.py", "print(1)")
    text = (
        SHARED
        + """
    @experiment
    @product(x=[1, 2])
    def f(x, run):
        run.command([PYTHON, "-c", ""], stdin=run.template("params.in", "p"))
        return run.template("params.in", "p").read_text()
"""
    )
    first = study.run(text)
    assert study.run(text).path == first.path
    study.write("params.in", "$x!")
    second = study.run(text)
    assert second.path != first.path
    assert second["result"].tolist() == ["1!", "2!"]


@pytest.mark.parametrize("workers", [0, 1])
def test_large_files_leave_no_copy_behind(study, workers, tmp_path, monkeypatch):
    """Neither those that are recorded, nor those of a run that is done again or is not recorded."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    text = (
        SHARED
        + """
    import random
    @experiment
    @product(x=[1, 2, 3])
    def f(x, run, workdir):
        random.random()  # so that a batch is done again with care
        (workdir / "large").write_bytes(bytes([x]) * 6_000_000)
        run.attach("large")
        return x
"""
    )
    traj = study.run(text, workers=workers)
    assert [traj.files(i)["large"] == bytes([i + 1]) * 6_000_000 for i in range(3)] == [True] * 3
    assert study.call(text, x=7) == {"result": 7}
    left = [name for name in os.listdir(tmp_path / "tmp") if "files" in name]
    assert left == []


def test_only_runs_have_files(study):
    text = (
        SHARED
        + """
    from simkit import after
    @experiment
    @product(x=[1, 2])
    def f(x, run):
        return x

    @after(f)
    def total(run, trajectory, workdir):
        (workdir / "a").write_text("a")
        run.command([PYTHON, "-c", ""])
        run.attach("a")
        return 1
"""
    )
    with pytest.warns(UserWarning, match="only runs have files; return what you want to keep"):
        study.run(text)


def test_a_handle_without_programs_costs_no_folder(study, monkeypatch):
    made = []
    monkeypatch.setattr("simkit.inject.desk.own_folder", lambda *_: made.append(1))
    traj = study.run(SHARED + "\n    @experiment\n    def f(run, a=1):\n        run.add(z=a)\n")
    assert traj["z"].tolist() == [1]
    assert made == []


def test_functions_of_a_script_name_their_templates_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.simkit]\n")
    (tmp_path / "in.txt").write_text("$x")

    def local(x, run):
        return run.template(tmp_path / "in.txt", "out.txt").read_text()

    traj = simkit.run(local, product(x=np.array([0.5, 1.5])), output="local.h5")
    assert traj["result"].tolist() == ["0.5", "1.5"]
