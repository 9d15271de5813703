"""What is said, as JSON objects, one a line: for programs that start simkit."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np

from simkit.collect.config import Settings
from simkit.inform.failures import spans
from simkit.inform.progress import Progress, Stage, briefly, has_unit
from simkit.record.facts import clean
from simkit.record.file.store import left_log
from simkit.values.decode import ABSENT

MOST = 1000  # items of a list, or cells of an array, that are written out
_INTERVAL = 1.0  # seconds between two objects that say how far it is


class Writable(Protocol):
    """Where the lines go."""

    def write(self, text: str) -> int:
        """Write text."""

    def flush(self) -> None:
        """Hand on what waits."""


class Events:
    """Writes objects, each with its `type`, as they are described in ``docs/reference/json.md``."""

    def __init__(self, stream: Writable) -> None:
        self.stream = stream

    def emit(self, kind: str, **fields: Any) -> None:
        """Write one object on a line."""
        self.stream.write(json.dumps({"type": kind, **plain(fields)}) + "\n")
        self.stream.flush()


def plain(value: Any) -> Any:
    """A value as JSON knows it: what it has no form for is the text that people read.

    Numbers that are none, or infinite, are the texts ``"nan"``, ``"inf"`` and ``"-inf"``.
    """
    if value is ABSENT:
        return None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if (
        isinstance(value, np.generic)
        and not has_unit(value)
        and not isinstance(value.item(), np.generic | bytes)
    ):
        return plain(value.item())
    if (
        isinstance(value, np.ndarray)
        and not has_unit(value)
        and value.dtype.kind in "biufU"
        and value.size <= MOST
    ):
        return plain(value.tolist())
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain(one) for key, one in value.items()}
    return _plain_items(value)


def _plain_items(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) <= MOST:
        return [plain(one) for one in value]
    return str(value) if isinstance(value, PurePath) else briefly(value, 200)


class Announcer:
    """The reporter of the command with ``--json``.

    Parameters
    ----------
    again
        The arguments that a replay needs besides the node id.
    """

    def __init__(self, settings: Settings, events: Events, *, again: Sequence[str] = ()) -> None:
        self.settings, self.events, self.again = settings, events, again
        self.told = 0  # failures of the experiment that is under way
        self.due = 0.0

    def begin(self, progress: Progress) -> None:
        """An experiment starts."""
        self.told, self.due = 0, time.perf_counter() + _INTERVAL
        target = progress.target
        self.events.emit(
            "begun", experiment=progress.plan.node_id, file=target.slot.path, name=target.slot.group,
            runs=progress.size, done=progress.recorded_done, to_run=progress.total, seed=target.root,
            workers=self.settings.workers, continues=target.status is not None,
            remarks=[text for text in (*target.remarks, target.damage) if text],
        )  # fmt: skip

    def advance(self, progress: Progress) -> None:
        """Tell of failures at once, and now and then how far it is."""
        self._tell_failures(progress)
        now = time.perf_counter()
        if now >= self.due:
            self.due = now + _INTERVAL
            self._tell_progress(progress)

    def _tell_progress(self, progress: Progress) -> None:
        self.events.emit(
            "progress", experiment=progress.plan.node_id, executed=progress.done, to_run=progress.total,
            failed=progress.failed, seconds=time.perf_counter() - progress.started,
        )  # fmt: skip

    def _tell_failures(self, progress: Progress) -> None:
        for failure in progress.failures[self.told :]:
            node = f"{progress.plan.node_id}[{failure.run}]"
            self.events.emit(
                "failure", experiment=progress.plan.node_id, run=failure.run, status=failure.status,
                error=clean(failure.text), log=clean(failure.log), parameters=failure.values,
                replay=shlex.join(["simkit", node, "--pdb", *self.again]),
            )  # fmt: skip
        self.told = len(progress.failures)

    def end(self, progress: Progress) -> None:
        """An experiment is over."""
        self._tell_failures(progress)
        self._tell_progress(progress)
        kinds = [
            {
                "status": kind.status, "error": kind.words, "place": kind.place, "same": kind.is_same,
                "count": len(kind.runs), "runs": spans(kind.runs)[:MOST],
            }
            for kind in progress.kinds
        ]  # fmt: skip
        heard = [{**key._asdict(), "runs": number} for key, number in progress.heard.items()]
        path, replays = progress.path, self.settings.replay
        self.events.emit(
            "ended", experiment=progress.plan.node_id, file=None if replays else path,
            name=progress.target.slot.group, runs=progress.size,
            done=progress.recorded_done + progress.counts.get("done", 0), counts=progress.counts,
            interrupted=progress.interrupted, seconds=time.perf_counter() - progress.started, failures=kinds,
            warnings=heard, logged=progress.n_logged, printed=clean(progress.printed),
            remarks=[*progress.said_at_end(self.settings.most_failures), *progress.warnings],
            problems=progress.problems, log_left=None if replays else left_log(path) or None,
        )  # fmt: skip

    def stage(self, progress: Progress, stage: Stage) -> None:
        """What stands beside the experiment was called."""
        self.events.emit(
            "stage", experiment=progress.plan.node_id, function=stage.plan.node_id, role=stage.role,
            status=stage.status, seconds=stage.seconds, error=clean(stage.text),
        )  # fmt: skip

    def interrupted(self, count: int) -> None:
        """A signal handler may not write, or an object would stand within another; ``ended`` says it."""

    def unstarted(self, node_id: str, text: str) -> None:
        """An experiment could not begin."""
        self.error(node_id, text)

    def unbegun(self, node_ids: Sequence[str]) -> None:
        """The session ends before these experiments, after a failure or a signal."""
        for node_id in node_ids:
            self.error(node_id, "not begun, the session was stopped before")

    def uncollected(self, where: str, text: str) -> None:
        """A file or an experiment could not be collected."""
        self.error(where, text)

    def error(self, where: str, text: str) -> None:
        """Something went wrong that is no run's."""
        self.events.emit("error", where=where, message=text)

    def nothing(self, node_id: str, text: str) -> None:
        """An experiment has nothing to run."""
        self.error(node_id, text)

    def close(self, durations: int) -> None:
        """Each experiment has said how it ended."""
