"""Which runs does the table show, what is known of one run, and why did others fail?"""

from __future__ import annotations

import cmath
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import attrs
import numpy as np

from simkit.analyse.show import glanced
from simkit.declare.forms import TRIAL, Index
from simkit.errors import SimkitError
from simkit.inform.failures import raised
from simkit.inform.progress import briefly, has_unit
from simkit.record.attachments import RecordedFile
from simkit.serve.arrays import is_drawable
from simkit.serve.reading import Field, Reading, number
from simkit.values.batch import WORDS, Status
from simkit.values.pictures import Picture

PAGE = 25
_MOST_COLUMNS = 30
_MOST_READ = 2_000  # tracebacks
_LOG = 64_000  # characters of a log that are shown
_MOST_REPORTS = 50  # the latest
_PICTURES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
}  # fmt: skip

Replay = Callable[[Reading, int], str]


@attrs.frozen
class Heading:
    """A column of the table: its title, and how to sort by it (again: the other way round)."""

    name: str
    title: str
    comment: str
    sort: str
    arrow: str
    is_number: bool


@attrs.frozen
class RunTable:
    """Some runs, as texts.

    Attributes
    ----------
    rows
        Run number, status, and a text per column.
    first, total
        The place of the first row among all that match, from 0, and how many match.
    """

    headings: tuple[Heading, ...]
    rows: tuple[tuple[int, str, tuple[str, ...]], ...]
    first: int
    total: int
    page: int
    pages: int


def table(reading: Reading, where: str, sort: str, page: int) -> RunTable:
    """A page of the runs that match a condition, in the order of a column (``-rate``: descending).

    Raises
    ------
    SimkitError
        For a condition that can't be read, or a column that there is not.
    """
    names = list(reading.columns)[:_MOST_COLUMNS]
    columns = [*names, *([TRIAL] if reading.has_trials and TRIAL not in names else []), "seconds"]
    rows = ordered(reading, where, sort)
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(page, 0), pages - 1)
    shown = rows[page * PAGE : (page + 1) * PAGE]
    cells = _cells(reading, shown, columns)
    headings = tuple(_heading(reading, name, sort) for name in ["run", "status", *columns])
    return RunTable(headings, cells, page * PAGE, len(rows), page, pages)


def ordered(reading: Reading, where: str, sort: str) -> Index:
    """The runs that match, in the order of a column; those without a value last."""
    name = sort.removeprefix("-")
    reading.checked(name or "run", ["run", "status", "seconds", TRIAL, *reading.columns])

    def order() -> Index:
        rows = np.flatnonzero(reading.matching(where))
        if name in ("", "run"):
            return rows[::-1] if sort.startswith("-") else rows
        keys = _keys(reading.field(name))[rows]
        keys = -keys if sort.startswith("-") else keys
        return rows[np.argsort(keys, kind="stable")]

    found: Index = reading.kept(("order", where, sort), order)
    return found


def _keys(field: Field) -> Any:
    """Numbers in the order of the values, NaN where there is none."""
    if field.is_number:
        return field.values
    rank = np.empty(len(field.words) + 1)
    rank[np.argsort(np.array(field.words, object), kind="stable")] = np.arange(len(field.words))
    rank[-1] = np.nan
    return rank[field.values]


def _heading(reading: Reading, name: str, sort: str) -> Heading:
    is_user = name in reading.trajectory
    about = reading.trajectory.describe(name) if is_user else None
    unit = "s" if name == "seconds" and not is_user else about.unit if about else ""
    comment = about.comment.partition("\n")[0] if about else ""
    arrow = {name: "▲", f"-{name}": "▼"}.get(sort, "")
    title = f"{name} [{unit}]" if unit else name
    is_number = name != "status" and (not is_user or reading.columns[name])
    return Heading(name, title, comment, f"-{name}" if sort == name else name, arrow, is_number)


def _cells(
    reading: Reading, runs: Index, columns: Sequence[str]
) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """The texts of these runs, read where they stand."""
    mask = np.zeros(len(reading), bool)
    mask[runs] = True
    part = reading.trajectory.where(mask)
    frame = part.to_dataframe([name for name in columns if name in reading.trajectory])
    for name in columns:
        if name not in reading.trajectory:
            frame[name] = part[name]
    frame = frame.loc[runs, list(columns)]
    codes = reading.run_column("status")
    texts = [[_text(value) for value in frame[name]] for name in columns]
    lines = zip(*texts, strict=True) if texts else ((),) * len(runs)
    words = [WORDS[code] for code in (codes[runs].tolist() if codes is not None else [0] * len(runs))]
    return tuple(
        (run, word, tuple(line)) for run, word, line in zip(runs.tolist(), words, lines, strict=True)
    )


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        return number(float(value))
    if isinstance(value, str):
        return value if len(value) <= 100 else value[:99] + "…"
    is_missing = (
        value is None or str(value) in ("<NA>", "NaT") or (isinstance(value, complex) and cmath.isnan(value))
    )
    return "" if is_missing else briefly(value)


