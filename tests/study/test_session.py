"""``simkit.call``: one injected run without a file; what a script is told of its study."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest

import simkit
from simkit import SimkitError, experiment, parameter, product


@parameter
class Neuron:
    tau: float = 20.0
    n: int = 1


@parameter
def dt(neuron):
    return neuron.tau / 10


@experiment
@product(x=[1, 2])
def multiply(x, y=3, *, offset=0):
    return {"z": x * y + offset}


@experiment
def uses(neuron, dt):
    return [neuron.tau, neuron.n, dt]


def test_a_call_injects_what_is_not_given():
    assert simkit.call(multiply, x=5) == {"z": 15}
    assert simkit.call(multiply, x=5, y=2, offset=1) == {"z": 11}


def test_a_call_resolves_providers():
    assert simkit.call(uses) == {"result": [20.0, 1, 2.0]}


def test_a_call_replaces_fields_providers_and_groups():
    assert simkit.call(uses, **{"neuron.tau": 5.0}) == {"result": [5.0, 1, 0.5]}
    assert simkit.call(uses, dt=7) == {"result": [20.0, 1, 7]}
    assert simkit.call(uses, neuron=Neuron(tau=1.0, n=2)) == {"result": [1.0, 2, 0.1]}


def test_a_call_needs_no_decorator_and_leaves_no_file(study):
    assert simkit.call(lambda x: x + 1, x=1) == {"result": 2}
    study.call("def f(x):\n    return x\n", x=1)
    assert not list(study.root.rglob("*.h5"))


def test_a_missing_value_is_an_error():
    with pytest.raises(SimkitError, match="experiment multiply needs 'x', but nothing provides it"):
        simkit.call(multiply)


def test_an_unknown_value_suggests_the_name():
    with pytest.raises(SimkitError, match="'of'"):
        simkit.call(multiply, x=1, of=3)
    with pytest.raises(SimkitError, match="did you mean 'offset'"):
        simkit.call(multiply, x=1, ofset=3)


def test_what_the_experiment_raises_is_raised():
    def broken(x):
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        simkit.call(broken, x=1)


def test_what_an_experiment_with_fixtures_raises_is_raised(study):
    text = """
        from simkit import fixture, experiment

        @fixture
        def tool():
            yield 1

        @experiment
        def f(tool):
            raise KeyError("inside")
        """
    with pytest.raises(KeyError, match="inside"):
        study.call(text)


def test_results_that_can_not_be_kept_are_an_error():
    with pytest.raises(SimkitError, match=r"result z\[1\]: cannot store a function"):
        simkit.call(lambda: {"z": [1, len]})


def test_the_seed_is_fixed_unless_given():
    def draw(rng):
        return rng.random()

    assert simkit.call(draw) == simkit.call(draw)
    assert simkit.call(draw, seed=5) == {"result": np.random.default_rng(5).random()}


def test_values_come_back_as_from_a_trajectory():
    result = simkit.call(lambda: {"a": np.float32(1), "b": (1, [2.5]), "c": {"k": None}})
    assert result == {"a": np.float32(1), "b": (1, [2.5]), "c": {"k": None}}
    assert type(result["a"]) is np.float32


def test_fixtures_are_torn_down(study):
    text = """
        from simkit import fixture, experiment
        events = []

        @fixture(scope="experiment")
        def engine():
            yield 1
            events.append("engine")

        @fixture
        def tool(engine):
            yield 2
            events.append("tool")

        @experiment
        def f(tool):
            return tool
        """
    assert study.call(text) == {"result": 2}
    assert study.module("sim_a.py").events == ["tool", "engine"]


def test_added_results_are_returned():
    def f(run):
        run.add(a=1)
        run.append(s=2.0)
        return {"b": run.index}

    result = simkit.call(f)
    assert (result["a"], result["b"], result["s"].tolist()) == (1, 0, [2.0])


# What the first run does behind its author's back, and the words of it.
WATCHED = {
    "changed_global": ("N = [0]\ndef f(x):\n    N[0] += x\n    return x\n", r"f: a run changed sim_a\.N, "),
    "mutated_parameter": (
        "def f(x, a=[1]):\n    a.append(x)\n    return x\n", "f: a run changed its parameter 'a' in place"
    ),
    "shared_files": (
        "def f(x):\n    with open('v.dat', 'w') as file:\n        file.write(str(x))\n    return x\n",
        r"f: a run wrote .*: v\.dat; ",
    ),
    "unseen_processes": (
        "import os\ndef f(x):\n    os.waitpid(os.fork() or os._exit(0), 0)\n    return x\n",
        "f: a run started processes",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork:DeprecationWarning"
)  # pytest-xdist's thread, from 3.12 on
@pytest.mark.parametrize("kind", WATCHED)
def test_a_script_is_told_at_its_own_line_what_the_command_says(study, monkeypatch, kind):
    monkeypatch.chdir(study.root)
    text, words = WATCHED[kind]
    study.write("sim_a.py", text)
    function = study.module("sim_a.py").f
    with pytest.warns(simkit.SimkitWarning, match=words) as caught:
        simkit.run(function, product(x=[1, 2, 3])).close()
    told = [warning for warning in caught if warning.category is simkit.SimkitWarning]
    assert [warning.filename for warning in told] == [__file__]
    study.write("pyproject.toml", f"[tool.simkit]\nsilence = ['{kind}']\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", simkit.SimkitWarning)
        simkit.run(function, product(x=[1, 2, 3]), fresh=True).close()


def test_a_loop_of_a_script_s_own_is_told_where_it_ends(study, monkeypatch):
    def steps():
        with simkit.start(function) as under_way:
            under_way.run(product(x=[1, 0]))
            under_way.run(product(x=[2]))

    monkeypatch.chdir(study.root)
    study.write("sim_a.py", "N = [0]\ndef f(x):\n    N[0] += x\n    return 1 / x\n")
    function = study.module("sim_a.py").f
    with pytest.warns(simkit.SimkitWarning) as caught:
        steps()
    assert [warning.filename for warning in caught] == [__file__] * 2
    changed, failed = (str(warning.message) for warning in caught)
    assert changed.startswith("f: a run changed sim_a.N, ")
    assert failed.startswith("f: 1 of 3 runs not done, ")


FAILING = """
from simkit import adaptive, each, experiment, explore, product

