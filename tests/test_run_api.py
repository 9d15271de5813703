"""simkit without the command: scripts, notebooks and tests."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest

import simkit
from simkit import experiment, explore, parameter, product


@parameter
def offset(scale=10.0):
    """A provider in the module of the function."""
    return scale * 2


@experiment
@product(x=[1.0, 2.0, 3.0], y=[6.0, 7.0])
def multiply(x: float, y: float, gain: float = 1.0) -> dict[str, float]:
    """Multiply two numbers."""
    return {"z": x * y * gain}


def plain(x, offset, rng, seed):
    return x + offset, rng.normal()


def shaky(x):
    if x >= 2:
        raise ValueError(f"no luck with {x}")
    return x


@pytest.fixture
def file(tmp_path):
    return tmp_path / "out.h5"


def test_a_decorated_function(file):
    with simkit.run(multiply, output=file) as traj:
        assert isinstance(traj, simkit.Trajectory)
        assert np.array_equal(traj["z"].reshape(3, 2), np.outer([1, 2, 3], [6, 7]))
        assert traj.status.tolist() == ["done"] * 6
        assert traj.path == file
        assert traj.name == "multiply"
    assert multiply(2.0, 3.0) == {"z": 6.0}  # decorating wrapped nothing
    with simkit.open(file) as traj:
        assert traj["z"].tolist() == [6, 7, 12, 14, 18, 21]


def test_an_undecorated_function_with_a_space_a_seed_and_providers(file):
    space = explore(x=[1, 2, 3])
    with simkit.run(plain, space, seed=4, output=file) as traj:
        assert [value[0] for value in traj["result"]] == [21.0, 22.0, 23.0]
        assert traj.parameters.offset == 20.0
        assert traj.info.root_seed == 4
        draws = [value[1] for value in traj["result"]]
        assert draws == [np.random.default_rng(seed).normal() for seed in traj.seeds.tolist()]
    with simkit.run(plain, space, seed=4, output=file.with_name("two.h5"), workers=2) as traj:
        assert [value[1] for value in traj["result"]] == draws


def test_a_space_in_place_of_the_decorators_and_values_laid_on_top(file):
    with simkit.run(multiply, product(x=[5]), set={"gain": 2, "y": 1}, output=file) as traj:
        assert traj["z"].tolist() == [10.0]
        assert traj.parameters.gain == 2.0
        assert type(traj.parameters.gain) is float
        assert traj.explored == ("x",)
    with pytest.raises(simkit.SimkitError, match=r"multiply does not use 'gian'; did you mean 'gain'\?"):
        simkit.run(multiply, set={"gian": 2}, output=file)
    with pytest.raises(simkit.SimkitError, match=r"'x' is explored"):
        simkit.run(multiply, set={"x": 2}, output=file)
    with pytest.raises(simkit.SimkitError, match=r"'w' is explored, but nothing in experiment multiply"):
        simkit.run(multiply, product(w=[1]), set={"x": 1, "y": 1}, output=file)


def test_running_again_continues(file):
    calls = file.with_name("calls")

    def counted(x):
        with open(calls, "a") as told:
            told.write(f"{x} ")
        return x * x

    simkit.run(counted, product(x=[1, 2]), output=file).close()
    simkit.run(counted, product(x=[1, 2]), output=file).close()
    assert calls.read_text().split() == ["1", "2"]
    with simkit.run(counted, product(x=[1, 5, 2]), output=file) as traj:
        assert traj["x"].tolist() == [1, 2, 5]
        assert traj["result"].tolist() == [1, 4, 25]
    assert calls.read_text().split() == ["1", "2", "5"]
    with simkit.run(counted, product(x=[1]), output=file, fresh=True) as traj:
        assert len(traj) == 1
    with h5py.File(file) as recorded:
        assert list(recorded) == ["counted", "counted-002"]


def test_check_raises_the_first_failure_and_keeps_the_record(file):
    with simkit.run(shaky, product(x=[1, 2, 3]), output=file) as traj:
        assert traj.status.tolist() == ["done", "failed", "failed"]
    for workers in (0, 2):
        with pytest.raises(simkit.SimkitError) as caught:
            simkit.run(shaky, product(x=[1, 2, 3]), output=file, check=True, workers=workers)
        assert "shaky: run 1 failed" in str(caught.value)
        assert "ValueError: no luck with 2" in str(caught.value)
        assert "test_run_api.py" in str(caught.value)
    with simkit.open(file) as traj:
        assert traj["result"][0] == 1
        assert traj.status.tolist() == ["done", "failed", "failed"]


def test_wrong_uses(file):
    with pytest.raises(simkit.SimkitError, match=r"x.*nothing provides it"):
        simkit.run(shaky, output=file)
    with pytest.raises(simkit.SimkitError, match="space is empty"):
        simkit.run(shaky, product(x=[]), output=file)
    for wrong in (3, "multiply", [multiply]):
        with pytest.raises((simkit.SimkitError, TypeError), match="function"):
            simkit.run(wrong, output=file)
    with pytest.raises((simkit.SimkitError, TypeError), match=r"[Ss]pace"):
        simkit.run(shaky, {"x": [1]}, output=file)
    for workers in (-1, 1.5, "many"):
        with pytest.raises((simkit.SimkitError, TypeError, ValueError), match="workers"):
            simkit.run(shaky, product(x=[1]), workers=workers, output=file)
    assert not file.exists()


# Scripts, notebooks


SCRIPT = """
import threading
import numpy as np
import simkit

