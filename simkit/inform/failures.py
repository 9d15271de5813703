"""Which failures are alike, and what is said of those that are?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from simkit.errors import shown_path


@attrs.frozen
class Failure:
    """A run that is not done, for the report.

    Attributes
    ----------
    text
        Its traceback, or what became of its process.
    log
        What it printed.
    """

    run: int
    status: str
    text: str
    values: Mapping[str, Any]
    log: str = ""


def raised(text: str) -> tuple[str, str]:
    """What was raised, as the traceback's last line says it, and the innermost ``file:line``; no place without one."""
    frames = list(re.finditer(r'^\s*File "([^"]+)", line (\d+)', text, re.MULTILINE))
    rest = text[frames[-1].end() :].split("\n")[1:] if frames else text.strip().split("\n")
    words = next((line for line in rest if line and not line[0].isspace()), "")
    return words[:300], f"{frames[-1][1]}:{frames[-1][2]}" if frames else ""


_KEPT = 20  # failures of a kind


@attrs.define(eq=False)
class FailureKind:
    """Runs of one status that raised the same type of exception at the same place.

    Attributes
    ----------
    status
        Of all of them.
    words
        What the first one raised.
    place
        The innermost ``file:line`` of its traceback.
    runs
        The numbers of all of them.
    kept
        The first ones.
    is_same
        Whether all of them raised it with the same words.
    """

    status: str
    words: str
    place: str
    runs: list[int] = attrs.field(factory=list)
    kept: list[Failure] = attrs.field(factory=list)
    is_same: bool = True

    @property
    def told(self) -> list[Failure]:
        """Those that are worth telling: one where all are the same."""
        return [min(self.kept, key=lambda failure: failure.run)] if self.is_same else self.kept

    @property
    def name(self) -> str:
        """The exception and its place, without the words that differ from run to run."""
        file, _, number = self.place.rpartition(":")
        kind = self.words.partition(":")[0]
        return f"{kind} at {shown_path(file)}:{number}" if file else kind

    def line(self, node_id: str) -> str:
        """``FAILED sim_x.py::f  2,000 × ValueError: no luck, same every time, runs 0–1999``."""
        head = f"{self.status.upper()} {node_id}"
        if len(self.runs) == 1:
            return f"{head}[{self.runs[0]}]  {self.name}"
        what = f"{self.words}, same every time" if self.is_same else self.name
        return f"{head}  {len(self.runs):,} × {what}, {ranges(self.runs)}"


class FailureKinds:
    """The kinds of the failures of one experiment, in the order in which they turned up."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], FailureKind] = {}
        self.parsed: dict[str, tuple[str, str]] = {}  # by text: most are alike

    def __iter__(self) -> Iterator[FailureKind]:
        return iter(self.known.values())

    def take(self, run: int, status: str, text: str) -> FailureKind | None:
        """Count a failure; its kind, if more shall be known of it."""
        if text not in self.parsed:
            if len(self.parsed) > _KEPT:
                self.parsed.clear()
            self.parsed[text] = raised(text)
        words, place = self.parsed[text]
        key = status, words.partition(":")[0] if place else _without_numbers(words), place
        if key not in self.known:
            self.known[key] = FailureKind(status, words, place)
        kind = self.known[key]
        kind.is_same = kind.is_same and kind.words == words
        kind.runs.append(run)
        return kind if len(kind.kept) < _KEPT else None


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", text)


def spans(runs: list[int]) -> list[list[int]]:
    """The first and the last number of each row of neighbours."""
    parts: list[list[int]] = []
    for run in sorted(runs):
        if parts and run == parts[-1][1] + 1:
            parts[-1][1] = run
        else:
            parts.append([run, run])
    return parts


def ranges(runs: list[int], most: int = 5) -> str:
    """``runs 0–3, 7, 9–12``."""
    parts = spans(runs)
    shown = [f"{first}" if first == last else f"{first}–{last}" for first, last in parts[:most]]
    return f"run{'s' * (len(runs) > 1)} {', '.join(shown)}{' …' * (len(parts) > most)}"