@experiment
@product(n=[1, 2, 3])
def build(n):
    return {"size": 6 // (n - 2)}

@experiment
@each(build)
def use(build):
    return {"z": build.size * 2}

def climb(run):
    for start in (1, 3):
        yield explore(n=[start, 2])

@experiment
@adaptive(climb)
def hill(n):
    return {"size": 6 // (n - 2)}

@experiment
@product(n=[1, 2])
def strict(n):
    import warnings
    warnings.warn(f"{n} is odd", UserWarning) if n % 2 else None
    return {"size": n}
"""
SEE = "see it with print(traj.error({run})), and which they are with traj.where(\"status != 'done'\")"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "words", "values"),
    [
        ("build", "build: 1 of 3 runs not done, .*; run 1 failed: ZeroDivisionError: ", [-6, None, 6]),
        ("hill", "hill: 2 of 4 runs not done, .*; run 1 failed: ZeroDivisionError: ", [-6, None, 6, None]),
    ],
)
def test_runs_that_failed_are_said_and_their_results_are_missing(
    study, monkeypatch, workers, name, words, values
):
    monkeypatch.chdir(study.root)
    study.write("sim_a.py", FAILING)
    function = getattr(study.module("sim_a.py"), name)
    with pytest.warns(simkit.SimkitWarning, match=words) as caught:
        traj = simkit.run(function, workers=workers)
    with traj:
        assert traj["size"].tolist() == values
        assert np.ma.mean(traj["size"]) == 0
        assert traj.to_dataframe()["size"].isna().tolist() == [value is None for value in values]
    (told,) = caught
    assert told.filename == __file__
    assert SEE.format(run=1) in str(told.message)


def test_a_stage_over_failed_runs_is_no_study_of_the_others(study, monkeypatch):
    monkeypatch.chdir(study.root)
    study.write("sim_a.py", FAILING)
    module = study.module("sim_a.py")
    with pytest.warns(simkit.SimkitWarning, match="1 of 3 runs not done"):
        simkit.run(module.build, workers=0).close()
    with pytest.raises(SimkitError, match=r"build-001\.h5 is not complete: 1 failed"):
        simkit.run(module.use, workers=0)
    assert [path.name for path in (study.root / "results").glob("*.h5")] == ["build-001.h5"]
    study.write("sim_b.py", FAILING.replace("[1, 2, 3]", "[1, 3]"))
    module = study.module("sim_b.py")
    simkit.run(module.build, workers=0).close()
    with simkit.run(module.use, workers=0) as traj:
        assert traj["z"].tolist() == [-12, 12]


def test_where_warnings_are_errors_the_runs_are_kept_and_the_warning_is_raised(study, monkeypatch):
    monkeypatch.chdir(study.root)
    study.write("sim_a.py", FAILING)
    module = study.module("sim_a.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(simkit.SimkitWarning, match=r"build: 1 of 3 runs not done"):
            simkit.run(module.build, workers=0)
        with pytest.raises(
            simkit.SimkitWarning, match=r"strict: 1 of 2 .*run 0 failed: UserWarning: 1 is odd"
        ):
            simkit.run(module.strict, workers=0)
    for name, statuses in [("build", ["done", "failed", "done"]), ("strict", ["failed", "done"])]:
        with simkit.open(f"results/{name}-001.h5") as traj:
            assert traj["status"].tolist() == statuses


CODE = "K = {k}\ndef f(x, gain=1):\n    return x * gain * K\n"
SCRIPT = """
import simkit, sim_a
from simkit import product

def results(**options):
    space = options.pop("space", product(x=[1, 2]))
    with simkit.run(sim_a.f, space, **options) as traj:
        return print(traj.path.name, traj["result"].tolist())

{calls}
"""


def scripted(project, k, calls="results()"):
    """What a script prints with this constant in the code."""
    project.file("sim_a.py", CODE.format(k=k))
    project.file("script.py", SCRIPT.format(calls=calls))
    return project.python("script.py")


def test_a_script_is_told_that_its_changed_code_begins_anew_and_how_it_would_not(project):
    assert scripted(project, 3).err == ""
    told = scripted(project, 50)
    assert told.out == "f-002.h5 [50, 100]\n"
    assert (
        "script.py:7: SimkitWarning: results/f-001.h5 is not continued: sim_a.py::K changed; "
        "starting results/f-002.h5\n    keep its done runs and go on:  into='results/f-001.h5'\n"
    ) in told.err
    into = scripted(project, 700, "results(space=product(x=[1, 2, 3]), into='results/f-001.h5')")
    assert (into.out, into.err) == ("f-001.h5 [3, 6, 2100]\n", "")


def test_a_script_is_not_told_what_it_gave_itself(project):
    calls = "for gain in (1, 2, 1):\n    results(set={'gain': gain})\nresults(space=product(gain=[1, 2]), set={'x': 1})"
    told = scripted(project, 3, calls)
    assert told.out.splitlines() == [
        "f-001.h5 [3, 6]",
        "f-002.h5 [6, 12]",
        "f-001.h5 [3, 6]",
        "f-003.h5 [3, 6]",
    ]
    assert told.err == ""


def test_more_than_a_minute_of_a_script_s_runs_is_not_set_aside_for_a_change_of_code(project):
    scripted(project, 3)
    with h5py.File(project.path / "results/f-001.h5", "r+") as file:
        file["f/runs/seconds"][:] = 31
    calls = "try:\n    results()\nexcept simkit.SimkitError as error:\n    print(error)"
    assert scripted(project, 50, calls).out == (
        "results/f-001.h5 is not continued: sim_a.py::K changed\n"
        "    keep its done runs and go on:  into='results/f-001.h5'\n"
        "    begin the next trajectory:     fresh=True\n"
    )


def test_a_script_is_not_told_of_functions_that_it_made_itself(project, monkeypatch):
    monkeypatch.chdir(project.path)

    def factory(k):
        return lambda x: k * x

    def executed(code):
        exec(code, names := {})
        return names["other"]

    codes = "def other(x): return x", "def other(x): return 2 * x"
    pairs = [map(executed, codes), map(factory, (1, 2)), (lambda x: x, lambda x: 2 * x)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pair in pairs:
            columns = [simkit.run(each, product(x=[1, 2]))["result"].tolist() for each in pair]
            assert columns == [[1, 2], [2, 4]]
