"""What a session tells on a terminal or in a pipe."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simkit._version import __version__
from simkit.collect.config import BOOKS
from simkit.errors import location, shown_path
from simkit.inform.progress import Failure, Progress, Stage, assignments, counted, duration, rule, size
from simkit.record.facts import clean

_PLAIN_INTERVAL = 10.0  # seconds between lines in a pipe
_LIVE_AFTER = 0.3  # seconds: what is faster needs no bar


class Meter:
    """Shows one experiment's progress; silent when told so."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.terminal = sys.stdout.isatty()
        self.last = 0.0
        self.bar: Any = None
        self.task: Any = None

    def begin(self) -> None:
        """Start the clock."""
        self.last = time.perf_counter()

    def advance(self, progress: Progress) -> None:
        """Update the line, but not too often."""
        now = time.perf_counter()
        if self.silent or now - self.last < (_LIVE_AFTER if self.terminal else _PLAIN_INTERVAL):
            return
        self.last = now if not self.terminal else now - _LIVE_AFTER + 0.1
        if self.terminal:
            self._draw(progress)
        else:
            percent = 100 * progress.done // max(1, progress.total)
            print(
                f"{progress.plan.node_id}  {progress.done}/{progress.total}  {percent}%  {pace(progress)}",
                flush=True,
            )

    def _draw(self, progress: Progress) -> None:
        if self.bar is None:
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[pace]}", markup=False),
            )
            self.bar = Bar(*columns, transient=True, auto_refresh=False)
            self.bar.start()
            title = f"{progress.plan.node_id}  {counted(progress.total, 'run')}"
            self.task = self.bar.add_task(title, total=progress.total, pace="")
        self.bar.update(
            self.task,
            completed=progress.done,
            pace=f"{progress.done}/{progress.total}  {pace(progress)}",
            refresh=True,
        )

    def note(self, text: str) -> None:
        """A line at once, also from a signal handler: ``print`` may be under way itself."""
        os.write(1, f"{text}\n".encode())

    def end(self, progress: Progress) -> None:
        """Leave one line that says how it ended."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if not self.silent:
            print(finished(progress, bar=self.terminal), flush=True)


def pace(progress: Progress) -> str:
    """``2.1 s/run  eta 5:40  1 failed``."""
    elapsed = time.perf_counter() - progress.started
    parts = []
    if progress.done:
        each = elapsed / progress.done
        parts.append(f"{1 / each:,.0f} runs/s" if each < 0.5 else f"{duration(each)}/run")
        parts.append(f"eta {duration(each * (progress.total - progress.done))}")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return "  ".join(parts)


def finished(progress: Progress, *, bar: bool) -> str:
    """``sim_multiply.py::multiply  12 runs ━━━━━━━━━━━━ 100%  12 done``."""
    title = f"{progress.plan.node_id}  {counted(progress.total, 'run')}"
    if not progress.total:
        return f"{title} to do: {progress.recorded_done} of {progress.size} are done already"
    percent = 100 * progress.done // progress.total
    share = f" {'━' * (12 * percent // 100):<12} {percent}%" if bar else f"  {percent}%"
    counts = ", ".join(f"{number} {word}" for word, number in progress.counts.items())
    return f"{title}{share}  {counts or 'none executed'}"


_SHOWN = 5
_LONG = 30.0  # seconds of a study in which idle cores are worth a hint


class Report:
    """The reporter of the command.

    Parameters
    ----------
    again
        The arguments that a replay needs besides the node id.
    """

    def __init__(self, rootdir: Path, *, verbose: int = 0, quiet: int = 0, again: Sequence[str] = ()) -> None:
        self.rootdir, self.verbose, self.quiet, self.again = rootdir, verbose, quiet, again
        self.workers = 1
        self.silenced: Sequence[str] = ()
        self.meter = Meter(silent=quiet > 0)
        self.started = time.perf_counter()
        self.studied: list[Progress] = []
        self.problems: list[tuple[str, str]] = []
        self.has_header = False

    def begin(self, progress: Progress) -> None:
        """Header before the first experiment; then what is special about this one."""
        self.say_header(progress)
        self.studied.append(progress)
        if self.quiet:
            return
        target = progress.target
        for remark in target.remarks:
            print(f"{remark}; starting {shown_path(target.slot.path)}")
        if progress.total and target.points.recorded:
            done = f"{progress.recorded_done} of {progress.size} runs are done"
            print(f"continuing {shown_path(target.slot.path)}: {done}, seed {target.root}")
        if not progress.plan.space.names:
            argument = next((need.argument for need in progress.plan.needs), "x")
            print(
                f"{progress.plan.node_id} has no space, so it is one run; explore with @product({argument}=[…])"
            )
        self.meter.begin()

    def say_header(self, progress: Progress) -> None:
        """Version, rootdir, seed and workers, once."""
        if self.has_header or self.quiet:
            return
        self.has_header = True
        print(rule(f"simkit {'.'.join(__version__.split('.')[:2])}"))
        print(
            f"rootdir: {self.rootdir.name or self.rootdir}   seed: {progress.target.root}   workers: {self.workers}"
        )

    def advance(self, progress: Progress) -> None:
        """Show how far it is."""
        self.meter.advance(progress)

    def end(self, progress: Progress) -> None:
        """Say how the experiment ended."""
        self.problems.extend((progress.plan.node_id, problem) for problem in progress.problems)
        self.meter.end(progress)

    def stage(self, progress: Progress, stage: Stage) -> None:
        """What follows an experiment was called."""
        if not self.quiet:
            took = f" in {duration(stage.seconds)}" if stage.status != "interrupted" else ""
            print(f"{stage.plan.node_id}  after {progress.plan.name}  {stage.status}{took}", flush=True)
        if stage.text:
            debug = shlex.join(["simkit", progress.plan.node_id, "--pdb", *self.again])
            kept = f"{location(stage.plan.function)}: it failed; all runs are kept"
            text = f"{kept}\n\n{clean(stage.text)}\n\ndebug: {debug}"
            self.problems.append((stage.plan.node_id, text))

    def interrupted(self, count: int) -> None:
        """Ctrl-C was heard."""
        first = "finishing the runs under way and keeping what is done; Ctrl-C again stops at once"
        self.meter.note(f"\n{first if count == 1 else 'stopping; what is done is kept'}")

    def problem(self, node_id: str, text: str) -> None:
        """An experiment that could not begin."""
        self.problems.append((node_id, text))

    def close(self, durations: int, *, replayed: bool) -> None:
        """Failures, slowest runs, and the closing lines."""
        failures = [(progress, failure) for progress in self.studied for failure in progress.failures]
        if failures or self.problems:
            self.show_failures(failures)
        self.show_warnings()
        if durations:
            self.show_durations(durations)
        if self.studied:
            self.closing(replayed=replayed)

    def show_failures(self, failures: list[tuple[Progress, Failure]]) -> None:
        """Each once: parameters, traceback, and how to replay it."""
        print(rule("failures"))
        for node_id, text in self.problems:
            print(f"{rule(node_id, '_')}\n{text}\n")
        shown = failures if self.verbose else failures[:_SHOWN]
        for progress, failure in shown:
            node = f"{progress.plan.node_id}[{failure.run}]"
            print(rule(node, "_"))
            if failure.values:
                print(f"{assignments(failure.values)}\n")
            print(f"{clean(failure.text)}\n")
            print(f"replay: {shlex.join(['simkit', node, '--pdb', *self.again])}\n")
        rest = sum(progress.failed for progress, _ in dict.fromkeys((p, None) for p, _ in failures)) - len(
            shown
        )
        if rest > 0:
            print(f"… and {counted(rest, 'more failure')}: traj.error(i) gives the traceback of run i\n")

    def show_warnings(self) -> None:
        """What the first run of an experiment did behind its author's back."""
        for text in dict.fromkeys(remark for progress in self.studied for remark in progress.remarks):
            if not self.quiet:
                print(text)
        said: set[str] = set()  # of git and the like it is enough to hear once
        for progress in self.studied:
            for text, name in progress.warnings.items():
                if name not in self.silenced and text not in said:
                    said.update([text] if name in BOOKS else [])
                    print(f"warning: {progress.plan.node_id}: {text}")
                    print(f'    (silence it in pyproject.toml: [tool.simkit] silence = ["{name}"])')

    def show_durations(self, count: int) -> None:
        """The slowest runs of all."""
        runs = [(seconds, run, p) for p in self.studied for seconds, run in p.slowest]
        print(rule(f"slowest {counted(min(count, len(runs)), 'run')}"))
        for seconds, run, progress in sorted(runs, key=lambda item: -item[0])[:count]:
            print(
                f"{seconds:10.3g} s  {progress.plan.node_id}[{run}]  {assignments(progress.plan.space[run])}"
            )

    def closing(self, *, replayed: bool) -> None:
        """How many runs, how long, where they are, how to open them."""
        counts: Counter[str] = Counter()
        for progress in self.studied:
            counts.update(progress.counts)
            counts.update(f"after {stage.status}" for stage in progress.stages)
        elapsed = time.perf_counter() - self.started
        told = ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing to do"
        stopped = " (interrupted)" if any(progress.interrupted for progress in self.studied) else ""
        print(rule(f"{told} in {duration(elapsed)}{stopped}"))
        if replayed:
            print("replayed without recording")
            return
        recorded = [progress for progress in self.studied if progress.path.exists()]
        for progress in recorded:
            print(self.file_line(progress))
        if recorded and not self.quiet:
            path = shown_path(recorded[-1].path)
            name = (
                ""
                if recorded[-1].target.slot.path.stem.startswith(recorded[-1].plan.name)
                else f', "{recorded[-1].target.slot.group}"'
            )
            print(f'    import simkit; traj = simkit.open("{path}"{name}); traj.to_dataframe()')
        self.hint(elapsed)

    def file_line(self, progress: Progress) -> str:
        """``results/multiply-001.h5   12 of 12 runs   21 kB``."""
        done = progress.recorded_done + progress.counts.get("done", 0)
        line = f"{shown_path(progress.path)}   {done} of {progress.size} runs   {size(progress.path.stat().st_size)}"
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
            and self.workers <= 1 < cores
            and sum(p.done for p in self.studied) > 1
        ):
            print(f"hint: {cores - 1} of {cores} cores were idle; -n auto uses them all")
