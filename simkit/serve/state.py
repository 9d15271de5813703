"""How far is a study, as its file tells?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.inform.progress import duration
from simkit.record.catalogue import writer_in
from simkit.serve.reading import Reading
from simkit.values.batch import WORDS, Status

_WINDOW = 60.0  # seconds over which the rate is taken
_FEW = 20  # runs in that time from which on it tells more than the whole session
_CELLS = 200  # of the strip


@attrs.frozen
class StudyState:
    """A study at one moment.

    Attributes
    ----------
    word
        ``running``, ``complete``, ``stopped`` (the session ended with runs pending), or ``killed``.
    counts
        How many runs have each status that occurs.
    rate
        Runs per second, 0 where nothing is running.
    left
        Seconds until the last run ends at this rate; None where that is unknown.
    strip
        The runs in order, in at most 200 parts of equal length: for each the share that is done, failed and pending.
    read
        When the file was read, in seconds since 1970.
    """

    name: str
    node_id: str
    doc: str
    path: str
    word: str
    writer: str
    runs: int
    counts: Mapping[str, int]
    rate: float
    left: float | None
    strip: tuple[tuple[float, float, float], ...]
    started: float
    ended: float | None
    outcome: str
    read: float
    version: str

    @property
    def done(self) -> int:
        """How many runs are done."""
        return self.counts.get("done", 0)

    @property
    def failed(self) -> int:
        """How many are neither done nor pending."""
        return self.runs - self.done - self.counts.get("pending", 0)

    @property
    def pace(self) -> str:
        """``120 runs/s, 5:40 left``."""
        if not self.rate:
            return ""
        each = 1 / self.rate
        speed = f"{self.rate:,.0f} runs/s" if each < 0.5 else f"{duration(each)} per run"
        return speed if self.left is None else f"{speed}, {duration(self.left)} left"

    def as_json(self) -> dict[str, Any]:
        """What ``simkit watch --json`` and ``/state.json`` tell."""
        return {**attrs.asdict(self), "done": self.done, "failed": self.failed}


def state_of(reading: Reading) -> StudyState:
    """How far a study is."""
    now = time.time()
    codes = reading.run_column("status")
    codes = np.zeros(0, np.uint8) if codes is None else codes
    numbers = np.bincount(codes, minlength=len(WORDS))
    counts = {word: int(count) for word, count in zip(WORDS, numbers.tolist(), strict=True) if count}
    writer = writer_in(reading.path)
    session = _last_session(reading)
    pending = counts.get("pending", 0)
    started = float(session.get("started", 0.0))
    rate = _rate(reading, codes, started, now) if writer else 0.0
    attributes = reading.recorded.attributes
    return StudyState(
        reading.name,
        str(attributes["node_id"]),
        str(attributes["doc"]),
        str(reading.path),
        _word(writer, pending, session),
        writer,
        len(codes),
        counts,
        rate,
        pending / rate if rate else None,
        _strip(codes),
        started,
        float(session["ended"]) if "ended" in session else None,
        str(session.get("outcome", "")),
        now,
        reading.version,
    )


def _last_session(reading: Reading) -> Mapping[str, Any]:
    sessions = reading.recorded.sessions
    facts: Mapping[str, Any] = reading.kept("last session", lambda: sessions[-1] if sessions else {})
    return facts


def _word(writer: str, pending: int, session: Mapping[str, Any]) -> str:
    if writer:
        return "running"
    if not pending:
        return "complete"
    return "stopped" if "ended" in session or not session else "killed"


def _rate(reading: Reading, codes: Array, started: float, now: float) -> float:
    """Runs that ended per second: of late where they are many, else in this session."""
    starts, seconds = reading.run_column("started"), reading.run_column("seconds")
    if starts is None or seconds is None:
        return 0.0
    ends = (starts + seconds)[codes != Status.PENDING]
    session = int((ends >= started).sum())
    recent = int((ends >= now - _WINDOW).sum())
    if recent >= _FEW and now - started > _WINDOW:
        return recent / _WINDOW
    return session / max(now - started, 1e-3)


def _strip(codes: Array) -> tuple[tuple[float, float, float], ...]:
    """The share of each part that is done, failed, pending."""
    n = len(codes)
    if not n:
        return ()
    edges = np.unique(np.linspace(0, n, min(n, _CELLS), endpoint=False).astype(np.int64))
    sizes = np.diff(np.append(edges, n))
    done = np.add.reduceat(codes == Status.DONE, edges, dtype=np.int64) / sizes
    pending = np.add.reduceat(codes == Status.PENDING, edges, dtype=np.int64) / sizes
    failed = 1 - done - pending
    return tuple(
        zip(done.round(4).tolist(), failed.round(4).tolist(), pending.round(4).tolist(), strict=True)
    )
