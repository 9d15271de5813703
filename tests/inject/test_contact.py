"""The traceback of a failed run."""

from __future__ import annotations

import pytest
from injected import HEAD

import simkit
from simkit.errors import RunFailed


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
