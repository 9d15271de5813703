"""Bad input: each has a message that names the thing, its place, what there is, and the cure."""

from __future__ import annotations

import os
import re

import h5py
import pytest

import simkit

HEAD = "from simkit import experiment, explore, fixture, parameter, product, Run\n"


def refused(project, *arguments, code=4):
    """The message of a command that must not start any run."""
    result = project.simkit(*arguments)
    assert result.code == code, (result.code, result.out, result.err)
    assert result.err.startswith("simkit: ")
    assert "this is a bug" not in result.err
    assert os.path.dirname(simkit.__file__) + os.sep not in result.err
    assert not project.has("results")
    assert result.out == ""
    return result.err


# Files and targets


def test_no_such_file(project):
    project.file("sim_multiply.py", HEAD + "@experiment\ndef multiply():\n    pass\n")
    error = refused(project, "sim_multply.py")
    assert "no such file or folder: sim_multply.py" in error
    error = refused(project, "missing/sim_x.py::lorenz[3]")
    assert "no such file or folder: missing/sim_x.py" in error


def test_nothing_collected(project):
    error = refused(project, code=5)
    assert f"no experiment in {project.path} (" in error
    assert "files sim_*.py" in error
    assert "@simkit.experiment" in error

    project.file("sim_plain.py", "def lorenz(x):\n    return x\n")
    error = refused(project, "sim_plain.py", code=5)
    assert "no experiment in sim_plain.py" in error

    project.file("sim_two.py", HEAD + "@experiment\ndef lorenz():\n    pass\n")
    error = refused(project, "sim_two.py::lorentz", code=5)
    assert "sim_two.py has no experiment 'lorentz'" in error
    assert "experiments there: lorenz" in error

    project.file("sim_other.py", "from sim_two import lorenz\n")
    error = refused(project, "sim_other.py", code=5)
    assert "sim_other.py imports 'lorenz', which belongs to sim_two" in error


# Spaces


def test_unequal_explore_lengths(project):
    project.file(
        "sim_a.py",
        HEAD + "@experiment\n@explore(x=[1, 2, 3], speed=[1, 2])\ndef a(x, speed):\n    pass\n",
    )
    error = refused(project)
    assert "sim_a.py:3: explore() moves its names together, but x has 3, speed has 2" in error
    assert "product()" in error


def test_the_same_name_explored_twice(project):
    project.file(
        "sim_a.py",
        HEAD + "@experiment\n@product(x=[1, 2])\n@explore(x=[3], y=[4])\ndef a(x, y):\n    pass\n",
    )
    error = refused(project)
    assert re.search(r"sim_a\.py:[2-5]: explored twice: x", error), error
    assert "give each name one axis" in error

    project.file("sim_a.py", HEAD + "@experiment\n@product({'x': [1, 2]}, x=[3])\ndef a(x):\n    pass\n")
    assert "sim_a.py:3: product() gives 'x' twice" in refused(project)


def test_an_explored_name_that_nothing_uses(project):
    project.file(
        "sim_a.py", HEAD + "@experiment\n@product(speed=[1, 2], mas=[1])\ndef a(speed, mass=1):\n    pass\n"
    )
    error = refused(project)
    assert "sim_a.py:2: 'mas' is explored, but nothing in experiment a uses it" in error
    assert "did you mean 'mass'?" in error
    assert "used: mass, speed" in error
    assert "add 'mas' to the arguments" in error


def test_an_empty_space(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[], y=[1])\ndef a(x, y):\n    pass\n")
    for options in ([], ["--co"]):
        error = refused(project, *options, code=5)
        assert "sim_a.py::a: its space is empty: no point is left to run" in error
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[1, 2]).where('x > 5')\ndef a(x):\n    pass\n")
    assert "sim_a.py::a: its space is empty" in refused(project, code=5)


