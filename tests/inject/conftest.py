"""An experiment executed in this process."""

from __future__ import annotations

import pytest
from injected import HEAD


@pytest.fixture
def execute(study):
    """Run ``f`` of a text; gives the trajectory and the module's list of events."""

    def run(text, **options):
        traj = study.run(HEAD + text, **options)
        return traj, study.module("sim_a.py").events

    return run
