"""The traceback of a failed run."""

from __future__ import annotations

import tomllib
import weakref
from itertools import chain
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from injected import HEAD
from packaging.requirements import Requirement

import simkit
from simkit.errors import RunFailed, file_stem, location, together
from simkit.inject.contact import LIBRARIES, raised_by


def test_a_failed_run_records_its_traceback_from_the_users_first_line(execute):
    traj, _ = execute("def deep(x):\n    return 1 / x\n@experiment\ndef f(x=0):\n    return deep(x)\n")
    assert traj.error(0).splitlines()[0] == "Traceback (most recent call last):"
    assert "sim_a.py" in traj.error(0).splitlines()[1]
    assert traj.error(0).splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "simkit/inject" not in traj.error(0)


def test_check_raises_the_first_failure_after_all_is_recorded(study):
    text = "@experiment\n@product(x=[1, 0, 2])\ndef f(x):\n    return 1 // x\n"
    with pytest.raises(RunFailed, match=r"(?s)f: run 1 failed\n.*ZeroDivisionError"):
        study.run(HEAD + text, check=True)
    assert simkit.open("f")["result"].compressed().tolist() == [1, 0]


def raised(statement, **names):
    """What a statement raises, with the frames that led to it."""
    try:
        exec(compile(statement, "/home/someone/study/sim_a.py", "exec"), names)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError


class Proxied:
    pass


class Own(BaseException):
    pass


INSTALLED = "/usr/lib/python3.13/site-packages"
REFUSING = """
class Refusing:
    def __getattribute__(self, name):
        return refuse()

def refuse():
    raise error("no")
"""


def asked(file, error):
    """What simkit gets that asks an object whose class a file defines, and which raises an error."""
    names = {"error": error}
    exec(compile(REFUSING, file, "exec"), names)
    return raised("location(one)", location=location, one=names["Refusing"]())


@pytest.mark.parametrize("error", [KeyError, SystemExit, RecursionError, Own])
@pytest.mark.parametrize(
    "file", ["/home/someone/study/lab.py", f"{INSTALLED}/optics/lens.py", f"{INSTALLED}/optics.py"]
)
def test_what_an_object_raises_when_simkit_looks_at_it_is_its_own(file, error):
    words = raised_by(asked(file, error))
    assert words.startswith(f"{file}:4: Refusing.__getattribute__ raised ")
    assert words.splitlines()[0].endswith(": 'no'" if error is KeyError else ": no")


def test_an_object_that_is_gone_and_a_mock_are_the_users():
    gone = raised("location(one)", location=location, one=weakref.proxy(Proxied()))
    assert "weakref.proxy" in raised_by(gone)
    mock = MagicMock()
    mock.__str__.side_effect = RuntimeError
    assert "mock.py" in raised_by(raised("together([one, one])", together=together, one=mock))


@pytest.mark.parametrize("statement", ["location()", "1 / 0", "file_stem(7)"])
def test_other_errors_are_not(statement):
    assert raised_by(raised(statement, location=location, file_stem=file_stem)) == ""


def test_what_simkits_libraries_raise_is_no_objects():
    assert raised_by(asked(f"{INSTALLED}/h5py/_hl/group.py", KeyError)) == ""


def test_simkits_libraries_are_those_that_it_requires():
    given = tomllib.loads((Path(simkit.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = given["optional-dependencies"]
    used = [more for name, more in extras.items() if name not in ("examples", "test", "docs", "dev")]
    names = {Requirement(one).name for one in [*given["dependencies"], *chain.from_iterable(used)]}
    imported = {"gitpython": "git", "pyyaml": "yaml", "dask-jobqueue": "dask_jobqueue"}
    assert {imported.get(name, name) for name in names} <= {*LIBRARIES}
