"""``simkit verify``: execute recorded runs again, and say where they differ from what is recorded."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from simkit.analyse.open import recorded_at
from simkit.cli.command import debug, worker_count
from simkit.cli.verbs.words import (
    add_file,
    add_json,
    add_tolerance,
    aligned,
    apart,
    deviation_facts,
    facts_of,
    file_at,
    open_call,
    pair,
    tolerance,
    verify_command,
)
from simkit.collect.effects import effects
from simkit.declare.forms import Index
from simkit.errors import NothingToRun, SimkitError, shown_path
from simkit.inform.events import MOST, Events
from simkit.inform.progress import briefly, counted, duration, rule, size
from simkit.inform.terminal import Lines
from simkit.record.catalogue import check_formats
from simkit.record.damage import damage_of, files_of_set, listing
from simkit.record.recorded import Recorded
from simkit.replay.comparison import Deviation
from simkit.replay.verify import Verification, verify

_MOST, _MOST_VERBOSE = 20, 200


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit verify``."""
    top = argparse.ArgumentParser(
        prog="simkit verify",
        description="Execute recorded runs again with the present code, the file's own parameters and seeds, and "
        "compare the results, bit for bit. Nothing is recorded.",
        epilog="exit codes: 0 all the same   1 something differs   4 usage or file error   5 nothing to verify",
    )
    add = top.add_argument
    add_file(top)
    which = top.add_mutually_exclusive_group()
    which.add_argument("--runs", metavar="N,N:N", help="only these, as in 3,7:9 (7 and 8)")
    which.add_argument("--sample", metavar="N", type=int, help="only N of them, drawn at random")
    add_tolerance(top)
    workers = "worker processes: a number, 'auto', 0 for none (default 1)"
    add("-n", metavar="N", dest="workers", default="1", help=workers)
    add("--pdb", action="store_true", help="debug a run that fails")
    add(
        "--file",
        action="store_true",
        dest="whole_file",
        help="execute nothing: is the file itself undamaged?",
    )
    add("-v", "--verbose", action="store_true", help=f"up to {_MOST_VERBOSE} differences instead of {_MOST}")
    add_json(top)
    return top


def main(options: argparse.Namespace) -> int:
    """Verify, and tell; the exit code."""
    if options.whole_file:
        return whole_files(Path(file_at(options.file).partition("::")[0]), options.json or None)
    allowed = tolerance(options)
    with effects().apart(), closing(recorded_at(options.file, options.name)) as recorded:
        runs = chosen(recorded, options.runs, options.sample)
        workers = 0 if options.pdb else worker_count(options.workers)
        if not options.json:
            print(headline(recorded, runs), flush=True)
        if options.sample is not None and not options.json:
            print(f"drawn: --runs {','.join(map(str, runs.tolist()))}" if len(runs) <= 50 else "")
        clock = Clock(len(runs))
        result = verify(
            recorded, runs,
            tolerance=allowed, workers=workers,
            on_error=debug if options.pdb else None, advance=clock.advance,
            most=_MOST_VERBOSE if options.verbose else _MOST,
        )  # fmt: skip
        if options.json:
            options.json.emit("verification", **verification_facts(result, recorded))
        else:
            print(report(result, recorded, clock))
    return 0 if result.same else 1


def verification_facts(result: Verification, recorded: Recorded) -> dict[str, Any]:
    """What came of it, for programs."""
    comparison = result.comparison
    return {
        **facts_of(recorded),
        "same": result.same,
        "executed": comparison.runs,
        "differing": comparison.differing,
        "unfinished": comparison.unfinished,
        "rtol": comparison.tolerance.rtol,
        "atol": comparison.tolerance.atol,
        "changes": [{"topic": change.topic, "words": change.words} for change in result.changes],
        "overlaid": [
            {"name": name, "now": now, "recorded": old} for name, (now, old) in result.overlaid.items()
        ],
        "differing_runs": dict(result.counts),
        "differences": [deviation_facts(each) for each in result.differences],
    }


def whole_files(path: Path, events: Events | None = None) -> int:
    """`whole_file` of a trajectory, and of each file of its set where it is the master of one; the exit code."""
    code, problems = whole_file(path, events), []
    for file in files_of_set(path):
        try:
            code = max(code, whole_file(file, events, cure="its runs are pending once it is moved away"))
        except SimkitError as problem:
            problems.append(f"{problem}")
    if problems:
        raise SimkitError("\n".join(problems))
    return code


def whole_file(path: Path, events: Events | None = None, *, cure: str = "") -> int:
    """Compare a file with its checksums, and say what can't be read any more; the exit code."""
    damage = damage_of(path)
    if not damage.places and not check_formats(path) and not damage.is_checked:
        raise SimkitError(f"{shown_path(path)}: an HDF5 file, but no trajectory of simkit's is in it")
    if events is not None:
        lost = [{"experiment": of, "name": name, "runs": runs} for (of, name), runs in damage.lost.items()]
        events.emit(
            "damage", file=path.absolute(), checked=damage.is_checked, bytes=damage.size,
            places=damage.places[:MOST], lost=lost, structure=damage.structure,
        )  # fmt: skip
        return 1 if damage.places else 0
    shown = shown_path(path)
    if not damage.is_checked:
        print(f"{shown}: it has no checksums, since another program has changed it: nothing was compared")
        return 0
    if not damage.places:
        print(f"{shown}: undamaged, {size(damage.size)}")
        return 0
    first = ", ".join(f"{start:,}" for start, _ in damage.places[:5])
    more = f" and {len(damage.places) - 5} more" if len(damage.places) > 5 else ""
    print(f"{shown}: {counted(len(damage.places), 'damaged block')}, at byte {first}{more}")
    for (experiment, name), runs in damage.lost.items():
        print(f"    {experiment}: {name} can't be read" + (f" of {listing(runs)}" if runs else ""))
    if damage.structure:
        print(f"    nothing else can be read: {damage.structure}")
    elif not damage.lost:
        print("    all parameters and results can be read")
    if cure:
        print(f"    {cure}")
    elif damage.lost and not damage.structure:
        print(f"computed again, and only these, by:  simkit --into {shlex.quote(shown)}")
    return 1


