"""The line that a script's terminal shows while a study runs."""

from __future__ import annotations

import os
import re
import sys

import pytest
from written_pages import TOOK

SCRIPT = """
import threading, time
import simkit

import warnings


def slow(x):
    time.sleep(0.2)
    if x == 1:
        raise ValueError
    return x

warnings.simplefilter("ignore")  # of the failed run
traj = simkit.run(slow, simkit.product(x=[0, 1, 2]), workers={workers})
print("result", traj["result"].tolist())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_terminal_sees_a_line_on_stderr_that_is_drawn_over(project, workers):
    project.file("script.py", SCRIPT.format(workers=workers))
    owner, terminal = os.openpty()
    result = project.python("script.py", stderr=terminal)
    os.close(terminal)
    shown = os.read(owner, 100_000).decode()
    os.close(owner)
    assert result.out == "result [0, None, 2]\n"
    assert result.code == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    states = [part.strip() for part in text.split("\r") if "slow" in part]
    assert len(states) >= 2
    rate = rf"({TOOK}/run|\d runs/s)"
    ended = rf"script\.py::slow  3 runs +━{{20,}} 100% 3/3  {rate}  in {TOOK}  1 failed"
    assert re.fullmatch(ended, states[-1])
    assert text.endswith("\r\n")


def test_nothing_is_shown_where_nobody_looks(project):
    project.file("script.py", SCRIPT.format(workers=0))
    result = project.python("script.py")
    assert (result.out, result.err) == ("result [0, None, 2]\n", "")