def test_an_empty_space_beside_a_full_one_is_told_and_the_full_one_runs(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[])\ndef a(x):\n    pass\n")
    project.file("sim_b.py", HEAD + "@experiment\n@product(x=[1])\ndef b(x):\n    return x\n")
    result = project.simkit()
    assert "sim_a.py::a: its space is empty" in result.err
    assert project.open("b-001")["result"].tolist() == [1]


# Injection


def test_an_unknown_argument(project):
    project.file("simconf.py", HEAD + "@parameter\ndef neuron_count():\n    return 3\n")
    project.file(
        "sim_a.py",
        HEAD
        + "@fixture\ndef network(neurn_count):\n    pass\n"
        + "@experiment\n@product(x=[1])\ndef a(x, network):\n    pass\n",
    )
    error = refused(project)
    assert "sim_a.py:2: fixture network needs 'neurn_count', but nothing provides it" in error
    assert "did you mean 'neuron_count'?" in error
    assert (
        "requested by fixture network (sim_a.py:2), which is requested by experiment a (sim_a.py:5)" in error
    )
    available = next(line for line in error.splitlines() if "available: " in line)
    assert re.search(r"available: neuron_count, ", available)
    assert all(name in available for name in ("network", "rng", "run", "seed", "workdir", "x"))
    assert "give the argument a default, explore it, or write a @parameter or @fixture named" in error


def test_a_provider_cycle(project):
    project.file(
        "sim_a.py",
        HEAD
        + "@parameter\ndef one(two):\n    return two\n"
        + "@parameter\ndef two(three):\n    return three\n"
        + "@fixture\ndef three(one):\n    return one\n"
        + "@experiment\ndef a(one):\n    pass\n",
    )
    error = refused(project)
    assert "sim_a.py:8: 'one' needs itself" in error
    assert re.search(
        r"parameter one \(sim_a\.py:2\) → parameter two \(sim_a\.py:5\) → fixture three \(sim_a\.py:8\) → one",
        error,
    ), error
    assert "break the circle" in error


def test_an_experiment_scoped_fixture_that_needs_an_explored_value(project):
    project.file(
        "sim_a.py",
        HEAD
        + "@parameter\ndef dt(tau):\n    return tau / 100\n"
        + "@fixture(scope='experiment')\ndef stimulus(dt):\n    return dt\n"
        + "@experiment\n@product(tau=[1, 2])\ndef a(tau, stimulus):\n    pass\n",
    )
    error = refused(project)
    assert "sim_a.py:5: fixture 'stimulus' is shared by all runs" in error
    assert "needs 'tau', which is explored" in error
    assert "stimulus → dt → tau" in error
    assert "requested by experiment a (sim_a.py:8)" in error
    assert "make it @fixture (scope='run')" in error

    project.file(
        "sim_a.py",
        HEAD
        + "@fixture(scope='experiment')\ndef folder(workdir):\n    return workdir\n"
        + "@experiment\ndef a(folder):\n    pass\n",
    )
    error = refused(project)
    assert "fixture 'folder' is shared by all runs" in error
    assert "needs 'workdir', which is made for every run" in error


def test_one_name_with_two_defaults(project):
    project.file(
        "sim_a.py",
        HEAD + "@fixture\ndef network(dt=0.1):\n    pass\n@experiment\ndef a(network, dt=0.2):\n    pass\n",
    )
    error = refused(project)
    assert "'dt' has two values in one experiment" in error
    assert "sim_a.py:2" in error
    assert "sim_a.py:5" in error
    assert "0.1" in error
    assert "0.2" in error
    assert "@parameter class" in error


def test_set_of_an_explored_name(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[1, 2])\ndef a(x):\n    pass\n")
    error = refused(project, "--set", "x=3")
    assert "--set x=3: 'x' is explored" in error
    assert "--product x=3" in error


def test_set_of_an_unknown_name(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[1, 2])\ndef a(x, mass=1):\n    pass\n")
    error = refused(project, "--set", "mas=3")
    assert "--set mas=3: a does not use 'mas'; did you mean 'mass'?" in error
    assert re.search(r"parameters: mass, x\n", error), error

    project.file("p.toml", "mas = 3\n")
    error = refused(project, "--params", "p.toml")
    assert "--params p.toml: a does not use 'mas'; did you mean 'mass'?" in error


