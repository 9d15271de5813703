"""Whatever a test of faults starts ends with it, also when it fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_process_stays(project: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill what a failing test has left under way."""
    started = []
    start = type(project).start

    def noted(project, *command, **options):
        started.append(start(project, *command, **options))
        return started[-1]

    monkeypatch.setattr(type(project), "start", noted)
    yield
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