{prelude}
GAIN = 3

def helper(x):
    return x * GAIN

@simkit.parameter
class Neuron:
    tau: float = 2.0

def triple(x, neuron, rng):
    return {{"y": helper(x) * neuron.tau, "draw": rng.random()}}

traj = simkit.run(triple, simkit.product(x=[1, 2, 3]), workers={workers}, seed=1, fresh=True)
print("lines", traj["y"].tolist(), traj["draw"].round(12).tolist(), traj.info.node_id, traj.path.name)
"""
SPAWN = "threading.Thread(target=threading.Event().wait, daemon=True).start()  # so fork is not safe"


def test_a_plain_script_needs_no_main_guard(project):
    told = []
    for workers, prelude in ((0, ""), (2, ""), (2, SPAWN)):
        project.file("script.py", SCRIPT.format(workers=workers, prelude=prelude))
        result = project.python("script.py")
        assert (result.code, result.err) == (0, ""), result.err
        assert result.out.count("lines") == 1  # no worker ran the script again
        told.append(result.out.split())
    assert told[0][:4] == ["lines", "[6.0,", "12.0,", "18.0]"]
    assert told[0][-2:] == ["script.py::triple", "triple-001.h5"]
    assert told[0][:-1] == told[1][:-1] == told[2][:-1]
    assert project.open("triple-003").info.sessions[0]["code"]


def test_a_function_without_a_file_as_in_a_notebook(project):
    script = SCRIPT.format(workers=2, prelude="")
    for command, stdin in ((["-c", script], ""), (["-"], script)):
        result = project.python(*command, stdin=stdin)
        assert (result.code, result.err) == (0, ""), result.err
        assert result.out.split()[:4] == ["lines", "[6.0,", "12.0,", "18.0]"]
    assert project.open("triple-001")["y"].tolist() == [6.0, 12.0, 18.0]


def test_a_script_uses_the_projects_providers_and_configuration(project):
    project.file("pyproject.toml", "[tool.simkit.parameters]\ngain = 5\n")
    project.file("simconf.py", "from simkit import parameter\n@parameter\ndef base():\n    return 100\n")
    project.file(
        "inner/script.py",
        """
        import simkit

        @simkit.experiment
        @simkit.product(x=[1, 2])
        def scaled(x, base, gain=1):
            return base + gain * x

        if __name__ == "__main__":
            print(simkit.run(scaled)["result"].tolist())
        """,
    )
    result = project.python("inner/script.py")
    assert (result.out, result.err) == ("[105, 110]\n", "")
    assert project.open("scaled-001").info.node_id == "inner/script.py::scaled"
    # The same file is an experiment of the command: one trajectory for both.
    again = project.ok("inner/script.py")
    assert "2 of 2 are done already" in again.out
    assert "continu" not in again.err


def test_interrupting_a_script_raises_keyboard_interrupt_and_keeps_what_is_done(project):
    project.file(
        "script.py",
        """
        import os, signal
        import simkit

        def suicidal(x):
            if x == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return x

        try:
            simkit.run(suicidal, simkit.product(x=[1, 2, 3]))
        except KeyboardInterrupt:
            print("interrupted")
        print(simkit.open("suicidal").status.tolist())
        """,
    )
    result = project.python("script.py")
    assert result.out.splitlines() == ["interrupted", "['done', 'done', 'pending']"], result.err


# simkit.Run and simkit.call


def test_a_run_alone_only_collects():
    run = simkit.Run()
    assert (run.index, run.trial) == (0, 0)
    run.add(z=1, **{"spikes.t": [1.0, 2.0]})
    run.append(v=1.5)
    run.append(v=2.5)
    run.note("diverged")
    run.note(z="first second only")
    assert run.results["z"] == 1
    assert run.results["spikes.t"] == [1.0, 2.0]
    assert isinstance(run.results["v"], np.ndarray)
    assert run.results["v"].tolist() == [1.5, 2.5]
    assert [tuple(note) for note in run.notes] == [("", "diverged"), ("z", "first second only")]
    with pytest.raises(simkit.SimkitError, match=r"'z' was added twice"):
        run.add(z=2)
    with pytest.raises(simkit.SimkitError, match=r"'v' was added twice"):
        run.add(v=2)
    with pytest.raises(simkit.SimkitError, match=r"'z' is a result"):
        run.append(z=2)
    assert run.results["z"] == 1
    assert simkit.Run(index=7, trial=2).index == 7

    def simulate(run, x):
        run.add(y=x)

    another = simkit.Run()
    simulate(another, 4)
    assert another.results == {"y": 4}


def test_call_makes_one_run_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert simkit.call(multiply, x=2.0, y=3.0) == {"z": 6.0}
    assert simkit.call(multiply, x=2.0, y=3.0, gain=2.0) == {"z": 12.0}
    assert simkit.call(plain, x=1)["result"][0] == 21.0
    assert simkit.call(plain, x=1) == simkit.call(plain, x=1)
    assert simkit.call(plain, x=1, seed=3)["result"][1] == np.random.default_rng(3).normal()
    assert simkit.call(plain, x=1, offset=5)["result"][0] == 6
    assert simkit.call(lambda run: run.add(a=1)) == {"a": 1}
    with pytest.raises(ValueError, match="no luck with 2"):
        simkit.call(shaky, x=2)
    with pytest.raises(simkit.SimkitError, match="'x'"):
        simkit.call(shaky)
    with pytest.raises(simkit.SimkitError, match="cannot store"):
        simkit.call(lambda: {"a": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_raises_keyboard_interrupt_itself_is_a_failed_run(tmp_path):
    def f(x):
        if x == 1:
            raise KeyboardInterrupt
        return x

    traj = simkit.run(f, simkit.explore(x=[0, 1, 2]), output=tmp_path / "f.h5")
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert "KeyboardInterrupt" in traj.error(1)


def test_runs_that_failed_are_a_warning_with_the_first_and_how_to_see_it(tmp_path):
    def f(x):
        if x > 1:
            raise ValueError(f"no luck with {x}")
        return {"z": 1.0}

    space = simkit.product(x=[1, 2, 3])
    words = (
        r"f: 2 of 3 runs not done, .* run 1 failed: ValueError: no luck with 2\n .* print\(traj.error\(1\)\)"
    )
    with pytest.warns(UserWarning, match=words) as caught:
        trajectory = simkit.run(f, space, output=tmp_path / "a.h5")
    assert caught[0].filename == __file__
    assert "no luck with 2" in trajectory.error(1)
    assert trajectory.where("status != 'done'").index.tolist() == [1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simkit.run(f, simkit.product(x=[1, 0]), output=tmp_path / "b.h5")  # nothing to say
        with pytest.raises(simkit.SimkitError, match="run 1 failed"):
            simkit.run(f, space, output=tmp_path / "c.h5", check=True)
