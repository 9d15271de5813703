"""The checks of engines notice what an engine does wrongly."""

from __future__ import annotations

import attrs
import pytest

from simkit.execute.engine import Here, processes
from simkit.testing import engines
from simkit.values.batch import Batch


def test_the_checks_notice_an_engine_that_loses_runs():
    class Forgetful(Here):
        def run(self, agenda, stop):
            batches = super().run(agenda, stop)
            next(batches, None)
            yield from batches

    failed = 0
    for check in engines.CHECKS:
        try:
            check(Forgetful)
        except (AssertionError, ValueError, KeyError):
            failed += 1
    assert failed >= 3


class Deaf:
    """Two processes whose results are lost once somebody has typed Ctrl-C."""

    def __init__(self, job):
        self.pool, self.is_halted = processes(job, 2), False

    def run(self, agenda, stop):
        for event in self.pool.run(agenda, stop):
            if not (self.is_halted and isinstance(event, Batch)):
                yield event

    def halt(self):
        self.is_halted = True
        self.pool.halt()

    def close(self, *, now=False):
        return self.pool.close(now=now)


def singly(job):
    """Calls of one run each."""
    return Here(attrs.evolve(job, plan=attrs.evolve(job.plan, vectorized=1)))


def shuffled(job):
    """Each run gets the point of the next one, and so the next one's source."""
    engine, space = Here(job), job.plan.space
    batch = engine.injector.batch

    def taken(portion, beat):
        return batch(attrs.evolve(portion, points=space.at((portion.runs + 1) % len(space))), beat)

    engine.injector.batch = taken
    return engine


@pytest.mark.parametrize(
    ("make", "check", "words"),
    [
        (Deaf, engines.check_that_ctrl_c_finishes_what_runs, "began, and are not finished"),
        (singly, engines.check_that_a_call_may_compute_many_runs, "no call computed more than one run"),
        (shuffled, engines.check_that_runs_get_the_runs_of_another_experiment, None),
        (shuffled, engines.check_that_functions_of_a_notebook_are_executed, None),
    ],
)
def test_a_check_notices_what_it_is_for(make, check, words):
    with pytest.raises(AssertionError, match=words):
        check(make)
