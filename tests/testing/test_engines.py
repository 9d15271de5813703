"""The checks of engines notice what an engine does wrongly."""

from __future__ import annotations

from simkit.execute.engine import Here
from simkit.testing import engines


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
