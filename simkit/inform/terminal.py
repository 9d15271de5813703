"""What a session tells on a terminal or in a pipe."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import Any, Protocol, TextIO

from simkit._version import __version__
from simkit.collect.config import BOOKS, Settings
from simkit.collect.problems import how_to_explore
from simkit.errors import location, shown_path, visible
from simkit.inform.failures import Failure, FailureKind, ranges
from simkit.inform.progress import (
    Progress,
    Stage,
    assignments,
    counted,
    duration,
    rule,
    size,
    tally,
)
from simkit.record.catalogue import bytes_of
from simkit.record.facts import clean
from simkit.record.file.store import left_log
from simkit.values.batch import Heard


class Display(Protocol):
    """Where one experiment's progress is shown, again and again.

    Attributes
    ----------
    first
        Seconds before the first time: what is faster needs no bar.
    interval
        Seconds between two times.
    """

    first: float
    interval: float

    def draw(self, progress: Progress) -> None:
        """Replace what was drawn before, or add a line."""

    def leave(self, progress: Progress) -> None:
        """Come to an end, if anything was drawn."""


class Meter:
    """Draws how far an experiment is, once it pays and not too often."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.due = 0.0
        self.drawn = False

    def begin(self) -> None:
        """Start the clock."""
        self.due, self.drawn = time.perf_counter() + self.display.first, False

    def advance(self, progress: Progress) -> None:
        """Draw, if it is time."""
        now = time.perf_counter()
        if now >= self.due:
            self.due, self.drawn = now + self.display.interval, True
            self.display.draw(progress)

    def end(self, progress: Progress) -> None:
        """Draw for the last time, if there was a first."""
        if self.drawn:
            self.display.leave(progress)


class Bar:
    """A display on a terminal: one line that is drawn over.

    Parameters
    ----------
    stays
        Whether the line stays as it ended, or makes room for others.
    """

    first, interval = 0.3, 0.1

    def __init__(self, stream: TextIO, *, stays: bool) -> None:
        self.stream, self.stays = stream, stays
        self.bar: Any = None
        self.task: Any = None

    def draw(self, progress: Progress) -> None:
        """Update the line."""
        if self.bar is None:
            self._start(progress)
        pace = f"{progress.done}/{progress.total}  {progress.pace}"
        self.bar.update(self.task, completed=progress.done, pace=pace, refresh=True)

    def _start(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Line

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
        )
        console = Console(file=self.stream)
        self.bar = Line(*columns, console=console, transient=not self.stays, auto_refresh=False)
        self.bar.start()
        title = f"{progress.plan.node_id}  {counted(progress.total, 'run')}"
        self.task = self.bar.add_task(title, total=progress.total, pace="")

    def leave(self, progress: Progress) -> None:
        """Draw it as it ended, and leave or remove it."""
        self.draw(progress)
        self.bar.stop()
        self.bar = None


class Lines:
    """A display in a pipe: a line now and then, where something happened since."""

    first = interval = 10.0
    last = ("", 0)  # of which experiment it told, and how many runs

    def draw(self, progress: Progress) -> None:
        """Print how far it is."""
        present = (progress.plan.node_id, progress.done)
        if present == self.last or not progress.done:
            return
        self.last = present
        counts = f"{progress.done}/{progress.total}  {progress.percent}%"
        print(f"{progress.plan.node_id}  {counts}  {progress.pace}", flush=True)

    def leave(self, progress: Progress) -> None:
        """The report says how it ended."""


def finished(progress: Progress, *, bar: bool) -> str:
    """``sim_multiply.py::multiply  12 runs ━━━━━━━━━━━━ 100%  12 done``."""
    title = f"{progress.plan.node_id}  {counted(progress.total, 'run')}"
    if not progress.total and not progress.size:
        return f"{progress.plan.node_id}  no run was asked for"
    if not progress.total:
        return f"{title} to do: {progress.recorded_done} of {progress.size} are done already"
    percent = progress.percent
    share = f" {'━' * (12 * percent // 100):<12} {percent}%" if bar else f"  {percent}%"
    return f"{title}{share}  {tally(progress.counts) or 'none executed'}"


def _named(path: Path) -> str:
    """A file as it is shown: whoever chose its name has no say on the terminal."""
    return visible(shown_path(path))


def _bytes(progress: Progress) -> int:
    """What a trajectory takes on the disk, as its last line says."""
    return bytes_of(progress.path) if progress.target.is_set else progress.path.stat().st_size


