"""``simkit diff``: how two trajectories differ."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import attrs

from simkit.analyse.diff import Diff, ParameterDiff, diff
from simkit.analyse.open import recorded_at
from simkit.cli.verbs.words import (
    FILE,
    add_json,
    add_tolerance,
    aligned,
    apart,
    deviation_facts,
    facts_of,
    pair,
    tolerance,
)
from simkit.errors import shown_path
from simkit.inform.events import MOST
from simkit.inform.progress import assignments, counted
from simkit.provenance.changes import Change
from simkit.record.catalogue import experiments
from simkit.record.recorded import Recorded

_MOST_LINES = 30  # of a function's changed source
_MOST_POINTS = 3  # that are told by their values


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit diff``."""
    top = argparse.ArgumentParser(
        prog="simkit diff",
        description="How two trajectories differ: in parameters, points, code, packages, and in the results at the "
        "points that both have.",
        epilog="exit codes: 0 the same   1 something differs   4 usage or file error",
    )
    top.add_argument("a", metavar="A", help=FILE)
    top.add_argument("b", metavar="B", help="another one")
    add_tolerance(top)
    add_json(top)
    return top


def main(options: argparse.Namespace) -> int:
    """Compare, and tell; the exit code."""
    allowed = tolerance(options)
    with closing(recorded_at(options.a)) as a, closing(recorded_at(options.b)) as b:
        difference = diff(a, b, allowed)
        if options.json:
            options.json.emit("difference", **difference_facts(difference, (a, b)))
        else:
            print("\n".join(report(difference, (a, b))))
    return 0 if difference.same else 1


def difference_facts(difference: Diff, sides: Sequence[Recorded]) -> dict[str, Any]:
    """The same for programs."""
    comparison, points = difference.comparison, difference.points
    only = {
        f"only_{letter}": {"count": len(runs), "runs": runs[:MOST]}
        for letter, runs in zip("ab", points.only if points else (), strict=False)
    }
    results = [
        {
            "name": name,
            "only": only_in.lower() or None,
            "differing": comparison.counts[name],
            "examples": [deviation_facts(each) for each in comparison.differences.get(name, ())],
        }
        for name, only_in in difference.columns.items()
        if only_in or comparison.counts[name]
    ]
    return {
        "same": difference.same,
        **{letter: facts_of(side) for letter, side in zip("ab", sides, strict=True)},
        "seeds": difference.seeds,
        "parameters": [
            {"name": entry.name, "values": entry.values, "units": entry.units} for entry in difference.entries
        ],
        "points": None if points is None else {"both": len(points.common[0]), **only},
        "changes": [attrs.asdict(change) for change in difference.changes],
        "statuses": [{"a": a, "b": b, "points": n} for (a, b), n in comparison.statuses.items()],
        "results": results,
    }


def report(difference: Diff, sides: Sequence[Recorded]) -> Iterator[str]:
    """The whole report, a line at a time."""
    for letter, side in zip("AB", sides, strict=True):
        name = f"::{side.name}" if len(experiments(side.path)) > 1 else ""
        facts = [
            shown_path(side.path) + name,
            side.attributes["node_id"],
            counted(len(side), "run"),
            commit(side),
        ]
        yield f"{letter}  {'   '.join(filter(None, facts))}"
    if difference.same:
        yield ""
        counts = f"{counted(len(sides[0]), 'point')}, {counted(len(difference.columns), 'column')}"
        yield f"the same: {counts}, code and packages"
        return
    if difference.seeds is not None:
        yield from titled("seed", ["{} | {}".format(*difference.seeds)])
    yield from titled("parameters", entries(difference.entries))
    yield from titled("points", points(difference, sides))
    yield from titled("code", (line for c in difference.changes if c.topic == "code" for line in code(c)))
    inputs = [f"{c.name} {c.before[:12]} | {c.after[:12]}" for c in difference.changes if c.topic == "inputs"]
    yield from titled("files that runs read", inputs)
    for topic in ("packages", "python", "platform", "simkit"):
        lines = [f"{c.name} {c.before} | {c.after}".strip() for c in difference.changes if c.topic == topic]
        yield from titled(topic, lines)
    yield from titled(
        "status",
        (f"{a} | {b}: {counted(n, 'point')}" for (a, b), n in difference.comparison.statuses.items()),
    )
    yield from titled("results at the points that both have done", results(difference))


def commit(side: Recorded) -> str:
    """The git commit of the last session, where one is recorded."""
    git = side.sessions[-1].get("git") if side.sessions else None
    if not isinstance(git, Mapping) or not git.get("commit"):
        return ""
    return f"git {str(git['commit'])[:10]}{' (with changes)' if git.get('dirty') else ''}"


def titled(title: str, lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    """A title and its indented lines, or nothing."""
    indented = ["    " + line for line in lines]
    yield from ["", title, *indented] if indented else ()


def entries(differing: Sequence[ParameterDiff]) -> list[str]:
    """``gain  2.0 | 3.0``."""
    return aligned([(entry.name, " | ".join(pair(*entry.values, entry.units))) for entry in differing])


def points(difference: Diff, sides: Sequence[Recorded]) -> Iterator[str]:
    """How many are in both, and some of those that are not."""
    if difference.points is None:
        names = ", ".join(difference.strangers)
        yield f"they can't be matched: only one of the two has {names}"
        return
    only = (
        f", {len(runs)} only in {letter}" for letter, runs in zip("AB", difference.points.only, strict=True)
    )
    yield f"{len(difference.points.common[0])} in both{''.join(only)}"
    for letter, side, runs in zip("AB", sides, difference.points.only, strict=True):
        for run in runs[:_MOST_POINTS].tolist():
            values = {name: side.value(name, run) for name in side.explored}
            yield f"only in {letter}: run {run}  {assignments(values)}".rstrip()
        if len(runs) > _MOST_POINTS:
            yield f"… and {len(runs) - _MOST_POINTS} more only in {letter}"


def code(change: Change) -> Iterator[str]:
    """A piece of code: the lines that differ, or which side has it."""
    if not (change.before and change.after):
        yield f"{change.name}  only in {'A' if change.before else 'B'}"
        return
    yield f"{change.name}  differs"
    lines = difflib.unified_diff(change.before.splitlines(), change.after.splitlines(), n=1, lineterm="")
    shown_lines = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    yield from (f"    {line}" for line in shown_lines[:_MOST_LINES])
    if len(shown_lines) > _MOST_LINES:
        yield f"    … {len(shown_lines) - _MOST_LINES} more lines"


def results(difference: Diff) -> Iterator[str]:
    """Each name, and where it differs most."""
    comparison = difference.comparison
    width = max(map(len, difference.columns), default=0)
    for name, only in difference.columns.items():
        if only:
            yield f"{name:<{width}}  only in {only}"
        elif count := comparison.counts[name]:
            yield f"{name:<{width}}  differs at {count} of {counted(comparison.both_done, 'point')}"
            for each in comparison.differences[name]:
                one, other = pair(*each.values)
                numbers = " | ".join(map(str, dict.fromkeys(each.runs or ())))
                yield f"    run {numbers}:  {one} | {other}  {apart(each.gap)}".rstrip()
    same = [name for name, only in difference.columns.items() if not only and not comparison.counts[name]]
    if same and comparison.both_done:
        yield f"the same: {', '.join(same)}"
