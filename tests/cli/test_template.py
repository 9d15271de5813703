"""The first study that ``simkit --init`` writes."""

from __future__ import annotations

import pytest

from simkit.cli.template import FILES


def test_it_is_written_runs_and_is_continued(project):
    result = project.ok("--init")
    assert sorted(file.name for file in project.path.glob("*.py")) == sorted(FILES)
    assert "simkit --co" in result.out
    assert "6 done, 1 after done" in project.ok("-n", "0", "--seed", "1").out
    assert "0 runs to do" in project.ok("-n", "0").out
    assert "0 runs to do" not in project.ok("-n", "0", "--set", "clock.steps=10").out
    traj = project.open("walk-001")
    assert traj["path"].shape == (6, 1000)
    assert traj.summary.spread == traj["end"].std()


def test_another_folder(project):
    project.ok("--init", "studies/first")
    assert (project.path / "studies/first/sim_example.py").exists()
    project.ok("--init", "second")
    assert (project.path / "second/simconf.py").exists()
    assert not (project.path / "sim_example.py").exists()


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_over(project, name):
    project.file(name, "mine = 1\n")
    result = project.simkit("--init")
    assert result.code == 4
    assert f"{name} is there already: --init writes over nothing" in result.err
    assert (project.path / name).read_text() == "mine = 1\n"
    assert len(list(project.path.glob("*.py"))) == 1


def test_one_folder_only(project):
    result = project.simkit("--init", "a", "b")
    assert (result.code, "--init takes one folder, not 2: a b" in result.err) == (4, True)


def test_a_folder_without_experiments_says_how_to_begin(project):
    result = project.simkit()
    assert (result.code, "simkit --init" in result.err) == (5, True)