@attrs.frozen
class FailedRun:
    """Runs that failed alike.

    Attributes
    ----------
    words
        The last line of the first one's traceback.
    place
        The innermost ``file:line`` of its traceback.
    runs
        The numbers of all of them.
    """

    status: str
    words: str
    place: str
    runs: tuple[int, ...]


def failures(reading: Reading) -> tuple[FailedRun, ...]:
    """The runs that are neither done nor pending, grouped by what was raised where; the largest group first."""
    found: tuple[FailedRun, ...] = reading.kept("failures", lambda: _failures(reading))
    return found


def _failures(reading: Reading) -> tuple[FailedRun, ...]:
    codes = reading.run_column("status")
    if codes is None:
        return ()
    failed = np.flatnonzero((codes != Status.DONE) & (codes != Status.PENDING))
    texts = reading.recorded.latest_texts("error", failed[:_MOST_READ])
    groups: dict[tuple[str, str, str], list[int]] = {}
    first: dict[tuple[str, str, str], str] = {}
    for run in failed.tolist():
        status = WORDS[int(codes[run])]
        words, place = raised(texts.get(run, ""))
        key = (status, re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", words), place)
        groups.setdefault(key, []).append(run)
        first.setdefault(key, words)
    kinds = [FailedRun(key[0], first[key], key[2], tuple(runs)) for key, runs in groups.items()]
    return tuple(sorted(kinds, key=lambda kind: -len(kind.runs)))


@attrs.frozen
class Value:
    """A name in one run: its value as text, its unit and comment, whether it has a picture, or is one."""

    name: str
    text: str
    unit: str
    comment: str
    explored: bool
    has_picture: bool
    image: str


@attrs.frozen
class Detail:
    """All that is known of one run.

    Attributes
    ----------
    log
        What it wrote, or the end of it; ``log_size`` is how many characters there are.
    programs
        The external programs that it has run, and how they ended.
    """

    run: int
    status: str
    seconds: str
    seed: str
    source: str
    parameters: tuple[Value, ...]
    results: tuple[Value, ...]
    error: str
    log: str
    log_size: int
    notes: tuple[str, ...]
    reports: tuple[tuple[int, str], ...]
    programs: tuple[str, ...]
    files: tuple[RecordedFile, ...]
    replay: str


def detail(reading: Reading, run: int, replay: Replay) -> Detail:
    """What is known of a run.

    Raises
    ------
    SimkitError
        For a number that no run has.
    """
    of, run = reading.trajectory, reading.checked_run(run)
    codes, seeds, seconds = (
        reading.recorded.run_column(name, slice(run, run + 1)) for name in ("status", "seed", "seconds")
    )
    code = 0 if codes is None else int(codes[0])
    log = of.log(run)
    origin = of.source(run)
    is_own = origin.run == run and str(origin.file) in (of.path.name, str(of.path))
    return Detail(
        run,
        WORDS[code],
        number(float(seconds[0])) if seconds is not None and code != Status.PENDING else "",
        "" if seeds is None else str(int(seeds[0])),
        "" if is_own else f"{origin.file}, run {origin.run}",
        tuple(_values(reading, run, of.names("parameters"))),
        tuple(_values(reading, run, of.names("results"))),
        of.error(run),
        log[-_LOG:],
        len(log),
        tuple(of.notes(run)),
        tuple((step, number(value)) for step, value in of.reports(run)[-_MOST_REPORTS:]),
        tuple(map(str, of.commands(run))),
        tuple(attached(reading, run).values()),
        replay(reading, run),
    )


def attached(reading: Reading, run: int) -> dict[str, RecordedFile]:
    """The files that a run attached, by name."""
    return {file.name: file for file in reading.recorded.attached(np.array([reading.checked_run(run)]))}


def kind_of_picture(name: str) -> str:
    """The media type of a file that a browser shows as a picture, by its name; empty for all others.

    SVG is none of them: it may hold scripts.
    """
    return _PICTURES.get(PurePosixPath(name).suffix.lower(), "")


def _values(reading: Reading, run: int, names: Sequence[str]) -> Iterator[Value]:
    """Each name that has a value in a run."""
    values = reading.trajectory.runs[run]
    for name in names:
        try:
            value = glanced(lambda: values[name])  # noqa: B023 - called at once
        except KeyError:  # this run has none
            continue
        about = reading.trajectory.describe(name)
        unit = "" if has_unit(value) else about.unit
        yield Value(
            name, briefly(value), unit, about.comment, about.explored, is_drawable(value), _image(value)
        )


def _image(value: Any) -> str:
    """The ``data:`` address of a recorded picture."""
    return value.address if isinstance(value, Picture) and value.kind != "bokeh" else ""


def value_of_run(reading: Reading, run: int, name: str) -> Any:
    """A value of a run.

    Raises
    ------
    SimkitError
        Where the run, or its value of this name, is not there.
    """
    if not 0 <= run < len(reading) or name not in reading.trajectory:
        msg = f"{reading.name} has no run {run} with {name!r}"
        raise SimkitError(msg)
    try:
        return glanced(lambda: reading.trajectory.runs[run][name])
    except KeyError as error:
        raise SimkitError(str(error)) from None
