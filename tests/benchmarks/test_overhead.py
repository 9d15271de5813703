"""The guard: what a run costs beside the experiment does not grow by a quarter without notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# What was counted, in iterations of a plain loop. Lower it when a change makes runs cheaper. "alone" is a
# run that is a batch of its own, "asked" what the owner does for each point that a strategy is asked for, the writing
# of it among that.
COUNTED = {  # CPython 3.11; 3.12 counts up to 1.06 of it
    "returned": 6.4,
    "mapping": 11.3,
    "added": 18.1,
    "drawn": 13.5,
    "vectorized": 0.01,
    "alone": 390.0,
    "asked": 246.0,
}
if sys.version_info >= (3, 13):  # whose plain loop is quicker
    COUNTED = {
        "returned": 9.1,
        "mapping": 15.1,
        "added": 23.4,
        "drawn": 19.0,
        "vectorized": 0.01,
        "alone": 494.0,
        "asked": 290.0,
    }
LIMIT = 1.25  # whatever grows by half is beyond it
SLOWER = """
import simkit.inject.injector as injector

source = injector.Injector.source

def slower(*given):
    for value in source(*given):
        len((len((len((value,)),)),))
        yield value

injector.Injector.source = slower
"""

PLAIN = """
from simkit import experiment, product

@experiment
@product(x=[1.0, 2.0], y=[6.0, 7.0, 8.0])
def few(x, y):
    return x * y
"""
LISTED = """
import sys
from simkit.cli.main import main
code = main(["-q", "-n", "0"])
print(*sorted(name for name in sys.modules if name.partition(".")[0] == "simkit"), file=sys.stderr)
sys.exit(code)
"""
MODULES = 133  # of simkit's, that a plain command reads outside of git: most of what a small study costs


def costs(before: str = "") -> dict[str, float]:
    """The costs, counted in a process of its own, which coverage does not trace."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    code = f"{before}\nimport overhead\noverhead.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_costs_no_more_than_a_quarter_again():
    counted = costs()
    grown = {name: cost for name, cost in counted.items() if cost > LIMIT * COUNTED[name]}
    assert not grown, f"iterations of a plain loop per run, at most {COUNTED} times {LIMIT}: {counted}"
    assert counted.keys() == COUNTED.keys()


def test_the_guard_notices_a_few_more_instructions():
    assert costs(SLOWER)["returned"] > LIMIT * COUNTED["returned"]


def test_a_plain_command_reads_no_more_modules(tmp_path):
    (tmp_path / "sim_few.py").write_text(PLAIN, "utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    command = [sys.executable, "-c", LISTED]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = done.stderr.split()
    assert "simkit.study.session" in names
    assert len(names) <= MODULES, f"import what a plain command needs not where it is used: {names}"
