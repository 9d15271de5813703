"""The traceback of a failed run."""

from __future__ import annotations

import weakref

import pytest
from injected import HEAD

import simkit
from simkit.errors import RunFailed, file_stem, location
from simkit.inject.contact import raised_by


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
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError


class Proxied:
    pass


def test_what_an_object_raises_when_simkit_looks_at_it_is_its_own():
    refusing = {}
    exec(
        compile(
            "class Refusing:\n    def __getattribute__(self, name):\n        raise KeyError('no')\n",
            "/home/someone/study/lab.py",
            "exec",
        ),
        refusing,
    )
    asked = raised("location(one)", location=location, one=refusing["Refusing"]())
    assert raised_by(asked).startswith(
        "/home/someone/study/lab.py:3: Refusing.__getattribute__ raised KeyError: 'no'"
    )
    gone = raised("location(one)", location=location, one=weakref.proxy(Proxied()))
    assert "weakref.proxy" in raised_by(gone)


@pytest.mark.parametrize("statement", ["location()", "1 / 0", "file_stem(7)"])
def test_other_errors_are_not(statement):
    assert raised_by(raised(statement, location=location, file_stem=file_stem)) == ""
