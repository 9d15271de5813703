"""What a user reads where something is not as it was meant: each text as it stands."""

from __future__ import annotations

import os
import signal

import pandas
import pytest

import simkit

SOURCE = """
import numpy as np
from simkit import experiment, parameter, product

@parameter
class Neuron:
    gamma: float = 0.1
    tau: float = 10.0

@parameter
def dt(neuron, share=0.01) -> float:
    return neuron.tau * share

@experiment
@product(x=[1.0, 2.0])
def spiking(x, neuron, dt, gain: float = 1.0):
    return x * neuron.gamma * dt * gain
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("gamma: float = 0.1", "gamma: float = 0.12", "neuron.gamma was 0.1, now 0.12"),
        ("gain: float = 1.0", "gain: float = 2.5", "gain was 1.0, now 2.5"),
        ("share=0.01", "share=0.02", "share was 0.01, now 0.02"),
        ("gamma: float = 0.1", "gamma: float = 0.1\n    beta: int = 3", "neuron.beta was not set, now 3"),
    ],
)
def test_a_changed_default_is_a_changed_value_and_no_code(project, old, new, words):
    project.file("sim_spiking.py", SOURCE)
    project.ok("-n", "0")
    project.file("sim_spiking.py", SOURCE.replace(old, new))
    out = project.ok("-n", "0").out
    more = "; sim_spiking.py::Neuron changed" if "beta" in new else ""
    assert f"results/spiking-001.h5 is not continued: {words}{more}; starting results/spiking-002.h5" in out


def test_what_is_computed_from_a_changed_default_is_computed_anew(project):
    project.file("sim_spiking.py", SOURCE)
    project.ok("-n", "0")
    project.file("sim_spiking.py", SOURCE.replace("tau: float = 10.0", "tau: float = 20.0"))
    project.ok("-n", "0", "--into", "results/spiking-001.h5", "--product", "x=1.0,2.0,3.0")
    assert project.open("spiking-001")["dt"].tolist() == pytest.approx([0.1, 0.1, 0.2])


@pytest.mark.parametrize(
    "change",
    [
        ("return x * neuron", "return 2 * x * neuron"),
        (
            "tau: float = 10.0",
            "tau: float = 10.0\n    def rate(self, gain=2):\n        return gain / self.tau",
        ),
    ],
)
def test_code_that_changed_is_still_code(project, change):
    project.file("sim_spiking.py", SOURCE)
    project.ok("-n", "0")
    project.file("sim_spiking.py", SOURCE.replace(*change))
    assert "changed; starting" in project.ok("-n", "0").out


def test_a_default_of_a_function_that_is_no_provider_is_code(project):
    source = SOURCE + "\ndef helper(a, b=1):\n    return a * b\n"
    source = source.replace("return x * neuron", "return helper(x) * neuron")
    project.file("sim_spiking.py", source)
    project.ok("-n", "0")
    project.file("sim_spiking.py", source.replace("b=1", "b=2"))
    assert "sim_spiking.py::helper changed; starting" in project.ok("-n", "0").out


@pytest.mark.parametrize(
    "line",
    ["signal[0] = 1.0", "np.add(signal, 1, out=signal)", "signal.sort()", "signal += 1"],
)
def test_an_array_that_may_not_be_written_into_comes_with_a_hint(project, line):
    project.file(
        "sim_w.py",
        f"import numpy as np\nfrom simkit import experiment\n@experiment\n"
        f"def w(signal=np.array([3.0, 1.0])):\n    {line}\n",
    )
    out = project.simkit("-n", "0").out
    assert (
        "(arrays that are parameters are read-only, since all runs share them: change a copy, x = x.copy())"
        in out
    )


def test_a_group_that_may_not_be_changed_comes_with_a_hint(project):
    project.file("sim_spiking.py", SOURCE.replace("    return x *", "    neuron.tau = 3\n    return x *"))
    out = project.simkit("-n", "0").out
    assert "(groups of parameters are frozen: attrs.evolve(group, field=value) gives a changed copy)" in out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("[1, 2]", "explore() gets a list with 1 in it, which is no point: it names no parameter"),
        ("[{'x': 1}, 2]", "explore() gets a list with 2 in it, which is no point: it names no parameter"),
        ("[]", "explore([]) is a list without points, so that nobody knows what is explored"),
        ("()", "explore([]) is a list without points, so that nobody knows what is explored"),
        ("'xy'", "explore() takes a mapping, a DataFrame or a list of points, not str"),
        ("3", "explore() takes a mapping, a DataFrame or a list of points, not int"),
    ],
)
def test_what_explore_cannot_take(given, words):
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.explore(eval(given))
    first, second = str(caught.value).split("\n")
    assert "test_messages.py:" in first or first.startswith("<string>:")
    assert first.endswith(words)
    assert second == (
        "    explore(x=[1, 2]) gives the values of x, explore([{'x': 1}, {'x': 2}]) a list of points"
    )


def test_unequal_axes_on_the_command_line_blame_the_option(project):
    project.file("sim_m.py", "from simkit import experiment\n@experiment\ndef m(x: int, y: int):\n    pass\n")
    error = project.simkit("--explore", "x=1,2", "y=3").err
    assert error == (
        "simkit: --explore x=1,2 y=3: the names move together, but x has 2, y has 1\n"
        "    give lists of one length, or --product for all combinations\n"
    )


def test_no_option_of_the_command_blames_what_started_it(project):
    project.file("sim_m.py", "from simkit import experiment\n@experiment\ndef m(x: int, y: int):\n    pass\n")
    launcher = project.file("simkit", "import sys\nfrom simkit.cli.main import main\nsys.exit(main())\n")
    for option in (["--product", "lambda=1"], ["--explore", "trial=1,2"], ["--sample", "4", "x.1=1:2"]):
        error = project.python(str(launcher), *option).err
        assert "simkit:3" not in error, error
        assert error.startswith("simkit: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "gain.y=3"], "gain.y"),
        (["--product", "gain.y=1,2"], "'gain.y' names a field of 'gain', which is no group (default of"),
        (["--product", "rng.y=1"], "'rng.y' names a field of 'rng', which is no group (built in)"),
        (["--product", "x.y=1,2"], "'x"),
    ],
)
def test_a_field_of_what_is_no_group_is_told_with_its_place(project, options, words):
    project.file("sim_spiking.py", SOURCE.replace("gain: float = 1.0", "rng, gain: float = 1.0"))
    result = project.simkit(*options)
    assert result.code == 4
    assert words in result.err
    assert "no group ()" not in result.err
    if "names a field" in result.err:
        assert "simkit: sim_spiking.py:14: " in result.err


def test_a_mode_in_the_place_of_the_name(project):
    project.file("sim_spiking.py", SOURCE)
    project.ok("-n", "0")
    for mode in ("r+", "r", "w"):
        with pytest.raises(simkit.SimkitError) as caught:
            simkit.open("results/spiking-001.h5", mode)
        assert str(caught.value) == (
            "the second argument names an experiment in the file: "
            f'write simkit.open("results/spiking-001.h5", mode="{mode}")'
        )


def test_a_name_that_is_not_recorded_here_names_the_whole_folder_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open("multiply")
    assert str(caught.value) == f"no trajectory of 'multiply' in {tmp_path / 'results'}\n    there: none"
    with pytest.raises(simkit.SimkitError, match="no trajectory in "):
        simkit.open()


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("run", "simkit itself runs: simkit [FILE…]"),
        ("lst", "did you mean simkit list?"),
        ("shows", "did you mean simkit show?"),
        ("stats", "did you mean simkit status?"),
        ("plot", "in Python: simkit.open(NAME).plot(RESULT)"),
        ("collect", "simkit --co shows what would run"),
        ("lorenz", "an experiment is named with its file, FILE::lorenz, or by simkit -k lorenz"),
    ],
)
def test_a_word_that_is_no_verb_is_answered(project, word, answer):
    result = project.simkit(word)
    assert result.code == 4
    assert result.err == f"simkit: no such file or folder: {word}\n    {answer}\n"


def test_a_pending_run_has_no_seconds(project):
    project.file("sim_spiking.py", SOURCE)
    project.ok("-n", "0", "--where", "x < 2")
    assert "status: pending\n" in project.ok("show", "spiking", "--run", "1").out
    assert "seconds: " in project.ok("show", "spiking", "--run", "0").out


def test_stopping_before_any_run_is_done_does_not_say_that_nothing_is_to_do(project):
    project.file(
        "sim_wait.py",
        "import time\nfrom pathlib import Path\nfrom simkit import experiment\n@experiment\ndef wait():\n"
        "    Path('begun').touch()\n    while not Path('go').exists():\n        time.sleep(0.01)\n",
    )
    with project.under_way("-n", "0") as process:
        project.until(lambda: project.has("begun"))
        os.kill(process.pid, signal.SIGINT)
        while "Ctrl-C again" not in process.stdout.readline():
            pass
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=600)
    assert process.returncode == 2
    assert "no run was finished in" in out
    assert "nothing to do" not in out


def test_the_trajectory_of_a_lambda_has_a_name_that_can_be_typed(project):
    script = (
        "import simkit\ntraj = simkit.run(lambda x: 2 * x, simkit.product(x=[1, 2]))\n"
        "print(traj.path.name, traj.info.node_id)\n"
        "with simkit.open('lambda') as again:\n    print(again['result'].tolist())\n"
    )
    project.file("script.py", script)
    lines = project.python("script.py").out.splitlines()
    assert lines == ["lambda-001.h5 script.py::lambda", "[2, 4]"]


def test_an_axis_of_times_gives_runs_what_its_description_says(tmp_path):
    times = pandas.date_range("2020-01-01", periods=2)
    space = simkit.product(t=times)
    with simkit.run(lambda t: type(t).__name__, space, output=tmp_path / "t.h5") as traj:
        assert traj["result"].tolist() == ["datetime64", "datetime64"]
        assert "t  datetime64[" in repr(traj)
        assert type(traj.runs[0].t).__name__ == "datetime64"
