"""Which engine a name means: by option, by configuration, by a plug-in, as a function of the project's."""

from __future__ import annotations

import pytest

SIM = """
    from simkit import experiment, product

    @experiment
    @product(x=[1, 2])
    def f(x):
        return x
"""
OURS = """
    from concurrent.futures import ProcessPoolExecutor

    def make(size=1):
        return ProcessPoolExecutor(size)

    def broken():
        raise OSError("no licence")

    def wrong():
        return 3
"""
CONF = """
    from simkit import hookimpl
    from ours import make

    @hookimpl
    def simkit_engines():
        return {"house": make}
"""


@pytest.fixture
def study(project):
    project.file("sim_f.py", SIM)
    project.file("ours.py", OURS)
    return project


def refused(study, *arguments):
    result = study.simkit(*arguments)
    assert result.code == 4, result.out + result.err
    assert not list(study.path.glob("results/*.h5"))
    return result.err


def test_an_engine_of_the_projects_by_configuration_or_by_a_hook_with_its_table(study):
    study.file("simconf.py", CONF)
    study.file("pyproject.toml", '[tool.simkit]\nengine = "house"\n[tool.simkit.engines.house]\nsize = 2')
    assert "2 done" in study.ok().out
    assert study.open("f-001").info.sessions[-1]["engine"] == "house"
    study.ok("--fresh", "--engine", "local")
    assert study.open("f-002").info.sessions[-1]["engine"] != "house"
    study.ok("--fresh", "-n", "0")
    assert study.open("f-003").info.sessions[-1]["engine"] == "owner"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dusk", "--engine: no engine 'dusk'\n    there are: "),
        ("slurm:x", "no engine 'slurm:x'"),
        ("ours:nothing", "--engine: AttributeError: module 'ours' has no attribute 'nothing'"),
        ("no_such:make", "--engine: ModuleNotFoundError: No module named 'no_such'"),
        ("ours:broken", "--engine: ours:broken gave no executor: OSError: no licence"),
        ("ours:wrong", "--engine: 3 is no executor: give what has submit(function, argument) -> Future"),
    ],
)
def test_an_engine_that_is_not_there_is_an_error(study, name, words):
    assert words in refused(study, "--engine", name)


def test_the_engines_that_there_are_stand_beside_the_closest(study):
    words = refused(study, "--engine", "dusk")
    assert "dask" in words.partition("there are:")[2]
    assert "dask:ADDRESS, or module:function that returns an executor" in words


def test_no_worker_and_an_engine_contradict_each_other(study):
    words = refused(study, "--engine", "ours:make", "-n", "0")
    assert "--engine ours:make and -n 0 contradict each other: -n 0 runs in this process" in words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("engine = 3", "[tool.simkit] engine must be the name of an engine"),
        (
            "engines = 3",
            "[tool.simkit] engines must hold a table for each engine: [tool.simkit.engines.slurm]",
        ),
        ("[tool.simkit.engines]\nslurm = 3", "engines must hold a table for each engine"),
    ],
)
def test_wrong_configuration(study, line, words):
    study.file("pyproject.toml", f"[tool.simkit]\n{line}")
    assert words in refused(study)


@pytest.mark.parametrize("offered", ["3", "{'house': 3}", "{1: make}"])
def test_a_hook_that_gives_no_functions(study, offered):
    study.file("simconf.py", CONF.replace('{"house": make}', offered))
    assert "simconf.py: simkit_engines gives " in refused(study, "--engine", "house")


def test_a_hook_that_fails(study):
    study.file("simconf.py", CONF.replace('{"house": make}', "1 / 0"))
    assert "simconf.py: simkit_engines: ZeroDivisionError" in refused(study, "--engine", "house")


def test_no_engine_is_imported_where_none_is_asked_for(study):
    code = """
import sys
from simkit.cli.main import main
main(["-q"])
print({"dask", "distributed", "mpi4py", "scoop"} & {*sys.modules})
"""
    result = study.python("-c", code)
    assert result.out.splitlines()[-1] == "set()", result.out + result.err
