"""A strategy and what follows the experiment are recorded under their names."""

from __future__ import annotations

SOURCE = """
import other
from simkit import adaptive, after, experiment, explore

def climb():
    yield explore(x=[1, 2])

@experiment
@adaptive(climb)
def f(x):
    return x
"""

OTHER = """
from simkit import after

def follow(f):
    @after(f)
    def climb(trajectory):
        return {"n": len(trajectory)}
"""


def test_a_strategy_and_an_after_of_one_name_are_refused(project):
    project.file("other.py", OTHER)
    project.file("sim_a.py", SOURCE + "\nother.follow(f)\n")
    result = project.simkit()
    assert result.code == 4
    words = "sim_a.py:5: the strategy of f and the @after at other.py:5 are both named 'climb'"
    assert words in result.out + result.err
    project.file("other.py", OTHER.replace("climb", "count"))
    assert project.simkit("-n", "0").code == 0