@pytest.mark.parametrize(
    "options",
    [
        ["--set a=1", "--set a=2"],
        ["--set a=1", "--explore a=2,3"],
        ["--set a=1", "--sample 2 a=2:3"],
        ["--explore a=1,2", "--explore b=1,2 a=3,4"],
        ["--explore b=1 a=1,2 a=3", ""],
        ["--product a=1,2", "--product a=3,4"],
        ["--set a=1", "--product a=3,4"],
        ["--sample 2 a=0:1 a=3:4", ""],
    ],
)
def test_a_name_with_two_values_on_the_command_line(project, options):
    project.file("sim_a.py", HEAD + "@experiment\n@product(b=[1, 2])\ndef f(b, a=1.0):\n    pass\n")
    error = refused(project, *" ".join(options).split())
    values = [word for option in options for word in option.split() if word.startswith("a=")]
    kinds = [option.split()[0] for option in options if option]
    assert f"{kinds[0]} {values[0]} and {kinds[-1]} {values[1]} both give a: leave one of them out" in error
    assert not (project.path / "results").exists()


def test_two_numbers_of_points_on_the_command_line(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(b=[1, 2])\ndef f(b, a=1.0):\n    pass\n")
    error = refused(project, "--sample", "2", "a=0:1", "--sample", "4", "b=0:1")
    assert "--sample 2 and --sample 4: give one number of points, and all names behind it" in error


def test_a_dotted_name_and_a_table_give_one_name_twice(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(b=[1, 2])\ndef f(b, a=1.0):\n    pass\n")
    project.file("p.toml", '"n.x" = 3\n[n]\nx = 4\n')
    assert "p.toml: n.x is given twice" in refused(project, "--params", "p.toml")
    project.file("pyproject.toml", '[tool.simkit.parameters]\n"n.x" = 3\nn.x = 4\n')
    assert "[tool.simkit.parameters]: n.x is given twice" in refused(project)


SETTINGS = "[tool.simkit.parameters]\n"


def test_a_misspelt_name_in_the_configuration(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[1, 2])\ndef a(x, mass=1):\n    pass\n")
    project.file("pyproject.toml", SETTINGS + "mas = 3\n")
    for arguments in ([], ["sim_a.py"], ["-k", "a"], ["--co"]):
        error = refused(project, *arguments)
        assert "[tool.simkit.parameters]: a does not use 'mas'; did you mean 'mass'?" in error, arguments
    script = "import simkit, sim_a; simkit.run(sim_a.a)"
    assert "did you mean 'mass'?" in project.python("-c", script).err
    project.file("pyproject.toml", SETTINGS + "mass = 3\nneuron.tua = 2\n")
    assert "a does not use 'neuron.tua'" in refused(project)


def test_a_name_in_the_configuration_may_be_of_another_file(project):
    project.file("sim_a.py", HEAD + "@experiment\n@product(x=[1, 2])\ndef a(x, mass=1):\n    pass\n")
    project.file("sim_b.py", HEAD + "@experiment\ndef b(charge=1):\n    pass\n")
    project.file("pyproject.toml", SETTINGS + "charge = 3\n")
    project.ok("--co")
    project.ok("--co", "sim_a.py")
    project.ok("--co", "-k", "a.py")
    assert project.python("-c", "import simkit, sim_a; simkit.run(sim_a.a)").code == 0


# Names and results


GROUP = HEAD + "@parameter\nclass Neuron:\n    N: int = 3\n    tau: float = 1.0\n"


def test_a_name_that_is_leaf_and_group(project):
    project.file(
        "sim_a.py",
        GROUP + "@experiment\n@product({'neuron.N': [1], 'neuron': [2]})\ndef a(neuron):\n    pass\n",
    )
    error = refused(project)
    assert re.search(r"sim_a\.py:6: 'neuron' .* 'neuron\.N'", error), error
    assert "either a leaf or a group" in error

    project.file("sim_a.py", HEAD + "@experiment\n@product({'x.y': [1, 2]})\ndef a(x=3):\n    pass\n")
    error = refused(project)
    assert "'x.y'" in error
    assert "no group" in error
    assert "sim_a.py:2" in error

    # Between the results of a run only that run knows: it fails, and the others are kept.
    project.file(
        "sim_a.py",
        GROUP
        + "@experiment\n@product(i=range(4))\ndef a(i, neuron):\n"
        + "    return [{'ok': i}, {'v': 1, 'v.end': 2}, {'neuron': 1}, {'neuron.N.x': 1}][i]\n",
    )
    result = project.simkit()
    assert result.code == 1
    traj = project.open("a-001")
    assert traj.status.tolist() == ["done", "failed", "failed", "failed"]
    assert "'v' is a leaf and, through 'v.end', a group" in traj.error(1)
    assert "result 'neuron' has the name of a parameter" in traj.error(2)
    assert "'neuron.N' is a leaf and, through 'neuron.N.x', a group" in traj.error(3)


def test_a_name_that_is_a_leaf_in_one_run_and_a_group_in_another(project):
    project.file(
        "sim_a.py",
        HEAD
        + "@experiment\n@product(i=range(4))\ndef a(i):\n"
        + "    return {'v': i} if i != 2 else {'v.end': i}\n",
    )
    for workers in ("0", "2"):
        result = project.simkit("-n", workers, "--output", f"w{workers}.h5")
        assert result.code == 1, result.out + result.err
        traj = project.open(f"w{workers}.h5")
        assert sorted(traj.status.tolist()) in (
            ["done", "done", "done", "failed"],  # whoever came first decides
            ["done", "failed", "failed", "failed"],
        )
        failed = [i for i in range(4) if traj.status[i] == "failed"]
        assert all("'v' is a leaf and, through 'v.end', a group" in traj.error(i) for i in failed)


def test_a_result_that_has_a_parameters_name(project):
    project.file(
        "sim_a.py",
        HEAD
        + "@experiment\n@product(x=[1, 2, 3])\ndef a(x, run, gain=2):\n"
        + "    if x == 2:\n        return {'x': 1}\n    if x == 3:\n        run.add(gain=4)\n    return {'y': x}\n",
    )
    result = project.simkit()
    assert result.code == 1
    traj = project.open("a-001")
    assert traj.status.tolist() == ["done", "failed", "failed"]
    assert "result 'x' has the name of a parameter" in traj.error(1)
    assert "give it another name" in traj.error(1)
    assert "result 'gain' has the name of a parameter" in traj.error(2)
    assert "result 'x' has the name of a parameter" in result.out
    assert traj["x"].tolist() == [1, 2, 3]


def test_the_same_result_added_twice(project):
    project.file(
        "sim_a.py",
        HEAD
        + "@experiment\n@product(x=[1, 2, 3])\ndef a(x, run):\n    run.add(y=1)\n"
        + "    if x == 2:\n        run.add(y=2)\n    if x == 3:\n        return {'y': 3}\n",
    )
    result = project.simkit()
    assert result.code == 1
    traj = project.open("a-001")
    assert traj.status.tolist() == ["done", "failed", "failed"]
    assert "result 'y' was added twice" in traj.error(1)
    assert "run.append()" in traj.error(1)
    assert 'sim_a.py", line 7, in a' in traj.error(1)
    assert "result 'y' was added with run.add() and is returned as well" in traj.error(2)


def test_a_value_that_cannot_be_stored_fails_only_its_run(project):
    project.file(
        "sim_a.py",
        HEAD
        + "import threading\nclass Odd:\n    pass\n"
        + "@experiment\n@product(i=range(6))\ndef a(i):\n"
        + "    bad = [1.5, Odd(), {'deep': [1, {'er': threading.Lock()}]}, lambda: 1, {1, Odd()}, 2.5]\n"
        + "    return {'v': bad[i], 'w': i}\n",
    )
    result = project.simkit()
    assert result.code == 1
    assert "this is a bug" not in result.err
    traj = project.open("a-001")
    assert traj.status.tolist() == ["done", *["failed"] * 4, "done"]
    assert traj.where(status="done")["v"].tolist() == [1.5, 2.5]
    assert re.search(r"result v: cannot store .*Odd", traj.error(1)), traj.error(1)
    assert re.search(r"result v\W+deep\W+1\W+er\W*: cannot store .*lock", traj.error(2)), traj.error(2)
    assert re.search(r"result v: cannot store .*function", traj.error(3)), traj.error(3)
    assert re.search(r"result v\b.*cannot store", traj.error(4)), traj.error(4)
    assert "cannot store" in result.out


def test_a_constant_that_cannot_be_stored_is_refused_before_the_first_run(project):
    project.file("sim_a.py", HEAD + "@experiment\ndef a(tool=[1, print]):\n    pass\n")
    error = refused(project)
    assert "sim_a.py:2" in error
    assert re.search(r"tool\W+1\W*: cannot store .*function", error), error
    assert "@fixture" in error


def test_an_explored_value_that_cannot_be_stored_is_refused_before_the_first_run(project):
    project.file(
        "sim_a.py",
        HEAD
        + "from pathlib import Path\nclass Odd:\n    pass\n@experiment\n@product(tool=[1, Odd()])\n"
        + "def a(tool):\n    Path('ran').touch()\n",
    )
    error = refused(project)
    assert re.search(r"tool\b.*cannot store .*Odd", error), error
    assert "sim_a.py" in error
    assert not project.has("ran")


def test_a_shared_parameter_that_fails_is_told_with_its_traceback(project):
    project.file(
        "sim_a.py",
        HEAD
        + "@parameter\ndef dt():\n    return 1 / 0\n@experiment\n@product(x=[1])\ndef a(x, dt):\n    pass\n",
    )
    result = project.simkit()
    assert result.code == 1
    text = result.out + result.err
    assert "sim_a.py:2: parameter 'dt' failed, and all runs of a need it" in text
    assert "ZeroDivisionError" in text
    assert "this is a bug" not in text


# Configuration


def test_an_unknown_configuration_key(project):
    project.file("pyproject.toml", "[tool.simkit]\nfile = ['a.py']\n")
    error = refused(project)
    assert "pyproject.toml: [tool.simkit] unknown key 'file'; did you mean 'files'?" in error
    assert re.search(r"known: files, .*parameters", error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.simkit\n", "pyproject.toml: not valid TOML"),
        ("[tool.simkit]\nfiles = 3\n", "files must be a list of patterns"),
        ("[tool.simkit]\nworkers = -1\n", "workers must be a number of processes"),
        ("[tool.simkit]\nparameters = 3\n", "parameters must be a table"),
        ("[tool]\nsimkit = 3\n", "simkit must be a table"),
    ],
)
def test_a_wrong_configuration(project, text, words):
    project.file("pyproject.toml", text)
    project.file("sim_a.py", HEAD + "@experiment\ndef a():\n    pass\n")
    assert words in refused(project)


def test_an_unknown_name_in_the_configuration_is_told(project):
    project.file("pyproject.toml", "[tool.simkit.parameters]\nneuron.tua = 3\n")
    project.file("sim_a.py", GROUP + "@experiment\ndef a(neuron):\n    pass\n")
    error = refused(project)
    assert "[tool.simkit.parameters]" in error
    assert "has no field 'tua'; did you mean 'tau'?" in error


# Files


ONE = HEAD + "@experiment\n@product(x=[1, 2])\ndef one(x):\n    return x\n"


def test_an_output_folder_that_cannot_be_written(project):
    project.file("sim_one.py", ONE)
    project.file("results", "a file in the folder's place")
    for workers in ("0", "1"):
        result = project.simkit("-n", workers)
        assert result.code == 4, result.err
        assert "this is a bug" not in result.err
        assert "results" in result.err
        assert "cannot be written" in result.err
        assert "make the folder writable, or choose another place with --output FILE.h5" in result.err
    assert (project.path / "results").read_text() == "a file in the folder's place"
    (project.path / "results").unlink()

    for place in ("/proc/study.h5", "/proc/deep/study.h5", str(project.path)):
        result = project.simkit("--output", place)
        assert result.code == 4, (place, result.err)
        assert "this is a bug" not in result.err
        assert place in result.err or os.path.basename(place) in result.err
    assert sorted(p.name for p in project.path.iterdir() if p.suffix == ".h5") == []


def test_a_dangling_link_in_place_of_the_results_is_told(project):
    project.file("sim_one.py", ONE)
    (project.path / "results").symlink_to("/nowhere/at/all")
    result = project.simkit()
    assert result.code == 4, result.err
    assert "this is a bug" not in result.err
    assert "cannot be written" in result.err


def test_a_file_that_is_no_trajectory(project):
    project.file("sim_one.py", ONE)
    text = project.file("notes.h5", "dear diary")
    with h5py.File(project.path / "foreign.h5", "w") as file:
        file["data"] = [1, 2]
    foreign = (project.path / "foreign.h5").read_bytes()
    for arguments in (["show", "notes.h5"], ["--params", "notes.h5"], ["--output", "notes.h5"]):
        error = refused(project, *arguments)
        assert "notes.h5: not a trajectory file: it is not an HDF5 file" in error
    for arguments in (["show", "foreign.h5"], ["--params", "foreign.h5"]):
        error = refused(project, *arguments)
        assert "foreign.h5: an HDF5 file, but no trajectory of simkit's is in it" in error
    assert text.read_text() == "dear diary"
    assert (project.path / "foreign.h5").read_bytes() == foreign
    for arguments in (["show", "gone.h5"], ["show", "gone.h5", "--run", "1"]):
        assert "no such file: gone.h5" in refused(project, *arguments)


def test_a_strange_file_among_the_results_is_left_alone(project):
    project.file("sim_one.py", ONE)
    strange = project.file("results/one-001.h5", "dear diary")
    assert "one-001.h5: not a trajectory file: it is not an HDF5 file" in project.simkit().err
    assert strange.read_text() == "dear diary"
    with h5py.File(strange, "w") as file:
        file["data"] = [1]
    project.ok()
    assert project.open("one-002")["result"].tolist() == [1, 2]


# Mistakes that beginners make


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def a(:\n", ["sim_a.py: cannot be imported", "SyntaxError", "line 1", "def a(:"]),
        ("import numpi\n", ["sim_a.py: cannot be imported", "line 1", "No module named 'numpi'"]),
        ("import sys\nsys.exit('bye')\n", ["sim_a.py: cannot be imported", "SystemExit", "line 2"]),
        ("import sys\nsys.exit()\n", ["sim_a.py: cannot be imported", "SystemExit", "line 2"]),
        ("x = 1 / 0\n", ["sim_a.py: cannot be imported", "ZeroDivisionError", "line 1, in <module>"]),
        (
            HEAD + "@product(x=[1])\ndef a(x):\n    pass\n",
            ["sim_a.py:2: a has a space but is no experiment: add @experiment"],
        ),
        (HEAD + "@experiment\n@product(x=3)\ndef a(x):\n    pass\n", ["sim_a.py:3", "x", "3", "list"]),
        (
            HEAD + "@experiment\n@product(x='abc')\ndef a(x):\n    pass\n",
            ["sim_a.py:3", "x", "'abc'", "list"],
        ),
        (HEAD + "@experiment\n@product([1, 2])\ndef a(x):\n    pass\n", ["sim_a.py:3", "product", "list"]),
        (HEAD + "@experiment\n@product\ndef a(x):\n    pass\n", ["sim_a.py:3", "product", "a"]),
        (
            HEAD + "@experiment\ndef a():\n    yield 1\n",
            ["sim_a.py:2: experiment a must return its results, not yield"],
        ),
        (HEAD + "@experiment\nclass A:\n    pass\n", ["sim_a.py:2: @experiment marks a function", "A"]),
        (
            HEAD
            + "class A:\n    @experiment\n    def a(self):\n        pass\n@experiment\ndef b():\n    pass\n",
            ["sim_a.py:3", "a", "method", "class A"],
        ),
        (
            HEAD + "@experiment('x')\ndef a():\n    pass\n",
            ["sim_a.py:2: @experiment marks a function", "'x'"],
        ),
        (
            HEAD + "@fixture(scope='session')\ndef f():\n    pass\n@experiment\ndef a(f):\n    pass\n",
            ["sim_a.py:2", "scope 'session'", "'run' or 'experiment'"],
        ),
        (
            HEAD + "@experiment\n@parameter\ndef a():\n    pass\n",
            ["sim_a.py:2", "a is tagged as parameter and as experiment"],
        ),
        (
            HEAD + "@parameter\nclass Neuron:\n    N = 3\n@experiment\ndef a(neuron):\n    pass\n",
            ["sim_a.py:2", "Neuron.N has no annotation", "write N: int = 3"],
        ),
        (
            HEAD + "@experiment\n@product(x=[1]).where('z > 1')\ndef a(x):\n    pass\n",
            ["sim_a.py:3: the condition 'z > 1'", "unknown name 'z'", "available: x"],
        ),
        (
            HEAD + "@experiment\n@product(x=[1]).where('x = 1')\ndef a(x):\n    pass\n",
            ["sim_a.py:3", "x = 1", "=="],
        ),
    ],
)
def test_beginners_mistakes_in_a_file(project, source, words):
    project.file("sim_a.py", source)
    error = refused(project)
    assert all(word in error for word in words), error


def test_a_misspelt_import_from_simkit_is_answered_with_the_nearest_name(project):
    project.file("sim_a.py", "from simkit import experimnet\n")
    result = project.simkit()
    assert result.code == 4
    assert "sim_a.py: cannot be imported" in result.err
    assert "experimnet" in result.err


def test_all_files_with_problems_are_told_at_once(project):
    project.file("sim_a.py", "def a(:\n")
    project.file(
        "sim_b.py",
        HEAD + "@experiment\n@product(u=[1])\ndef b(speed, tempo):\n    pass\n"
        "@experiment\ndef bb(mass):\n    pass\n",
    )
    project.file("sim_c.py", "import numpi\n")
    error = refused(project)
    for words in ("sim_a.py: cannot be imported", "sim_c.py: cannot be imported"):
        assert error.count(words) == 1
    for name in ("speed", "tempo", "mass"):
        assert f"needs '{name}', but nothing provides it" in error
    assert "'u' is explored, but nothing in experiment b uses it" in error


def test_a_file_that_cannot_be_imported_costs_its_own_experiments_only(project):
    project.file("sim_a.py", "import numpi\n")
    project.file("sim_b.py", HEAD + "@experiment\ndef b(speed):\n    pass\n" + ONE.replace(HEAD, ""))
    project.file("sim_c.py", ONE.replace("def one", "def c"))
    project.file("pyproject.toml", "[tool.simkit.parameters]\nspeeed = 3\n")
    refused(project)
    project.file("pyproject.toml", "[tool.simkit.parameters]\nspeed = 3\n")
    project.file("sim_b.py", HEAD + "@experiment\ndef b(tempo):\n    pass\n" + ONE.replace(HEAD, ""))
    project.file("sim_a.py", "import numpi   # speed\n")
    result = project.simkit()
    assert result.code == 4
    lines = result.out.splitlines()
    assert lines.count(" errors ".center(76, "=")) == 1
    assert " collecting sim_a.py ".center(76, "_") in lines
    assert "No module named 'numpi'" in result.out
    assert " collecting sim_b.py::b ".center(76, "_") in lines
    assert "needs 'tempo', but nothing provides it" in result.out
    assert "4 done, 1 file could not be collected, 1 experiment could not start in" in result.out
    assert project.has("results/one-001.h5")
    assert project.has("results/c-001.h5")
    listed = project.simkit("--co")
    assert listed.code == 4
    assert "sim_c.py::c" in listed.out
    assert "simkit: sim_a.py: cannot be imported" in listed.err
    # A value that was asked for may be meant for what could not be collected: nothing runs with another one.
    stopped = project.simkit("--set", "tau=3")
    assert stopped.code == 4
    assert stopped.out == ""


def test_a_simconf_that_cannot_be_imported_is_told_once(project):
    project.file("a/simconf.py", "1 / 0\n")
    for name in ("one", "two"):
        project.file(f"a/sim_{name}.py", ONE.replace("def one", f"def {name}"))
    project.file("b/sim_three.py", ONE.replace("def one", "def three"))
    project.file("pyproject.toml", "[tool.simkit]\n")
    result = project.simkit()
    assert result.code == 4
    assert result.out.count("ZeroDivisionError") == 1
    assert result.out.count("a/simconf.py: cannot be imported") == 1
    assert project.has("results/three-001.h5")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "many"], "-n many: give a number of processes, or 'auto'"),
        (["-n", "-2"], "-n -2: give a number of processes, or 'auto'"),
        (["-n", "1.5"], "-n 1.5: give a number of processes, or 'auto'"),
        (["-n"], "-n"),
        (["--maxfail", "x"], "--maxfail"),
        (["--maxfail", "-1"], "--maxfail -1"),
        (["--durations", "-1"], "--durations -1"),
        (["--seed", "-3"], "--seed -3"),
        (["--seed", "abc"], "--seed"),
        (["--repeat", "0"], "--repeat 0"),
        (["--params", "gone.toml"], "--params gone.toml: no such file"),
        (["--params", "."], "--params ."),
        (["--params", "broken.toml"], "--params broken.toml: not valid TOML"),
        (["--params", "binary.toml"], "--params binary.toml: not valid TOML"),
        (["--start-method", "thread"], "--start-method"),
        (["--where", "x >"], "--where"),
        (["--where", "x > 3 & x < 10"], "write `x > 3 and x < 10`, or with parentheses"),
        (["--where", "x & 1"], "a column of int64 is not true or false"),
        (["--where", "x = 1"], "=="),
        (["--where", "__import__('os').getcwd()"], "--where"),
        (["--product", "x"], "--product x: write --product NAME=VALUE"),
        (["--product", "w=1,2"], "'w' is explored, but nothing in experiment one uses it"),
        (["--explore", "x=1,2", "w=1,2"], "'w' is explored, but nothing in experiment one uses it"),
        (["--product", "trial=1,2"], "'trial'"),
        (["--unknown"], "--unknown"),
        (["-z"], "-z"),
        (["--set"], "--set"),
    ],
)
def test_wrong_options(project, arguments, words):
    project.file("sim_one.py", ONE)
    project.file("broken.toml", "a = = 1\n")
    (project.path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    result = project.simkit(*arguments)
    assert result.code == 4, (result.code, result.out, result.err)
    assert words in result.err, result.err
    assert "Traceback" not in result.err
    assert not project.has("results")


def test_a_where_that_is_no_condition_or_divides_by_zero_is_an_error_of_the_user(project):
    project.file("sim_one.py", ONE)
    for where in ("x + 1", "1 / (x - 1) > 0", "x > 'a'", "x.real > 1"):
        result = project.simkit("--where", where, "--output", "w.h5")
        assert "this is a bug" not in result.err, result.err
        assert result.code in (0, 4, 5)
        assert (result.code == 4) == (where in result.err), (where, result.code, result.err)