_SHOWN = 5
_LINES = 20  # of the summary, and of warnings
_LONG = 30.0  # seconds of a study in which idle cores are worth a hint


def last_lines(text: str, most: int = 20) -> str:
    """The end of a text."""
    lines = text.rstrip().splitlines()
    left_out = [f"… {len(lines) - most} lines before"] if len(lines) > most else []
    return "\n".join([*left_out, *lines[-most:]])


class Report:
    """The reporter of the command.

    Parameters
    ----------
    again
        The arguments that a replay needs besides the node id.
    """

    def __init__(
        self, settings: Settings, *, verbose: int = 0, quiet: int = 0, again: Sequence[str] = ()
    ) -> None:
        self.settings, self.verbose, self.quiet, self.again = settings, verbose, quiet, again
        self.is_terminal = sys.stdout.isatty()
        self.meter = Meter(Bar(sys.stdout, stays=False) if self.is_terminal else Lines())
        self.started = time.perf_counter()
        self.studied: list[Progress] = []
        self.problems: list[tuple[str, str]] = []
        self.errors: list[tuple[str, str]] = []
        self.unstarted_counts: Counter[str] = Counter()
        self.has_header = False
        self.noticed: set[str] = set()
        self.left_out: list[str] = []
        self.remarked: set[str] = set()  # said before the runs

    def begin(self, progress: Progress) -> None:
        """Header before the first experiment; then what is special about this one."""
        self.say_header(progress)
        self.studied.append(progress)
        target = progress.target
        if target.damage:
            print(target.damage)
        if self.quiet:
            return
        for remark in target.remarks:
            first, *more = remark.split("\n")
            print("\n".join([f"{first}; starting {_named(target.slot.path)}", *more]))
        if progress.total and target.points.recorded:
            done = f"{progress.recorded_done} of {progress.size} runs are done"
            print(f"continuing {_named(target.slot.path)}: {done}, seed {target.root}")
            for remark in target.points.remarks:
                print(remark)
            self.remarked.update(target.points.remarks)
        if progress.plan.strategy is not None and target.points.recorded:
            recorded = f"{progress.recorded_done} of {counted(progress.size, 'recorded run')} done"
            print(f"continuing {_named(target.slot.path)}: {recorded}, seed {target.root}")
        elif not progress.plan.space.form.names and progress.plan.strategy is None:
            print(f"{progress.plan.node_id} has no space, so it is one run; {how_to_explore(progress.plan)}")
        self.meter.begin()

    def say_header(self, progress: Progress) -> None:
        """Version, rootdir, seed and workers, once."""
        if self.has_header or self.quiet:
            return
        self.has_header = True
        print(rule(f"simkit {'.'.join(__version__.split('.')[:2])}"))
        rootdir, workers = self.settings.rootdir, self.settings.workers
        print(f"rootdir: {rootdir.name or rootdir}   seed: {progress.target.root}   workers: {workers}")

    def advance(self, progress: Progress) -> None:
        """Show how far it is."""
        for notice in progress.take_notices():
            if notice not in self.noticed:
                self.noticed.add(notice)
                print(notice, flush=True)
        if not self.quiet:
            self.meter.advance(progress)

    def end(self, progress: Progress) -> None:
        """Say how the experiment ended."""
        self.problems.extend((progress.plan.node_id, problem) for problem in progress.problems)
        if not self.quiet:
            self.meter.end(progress)
            print(finished(progress, bar=self.is_terminal), flush=True)

    def stage(self, progress: Progress, stage: Stage) -> None:
        """What follows an experiment was called."""
        if not self.quiet:
            took = f" in {duration(stage.seconds)}" if stage.status != "interrupted" else ""
            role = "after" if stage.role == "after" else f"{stage.role} of"
            print(f"{stage.plan.node_id}  {role} {progress.plan.name}  {stage.status}{took}", flush=True)
        if stage.text:
            debug = shlex.join(["simkit", progress.plan.node_id, "--pdb", *self.again])
            strategy = progress.plan.strategy if stage.role == "strategy" else None
            place = strategy.place if strategy else location(stage.plan.function)
            kept = f"{place}: it failed; all runs are kept"
            text = f"{kept}\n\n{clean(stage.text)}\n\ndebug: {debug}"
            self.problems.append((stage.plan.node_id, text))

    def interrupted(self, count: int) -> None:
        """Ctrl-C was heard: say so at once, from a signal handler, where ``print`` may be under way itself."""
        first = "finishing the runs under way and keeping what is done; Ctrl-C again stops at once"
        text = first if count == 1 else "stopping; what is done is kept"
        with suppress(OSError):  # the terminal may be what is gone
            os.write(1, f"\n{text}\n".encode())

    def nothing(self, node_id: str, text: str) -> None:
        """An experiment has nothing to run."""
        print(visible(f"simkit: {text}"), file=sys.stderr)

    def unstarted(self, node_id: str, text: str) -> None:
        """An experiment could not begin, for what it needs failed."""
        self.problems.append((node_id, text))
        self.unstarted_counts["experiment"] += 1

    def unbegun(self, node_ids: Sequence[str]) -> None:
        """The session ends before these experiments, after a failure or a signal."""
        self.left_out += [f"{node_id}: not begun, the session was stopped before" for node_id in node_ids]

    def uncollected(self, where: str, text: str) -> None:
        """A file could not be imported, or an experiment not be collected, for what is written there."""
        self.errors.append((f"collecting {where}", text))
        self.unstarted_counts["experiment" if "::" in where else "file"] += 1

    def close(self, durations: int) -> None:
        """Failures, slowest runs, and the closing lines."""
        if self.errors:
            print(rule("errors"))
        for where, text in self.errors:
            print(f"{rule(where, '_')}\n{text}\n")
        if self.problems or any(progress.failures for progress in self.studied):
            self.show_failures()
        self.show_warnings()
        if durations:
            self.show_durations(durations)
        self.show_summary()
        if self.studied:
            self.closing()

    def show_failures(self) -> None:
        """Each once: parameters, traceback, what it printed, and how to replay it."""
        print(rule("failures"))
        for node_id, text in self.problems:
            print(f"{rule(node_id, '_')}\n{text}\n")
        pairs = [(progress, kind) for progress in self.studied for kind in progress.kinds]
        told = [(progress, kind, failure) for progress, kind in pairs for failure in kind.told]
        for progress, kind, failure in told if self.verbose else told[:_SHOWN]:
            self.show_failure(progress, kind, failure)
        shown = {id(kind) for _, kind, _ in (told if self.verbose else told[:_SHOWN])}
        rest = sum(len(kind.runs) for _, kind in pairs if not (kind.is_same and id(kind) in shown))
        rest -= sum(not kind.is_same for _, kind, _ in (told if self.verbose else told[:_SHOWN]))
        if rest > 0:
            print(f"… and {counted(rest, 'more failure')}: traj.error(i) gives the traceback of run i\n")

    def show_failure(self, progress: Progress, kind: FailureKind, failure: Failure) -> None:
        """One failed run, and how many failed alike."""
        node = f"{progress.plan.node_id}[{failure.run}]"
        print(rule(node, "_"))
        if failure.values:
            print(f"{assignments(failure.values)}\n")
        print(f"{clean(failure.text)}\n")
        if failure.log.strip():
            print(f"{rule('what it printed', '-')}\n{last_lines(clean(failure.log))}\n")
        if kind.is_same and len(kind.runs) > 1:
            print(f"the same in {counted(len(kind.runs), 'run')}: {ranges(kind.runs)}\n")
        print(f"replay: {shlex.join(['simkit', node, '--pdb', *self.again])}\n")

    def show_summary(self) -> None:
        """A line for each kind of failure."""
        lines = [f"ERROR {where}" for where, _ in self.errors]
        lines += [f"ERROR {node_id}" for node_id, _ in self.problems]
        lines += [kind.line(progress.plan.node_id) for progress in self.studied for kind in progress.kinds]
        if lines:
            print(rule("summary"))
        for line in lines[:_LINES]:
            print(line)
        if len(lines) > _LINES:
            print(f"… and {counted(len(lines) - _LINES, 'more line')}")

    def show_warnings(self) -> None:
        """What the first run of an experiment did behind its author's back."""
        most = self.settings.most_failures
        said = [text for progress in self.studied for text in progress.said_at_end(most)]
        for text in () if self.quiet else dict.fromkeys([*said, *self.left_out]):
            if text not in self.remarked:
                print(text)
        self.show_heard()
        heard: set[str] = set()  # of git and the like it is enough to hear once
        for progress in self.studied:
            for text, name in progress.warnings.items():
                if name not in self.settings.silence and text not in heard:
                    heard.update([text] if name in BOOKS else [])
                    print(f"warning: {progress.plan.node_id}: {text}")
                    print(f'    (silence it in pyproject.toml: [tool.simkit] silence = ["{name}"])')

    def show_heard(self) -> None:
        """Python's warnings in runs, and which runs printed something."""
        heard: Counter[Heard] = Counter()
        for progress in self.studied:
            heard.update(progress.heard)
        lines = [
            f"{category}: {text}, {shown_path(file)}:{line}: {counted(runs, 'run')}"
            for (category, text, file, line), runs in heard.most_common(_LINES)
        ]
        if lines:
            print(rule("warnings in runs"))
        for line in lines:
            print(clean(line))
        if len(heard) > _LINES:
            print(f"… and {counted(len(heard) - _LINES, 'more warning')}")
        for progress in () if self.quiet else self.studied:
            if progress.n_logged:
                example = f"traj.log({min(progress.logged)})"
                print(
                    f"{progress.plan.node_id}: {counted(progress.n_logged, 'run')} printed something: {example}"
                )
            if progress.printed:
                print(f"{progress.plan.node_id}: fixtures printed when they were torn down")
                print(indent(last_lines(clean(progress.printed)), "    "))

    def show_durations(self, count: int) -> None:
        """The slowest runs of all."""
        runs = [(seconds, run, p) for p in self.studied for seconds, run in p.slowest]
        print(rule(f"slowest {counted(min(count, len(runs)), 'run')}"))
        for seconds, run, progress in sorted(runs, key=lambda item: -item[0])[:count]:
            print(
                f"{seconds:10.3g} s  {progress.plan.node_id}[{run}]  {assignments(progress.plan.space[run])}"
            )

    def closing(self) -> None:
        """How many runs, how long, where they are, how to open them."""
        counts: Counter[str] = Counter()
        for progress in self.studied:
            counts.update(progress.counts)
            counts.update(f"{stage.role} {stage.status}" for stage in progress.stages)
        elapsed = time.perf_counter() - self.started
        interrupted = any(progress.interrupted for progress in self.studied)
        nothing = "no run was finished" if interrupted else "nothing to do"
        words = ", ".join([tally(counts) or nothing, *self.could_not_start()])
        stopped = " (interrupted)" if interrupted else ""
        print(rule(f"{words} in {duration(elapsed)}{stopped}"))
        if self.settings.replay:
            print("replayed without recording")
            return
        recorded = [each for each in self.studied if each.path.exists() and not each.is_gone]
        experiments = Counter(each.path for each in recorded)
        for progress in recorded:
            print(self.file_line(progress, alone=experiments[progress.path] == 1))
            if log := left_log(progress.path):
                print(f"    {log}")
        if recorded and not self.quiet:
            path = _named(recorded[-1].path)
            name = (
                ""
                if recorded[-1].target.slot.path.stem.startswith(recorded[-1].plan.name)
                else f', "{recorded[-1].target.slot.group}"'
            )
            print(f'    import simkit; traj = simkit.open("{path}"{name}); traj.to_dataframe()')
        self.hint(elapsed)

    def could_not_start(self) -> list[str]:
        """``2 experiments could not start``, ``1 file could not be collected``."""
        ends = {"experiment": "could not start", "file": "could not be collected"}
        return [f"{counted(number, thing)} {ends[thing]}" for thing, number in self.unstarted_counts.items()]

    def file_line(self, progress: Progress, *, alone: bool) -> str:
        """``results/multiply-001.h5   12 of 12 runs   21 kB``; named where one file holds several experiments."""
        done = progress.recorded_done + progress.counts.get("done", 0)
        line = f"{_named(progress.path)}   {done} of {progress.size} runs   {size(_bytes(progress))}"
        line += "" if alone else f"   {progress.target.slot.group}"
        whole = progress.recorded_done + progress.total >= progress.size  # nothing was left out on request
        return (
            line if done == progress.size or not whole else f"{line}   the rest: type the same command again"
        )

    def hint(self, elapsed: float) -> None:
        """Idle cores in a long study."""
        cores = os.cpu_count() or 1
        if (
            not self.quiet
            and elapsed > _LONG
            and self.settings.workers <= 1 < cores
            and sum(p.done for p in self.studied) > 1
        ):
            print(f"hint: {cores - 1} of {cores} cores were idle; -n auto uses them all")
