"""Where am I: the trajectories that are here, and which one the present code continues."""

from __future__ import annotations

import pytest

SOURCE = """
    from simkit import experiment, parameter, product

    @parameter
    class Neuron:
        gamma: float = 0.2
        tau: float = 20.0

    @experiment
    @product(x=[1, 2, 3])
    def spiking(x, neuron):
        if x == 2:
            raise ValueError(x)
        return x * neuron.gamma

    @experiment
    @product(y=[1.5, 2.5])
    def other(y):
        return y
"""


def words(out):
    return [" ".join(line.split()) for line in out.splitlines()]


@pytest.fixture(scope="module")
def study(shared):
    shared.file("sim_list.py", SOURCE)
    shared.file("notes/foreign.h5", "no HDF5")
    assert shared.simkit("-n", "0").code == 1
    assert (
        shared.simkit("-n", "0", "-k", "spiking", "--set", "neuron.gamma=0.25", "--where", "x == 1").code == 0
    )
    return shared


def test_a_trajectory_that_is_being_written_says_so(project):
    project.file(
        "sim_slow.py",
        """
        import pathlib, time
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2])
        def slow(x, run):
            run.checkpoint()
            pathlib.Path("begun").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            return x
        """,
    )
    with project.under_way("-n", "1") as process:
        project.until(lambda: project.has("begun"))
        project.until(lambda: list(project.path.glob("results/slow-001.h5")))
        writing = f"process {process.pid} on "
        assert f"{writing}" in project.ok("list").out
        assert " is writing it\n" in project.ok("list").out
        assert " is writing it: this is how far it is now\n" in project.ok("show", "slow").out
        line = project.ok("list", "--json").out.splitlines()[0]
        assert f'"writer": "{writing}' in line
        project.file("go")
        process.communicate(timeout=600)
    assert "is writing it" not in project.ok("list").out + project.ok("show", "slow").out


def test_each_trajectory_has_its_runs_and_what_tells_it_apart(study):
    before = {path: path.read_bytes() for path in study.path.joinpath("results").iterdir()}
    out = study.ok("list").out
    assert {path: path.read_bytes() for path in study.path.joinpath("results").iterdir()} == before
    lines = words(out)
    assert lines.index("sim_list.py::other") < lines.index("sim_list.py::spiking")
    first = next(line for line in lines if "results/spiking-001.h5" in line)
    second = next(line for line in lines if "results/spiking-002.h5" in line)
    assert first.startswith("results/spiking-001.h5 2 done, 1 failed neuron.gamma=0.2 ")
    assert second.startswith("results/spiking-002.h5 1 done, 2 pending neuron.gamma=0.25 ")
    assert "tau" not in out
    assert first.endswith("simkit continues it")
    assert not second.endswith("simkit continues it")
    size = study.path.joinpath("results/spiking-001.h5").stat().st_size
    assert f" {size / 1000:.0f} kB 2" in first
    assert lines[-1] == "3 trajectories, 5 of 8 runs done"
    assert "foreign" not in out


def test_it_is_said_why_no_trajectory_would_be_continued_compared_with_the_nearest(study, project):
    project.file("sim_list.py", SOURCE.replace("0.2", "0.3"))
    for path in study.path.joinpath("results").iterdir():
        project.file(f"results/{path.name}").write_bytes(path.read_bytes())
    lines = words(project.ok("list", "spiking").out)
    assert "simkit begins the next one: neuron.gamma was 0.25, now" in " ".join(lines)
    assert not [line for line in lines if line.endswith("simkit continues it")]
    assert lines[-1] == "2 trajectories, 3 of 6 runs done"


def test_status_is_another_word_for_it_and_takes_files_and_folders(study):
    lines = words(study.ok("status", "results/spiking-002.h5").out)
    assert [line for line in lines if line.startswith("results/")] == [lines[1]]
    assert lines[1].startswith("results/spiking-002.h5 1 done, 2 pending ")
    assert words(study.ok("status", "results").out)[-1] == "3 trajectories, 5 of 8 runs done"


def test_a_name_that_is_not_there_is_answered_with_the_nearest(study):
    result = study.simkit("list", "spikin")
    assert result.code == 4
    assert "no file, folder or recorded experiment 'spikin'" in result.err
    assert "spiking" in result.err.partition("experiments:")[2]


def test_nothing_is_there(project):
    result = project.simkit("list")
    assert result.code == 5
    assert "no trajectory below" in result.err
    assert "run simkit first" in result.err


def test_experiments_that_cannot_be_imported_or_are_gone_are_listed_all_the_same(project):
    project.file("sim_f.py", "from simkit import experiment\n\n@experiment\ndef f():\n    return 1\n")
    project.ok("-n", "0")
    project.file("sim_f.py", "import nowhere\n")
    out = project.ok("list").out
    assert "results/f-001.h5  1 done" in out
    assert "which ones simkit would continue is not known: " in out
    assert "nowhere" in out
    project.file("sim_f.py", "from simkit import experiment\n\n@experiment\ndef g():\n    return 1\n")
    assert "it is not in the project now" in project.ok("list").out


def test_a_damaged_file_hides_no_other(project):
    project.file("sim_f.py", "from simkit import experiment\n\n@experiment\ndef f():\n    return 1\n")
    project.ok("-n", "0")
    whole = project.path / "results/f-001.h5"
    project.file("results/f-000.h5").write_bytes(whole.read_bytes()[:3000])
    result = project.simkit("list")
    assert result.code == 4
    assert "results/f-001.h5  1 done" in result.out
    assert "f-000.h5" in result.err


def test_several_experiments_of_one_file_and_folders_below(project):
    project.file("sim_list.py", SOURCE)
    project.simkit("-n", "0", "--output", "deep/er/both.h5")
    project.simkit("-n", "0", "--output", "deep/er/both.h5", "--set", "neuron.tau=7", "-k", "spiking")
    lines = words(project.ok("list").out)
    assert any(line.startswith("deep/er/both.h5::spiking 2 done, 1 failed neuron.tau=20.0") for line in lines)
    assert any(
        line.startswith("deep/er/both.h5::spiking-002 2 done, 1 failed neuron.tau=7.0") for line in lines
    )
    assert any(line.startswith("deep/er/both.h5 2 done") for line in lines)
