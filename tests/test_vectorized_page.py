"""Does docs/howto/vectorized.md tell the truth? In processes of their own: JAX's threads would stay in this one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "vectorized.md").read_text("utf-8")
CHECK = """
import doctest, sys
result = doctest.testfile(sys.argv[1], module_relative=False)
assert result.attempted > 10
assert result.failed == 0
"""


def test_the_examples_give_what_is_shown(project):
    blocks = re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    result = project.python("-c", CHECK, str(project.file("page.txt", "\n".join(blocks))))
    assert result.code == 0, result.out + result.err


def test_jax_computes_many_runs_by_one_call_and_each_alone_the_same(project):
    pytest.importorskip("jaxlib")
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    project.file("sim_settle.py", text)
    project.ok("-n", "1", "--seed", "1")  # spawned: a fork of JAX's threads would hang
    traj = project.open("relax-001")
    assert (traj.status == "done").all()
    assert traj["path"].shape == (500, 50)
    assert traj["last"].dtype == np.float64
    assert len(np.unique(traj["last"])) == 500
    project.ok("verify", "results/relax-001.h5", "--rtol", "1e-9")