class Clock:
    """Says now and then how far it is."""

    def __init__(self, total: int) -> None:
        self.total, self.started = total, time.perf_counter()
        self.last = self.started

    def advance(self, executed: int) -> None:
        """A line now and then, as rarely as a study says it in a pipe."""
        now = time.perf_counter()
        if now - self.last > Lines.interval:
            self.last = now
            print(f"{executed}/{self.total}  {100 * executed // self.total}%", file=sys.stderr, flush=True)

    @property
    def elapsed(self) -> str:
        """How long it took."""
        return duration(time.perf_counter() - self.started)


def chosen(recorded: Recorded, runs: str | None, sample: int | None) -> Index:
    """The runs to execute: the done ones, some of them, or those that were named, done or not.

    Raises
    ------
    NothingToRun
        When none is done.
    """
    if runs is not None:
        return numbers(runs, len(recorded), recorded.name)
    done = recorded.done
    if not len(done):
        msg = f"{shown_path(recorded.path)}: no run of {recorded.name} is done, so there is nothing to verify"
        raise NothingToRun(msg)
    if sample is None:
        return done
    if sample < 1:
        msg = f"--sample {sample}: give a whole number of at least 1"
        raise SimkitError(msg)
    return np.sort(np.random.default_rng().choice(done, min(sample, len(done)), replace=False))


def numbers(text: str, size: int, name: str) -> Index:
    """``3,7:9`` as run numbers, ascending, each once."""
    selected: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(?:(\d+)|(\d*)\s*:\s*(\d*))\s*", part)
        if match is None:
            msg = f"--runs {text}: cannot read {part!r}: write numbers and ranges, as in 3,7:9"
            raise SimkitError(msg)
        if match[1] is not None:
            first, stop = int(match[1]), int(match[1]) + 1
        else:
            first, stop = int(match[2] or 0), int(match[3] or size)
        if first >= size or stop > size:
            msg = f"--runs {text}: the runs of {name} are numbered 0 to {size - 1}"
            raise SimkitError(msg)
        selected.update(range(first, stop))
    if not selected:
        msg = f"--runs {text}: selects no run"
        raise SimkitError(msg)
    return np.array(sorted(selected))


def headline(recorded: Recorded, runs: Index) -> str:
    """What is verified."""
    count = f"{len(runs)} of {counted(len(recorded), 'run')}"
    where = f"{shown_path(recorded.path)}   {recorded.attributes['node_id']}"
    return f"{rule('simkit verify')}\n{where}   {count}"


def report(result: Verification, recorded: Recorded, clock: Clock) -> str:
    """What changed, what differs, and what it comes to."""
    lines, differences = changes(result), result.differences
    if differences:
        lines += ["", *table(differences)]
    if sum(number for _, number in result.counts) + len(result.shared) > len(differences):
        by_name = ", ".join(f"{name} in {counted(number, 'run')}" for name, number in result.counts)
        lines.append(f"(the first {len(differences)} differences; in all: {by_name})")
    return "\n".join([*lines, verdict(result, recorded, clock)])


def changes(result: Verification) -> list[str]:
    """What changed since, by topic."""
    lines = [f"    {change.topic:<10} {change.words}" for change in result.changes]
    lines += [
        f"    {'parameter':<10} {name} is {briefly(now, 30)} in the code now; "
        f"verified with {briefly(old, 30)}, as recorded"
        for name, (now, old) in result.overlaid.items()
    ]
    return (
        ["changed since:", *lines]
        if lines
        else ["nothing that is recorded of code, packages and platform has changed"]
    )


def table(differences: Sequence[Deviation]) -> list[str]:
    """Run, name, recorded, now."""
    rows = [("run", "name", "recorded", "now", "")]
    for each in differences:
        old, new = each.values if each.is_status else pair(*each.values)
        run = "all" if each.runs is None else str(each.runs[0])
        rows.append((run, each.name, old, new, apart(each.gap)))
    width = max(len(run) for run, *_ in rows)
    return aligned([(run.rjust(width), *words) for run, *words in rows])


def verdict(result: Verification, recorded: Recorded, clock: Clock) -> str:
    """The last lines."""
    comparison, tolerance = result.comparison, result.comparison.tolerance
    how = f"within rtol {tolerance.rtol:g}, atol {tolerance.atol:g}" if tolerance else "bit for bit"
    if result.same:
        failing = f" ({comparison.unfinished} not done, as recorded)" if comparison.unfinished else ""
        return rule(f"{counted(comparison.runs, 'run')} the same, {how}{failing}, in {clock.elapsed}")
    lines = [
        rule(f"{comparison.differing} of {counted(comparison.runs, 'run')} differ in {clock.elapsed}"),
        f"differing: {', '.join(dict.fromkeys([*result.shared, *dict(result.counts)]))}",
    ]
    failed = next((each.runs[0] for each in result.differences if each.is_status and each.runs), None)
    first = next((each.runs[0] for each in result.differences if each.runs), None)
    if failed is not None:
        lines.append(f"debug one: {verify_command(recorded.path, recorded.name, failed)}")
    elif first is not None:
        lines.append(f"one of them in Python: {open_call(recorded.path, recorded.name)}.replay({first})")
    return "\n".join(lines)
