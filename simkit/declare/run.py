"""What a run says about itself while it computes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.declare.attachment import Attachment, matching
from simkit.declare.external import (
    Command,
    CommandFailed,
    ExternalProgram,
    Finished,
    as_arguments,
    as_environment,
    as_timeout,
    left_at_home,
)
from simkit.declare.forms import Array, Index
from simkit.declare.reflection import is_a, qualname_of
from simkit.declare.snapshot import PLAIN, Other, snapshot, unchanged
from simkit.declare.workplace import CheckpointStore, Keepers, Memory, OwnWorkplace, Workplace, rendered
from simkit.errors import NotForEach, SimkitError, did_you_mean

_SCALARS = (bool, int, float, complex, np.generic)
_IN_MEMORY = 4 << 20  # bytes of its files that a run keeps in memory; larger ones are copied aside


@attrs.define(eq=False)
class _Kept:
    """What a run has besides results: series, remarks, files, what it reported and was answered, its checkpoint."""

    series: dict[str, list[Any]] = attrs.field(factory=dict)
    notes: list[tuple[str, str]] = attrs.field(factory=list)
    reports: dict[int, float] = attrs.field(factory=dict)
    answers: dict[int, bool] = attrs.field(factory=dict)  # whether it shall stop, by step
    attached: dict[str, Attachment] = attrs.field(factory=dict)
    commands: list[Command] = attrs.field(factory=list)
    saved: dict[str, int] | None = None  # rows of each series that are in the last checkpoint
    store: CheckpointStore | None = None  # where it is the run's own

    @property
    def place(self) -> int:
        """How many things the run has said of itself."""
        return len(self.reports) + len(self.answers)

    @property
    def said(self) -> dict[str, Array]:
        """These things, as a checkpoint keeps them."""
        return {
            "steps": np.array([*self.reports], "i8"),
            "reports": np.array([*self.reports.values()], "f8"),
            "asked": np.array([*self.answers], "i8"),
            "answers": np.array([*self.answers.values()], "?"),
        }

    def resume(self, said: Mapping[str, Array]) -> None:
        """Go on from what a checkpoint kept."""
        if said:
            self.reports = dict(zip(said["steps"].tolist(), said["reports"].tolist(), strict=True))
            self.answers = dict(zip(said["asked"].tolist(), said["answers"].tolist(), strict=True))


class Run:
    """The present run, injected where an experiment has an argument ``run``.

    ``simkit.Run()`` makes one that only collects, for tests of a simulation function.

    Parameters
    ----------
    workdir
        The folder of programs and files; by default a temporary one.
    parameters
        What `template` fills in.

    Attributes
    ----------
    index
        The run's number in the trajectory.
    trial
        Which repetition of its point it is, from 0.

    Examples
    --------
    >>> def walk(run, steps):
    ...     run.add(length=float(steps))
    >>> run = simkit.Run()
    >>> walk(run, 3)
    >>> run.results
    {'length': 3.0}
    """

    __slots__ = ("_keepers", "_kept", "_results", "index", "trial")

    def __init__(
        self, index: int = 0, trial: int = 0, store: CheckpointStore | None = None, other: Other = unchanged,
        *, place: Workplace | None = None, workdir: str | os.PathLike[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.index, self.trial = index, trial
        self._keepers = Keepers(store, other, place or OwnWorkplace(workdir, parameters))
        self._results: dict[str, Any] | None = None
        self._kept: _Kept | None = None  # what few runs have

    @classmethod
    def of(cls, index: int, trial: int, keepers: Keepers) -> Run:
        """That of this number, a call less for each of very many."""
        run = cls.__new__(cls)
        run.index, run.trial, run._keepers, run._results, run._kept = index, trial, keepers, None, None
        return run

    def add(self, results: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Record results, as returning them does; each name once.

        Parameters
        ----------
        results, **named
            Values by name; dotted names in the mapping, as ``{"spikes.t": times}``.

        Raises
        ------
        SimkitError
            When a name was added or appended before.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.add({"spikes.t": [0.1, 0.3]}, rate=2.0)
        >>> run.results
        {'spikes.t': [0.1, 0.3], 'rate': 2.0}
        """
        if results is None and self._results is None and self._kept is None:
            for value in named.values():
                if type(value) not in PLAIN:
                    break
            else:
                self._results = named  # a mapping that nobody else has, of what can't change
                return
        given = {**results, **named} if results else named
        before = self._added
        series = self._kept.series if self._kept else ()
        twice = [name for name in given if name in before or name in series]
        if twice:
            msg = (
                f"run.add(): result {twice[0]!r} was added twice in run {self.index}\n"
                "    use run.append() for a series"
            )
            raise SimkitError(msg)
        before.update({name: snapshot(value, self._keepers.other) for name, value in given.items()})

    @property
    def _added(self) -> dict[str, Any]:
        """What was added, to be added to."""
        if self._results is None:
            self._results = {}
        return self._results

    @property
    def _more(self) -> _Kept:
        """What few runs have, made when it is used."""
        if self._kept is None:
            self._kept = _Kept()
        return self._kept

    def append(self, rows: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Record one more row of each of these series.

        Rows of one type and shape become one array, others a list.

        Parameters
        ----------
        rows, **named
            A row by the series' name.

        Raises
        ------
        SimkitError
            When a name is a result already.

        Examples
        --------
        >>> run = simkit.Run()
        >>> for v in (0.0, 0.5, 0.75):
        ...     run.append(v=v)
        >>> run.results["v"]
        array([0.  , 0.5 , 0.75])
        """
        for name, row in {**(rows or {}), **named}.items():
            if name in self._added:
                msg = f"run.append(): {name!r} is a result of run {self.index} already"
                raise SimkitError(msg)
            self._more.series.setdefault(name, []).append(snapshot(row, self._keepers.other))

    def checkpoint(self, state: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Commit a state, and what was added and appended so far; when this returns, no kill loses them.

        Parameters
        ----------
        state, **named
            What `restore` shall give back: numbers, text, arrays, NumPy generators, lists and dictionaries
            of these, anything that can be a result.

        Raises
        ------
        Unstorable
            For a state that has no lossless form, with the path to it.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.checkpoint(step=5, x=1.25)
        >>> run.restore()
        {'step': 5, 'x': 1.25}
        """
        more = self._more
        saved = more.saved or {}
        rows = {name: rows[saved.get(name, 0) :] for name, rows in more.series.items()}
        said = {"said": more.said} if more.place else {}
        whole = {"state": {**(state or {}), **named}, "added": self._added, **said}
        self._store.save(self.index, whole, rows, first=more.saved is None)
        more.saved = {name: len(rows) for name, rows in more.series.items()}

    @property
    def _store(self) -> CheckpointStore:
        if self._keepers.store is not None:
            return self._keepers.store
        self._more.store = self._more.store or Memory()
        return self._more.store

    def restore(self) -> dict[str, Any] | None:
        """The state of the last checkpoint if an earlier attempt of this run made one, else None.

        What was added, appended and reported until that checkpoint is there again.

        Returns
        -------
        dict of str to object, or None
            The state by name, generators of random numbers where they were.

        Raises
        ------
        Damaged
            When the file does not hold what was written.

        Examples
        --------
        >>> def walk(run, rng):
        ...     state = run.restore() or {"step": 0, "x": 0.0, "rng": rng}
        ...     step, x, rng = state["step"], state["x"], state["rng"]
        ...     while step < 1000:
        ...         step, x = step + 1, x + rng.normal()
        ...         if step % 100 == 0:
        ...             run.checkpoint(step=step, x=x, rng=rng)
        ...     return {"x": x}
        >>> sorted(simkit.call(walk))
        ['x']
        """
        saved = self._store.find(self.index)
        if saved is None:
            return None
        state, added, series, said = saved
        self._results = dict(added)
        self._more.series = {name: list(rows) for name, rows in series.items()}
        self._more.saved = {name: len(rows) for name, rows in series.items()}
        self._more.resume(said)
        return state

    def report(self, value: float, step: int) -> None:
        """Tell how the run gets on, while it goes on; a step counts once.

        Parameters
        ----------
        value
            What is optimised, as it is now: a number, for ``traj.reports``, and for a strategy that stops runs.
        step
            How far the run is: a whole number that grows.

        Raises
        ------
        SimkitError
            For what is no number.

        Examples
        --------
        >>> run = simkit.Run()
        >>> for epoch, loss in enumerate([0.9, 0.5]):
        ...     run.report(loss, step=epoch)
        >>> run.reports
        [(0, 0.9), (1, 0.5)]
        """
        where = f"run.report(): run {self.index}"
        try:
            number = float(value)
        except (TypeError, ValueError):
            msg = f"{where} reports {value!r}, which is no number\n    report what is optimised: run.report(loss, step)"
            raise SimkitError(msg) from None
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
            msg = f"{where} reports at step {step!r}: give a whole number that grows: run.report(loss, step)"
            raise SimkitError(msg)
        more = self._more
        if int(step) not in more.reports:
            place, more.reports[int(step)] = more.place, number
            self._store.report(self.index, int(step), number, place)

    def should_stop(self) -> bool:
        """Whether the strategy, by what this run and others reported, has no use for the rest of this run.

        It is False before the first report, without a strategy that stops runs, and where an engine can't talk back.
        A run that is told to stop returns what it has, and is done.

        Returns
        -------
        bool
            True once the strategy has given this run up.

        Raises
        ------
        Exception
            What a strategy's pruner raises.

        Examples
        --------
        >>> def train(run, epochs=3):
        ...     for epoch in range(epochs):
        ...         run.report(1 / (epoch + 1), step=epoch)
        ...         if run.should_stop():
        ...             break
        ...     return {"trained": epoch + 1}
        >>> simkit.call(train)
        {'trained': 3}
        """
        more = self._more
        step = next(reversed(more.reports), None)
        if step is not None and step not in more.answers:
            more.answers[step] = self._store.should_stop(self.index, step, more.place)
        return step is not None and more.answers[step]

    @property
    def reports(self) -> list[tuple[int, float]]:
        """What was reported so far: ``(step, value)``.

        Returns
        -------
        list of tuple of int and float
            In the order of the reports.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.report(0.5, step=1)
        >>> run.reports
        [(1, 0.5)]
        """
        return list(self._more.reports.items())

    def note(self, text: str = "", /, **named: str) -> None:
        """Remark something on this run, or on some of its results by name.

        Parameters
        ----------
        text
            On the run.
        **named
            On results, by their name.

        Raises
        ------
        TypeError
            For a second text without a name, and for what is no text.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.note("diverged", z="the first second only")
        >>> run.notes
        [('', 'diverged'), ('z', 'the first second only')]
        """
        remark = _text(text)
        texts = {name: _text(one) for name, one in named.items()}
        if remark:
            self._more.notes.append(("", remark))
        self._more.notes.extend(texts.items())

    def command(
        self,
        arguments: Sequence[str | os.PathLike[str] | float],
        *,
        timeout: str | float | None = None,
        env: Mapping[str, str | float | os.PathLike[str] | None] | None = None,
        check: bool = True,
        stdin: bytes | str | os.PathLike[str] | None = None,
        stdout: str | os.PathLike[str] | None = None,
        text: bool = False,
    ) -> Finished:
        r"""Run an external program in the run's folder (its ``workdir``), to its end.

        What it writes goes to the run's log as it comes. How it ended and how long it took is recorded
        (``traj.commands(i)``). All that it has started ends with it.

        Parameters
        ----------
        arguments
            The program and its arguments: text, paths and numbers. No shell sees them, nothing is expanded.
        timeout
            How long it may take, in seconds or as ``"10min"``; then it is killed with all that it has started.
        env
            Variables of the environment that are set beside those that there are; None takes one away.
        check
            Whether another exit code than zero fails.
        stdin
            The bytes that it reads, or the file (from the run's folder); by default nothing.
        stdout
            A file (from the run's folder) for its standard output, instead of the log and what is returned.
        text
            Whether its output is returned as ``str`` (UTF-8) rather than ``bytes``.

        Returns
        -------
        subprocess.CompletedProcess
            With ``returncode``, ``stdout`` and ``stderr``.

        Raises
        ------
        subprocess.CalledProcessError
            With ``check``, when it ends with another exit code than zero.
        subprocess.TimeoutExpired
            When it takes too long.
        SimkitError
            When it can't be started.

        Examples
        --------
        >>> import sys
        >>> run = simkit.Run()
        >>> run.command([sys.executable, "-c", "print(6 * 7)"], text=True).stdout
        42
        '42\n'
        """
        words, place = as_arguments(arguments), self._keepers.place
        folder = place.folder()
        given = stdin if stdin is None or isinstance(stdin, bytes) else folder / os.fspath(stdin)
        for path in [folder / words[0], *([given] if isinstance(given, Path) else [])]:
            place.reads(path)
        program = ExternalProgram(
            words, folder, as_environment(env), as_timeout(timeout), given,
            None if stdout is None else folder / os.fspath(stdout), text, place.began,
        )  # fmt: skip
        try:
            finished = program.run(self._more.commands.append)
            if check and finished.returncode:
                raise CommandFailed(finished.returncode, finished.args, finished.stdout, finished.stderr)
        except (CommandFailed, SimkitError) as error:
            if words_of_home := left_at_home(words, folder, place.home()):
                error.add_note(words_of_home)
            raise
        return finished

    def attach(self, path: str | os.PathLike[str], *, name: str | None = None) -> list[str]:
        """Keep a file, or all that match a pattern, as they are now: ``traj.files(i)`` gives them back.

        Parameters
        ----------
        path
            A file, or a pattern such as ``"*.dat"`` or ``"out/**/*.dat"``, from the run's folder (its ``workdir``).
        name
            What a single file shall be called; by default its path from the run's folder.

        Returns
        -------
        list of str
            The names of the files.

        Raises
        ------
        SimkitError
            When there is no such file, it is a folder, or another one of that name is attached already.

        Examples
        --------
        >>> run = simkit.Run(workdir=".")
        >>> run.attach("sim_*.py")
        ['sim_cell.py', 'sim_multiply.py']
        """
        names = []
        attached, place = self._more.attached, self._keepers.place
        for file, called in matching(path, place.folder(), name):
            place.reads(file)
            before = attached.get(called)
            room = _IN_MEMORY - sum(one.size for one in attached.values() if one.data is not None)
            try:
                one = Attachment.of(file, called, place.aside, max(0, room))
            except OSError as error:
                raise SimkitError(f"run.attach({os.fspath(path)!r}): {file}: {error.strerror}") from None
            if before is not None:
                one.discard()
                if before.sha256 != one.sha256:
                    raise SimkitError(
                        f"run.attach({os.fspath(path)!r}): {called!r} is attached already in run {self.index}, with "
                        "another content\n    give it another name: run.attach(path, name='…')"
                    )
            attached.setdefault(called, one)
            names.append(called)
        return names

    def template(
        self, source: str | os.PathLike[str], target: str | os.PathLike[str], /, **values: Any
    ) -> Path:
        r"""Write a file of parameters into the run's folder: a template, its ``$names`` replaced by values.

        ``$tau`` or ``${neuron.tau}`` is the value of that parameter in this run, ``$$`` a dollar sign, as in
        `string.Template`.

        Parameters
        ----------
        source
            The template, from the folder of the experiment's file.
        target
            The file to be written, from the run's folder (its ``workdir``).
        **values
            More names, or texts for parameters that are no numbers or texts.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        SimkitError
            For a name that there is no value for, with the line and the nearest name.

        Examples
        --------
        >>> from pathlib import Path
        >>> size = Path("model.in").write_text("tau = $tau ms\n")
        >>> run = simkit.Run(workdir=".", parameters={"tau": 20.0})
        >>> run.template(Path("model.in").absolute(), "input.txt").read_text()
        'tau = 20.0 ms\n'
        """
        place, home = self._keepers.place, self._keepers.place.home()
        template, file = home / os.fspath(source), place.folder() / os.fspath(target)
        try:
            text = template.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            near = did_you_mean(os.fspath(source), sorted(one.name for one in home.iterdir()))
            raise SimkitError(f"run.template(): {template}: {error.strerror}{near}") from None
        place.reads(template)
        filled = rendered(text, {**place.parameters(), **values}, os.fspath(source))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(filled.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise SimkitError(f"run.template(): {file}: {error.strerror}") from None
        return file

    @property
    def files(self) -> dict[str, bytes]:
        """What was attached so far: the bytes by name.

        Returns
        -------
        dict of str to bytes
            Read when it is asked for.

        Examples
        --------
        >>> run = simkit.Run(workdir=".")
        >>> run.attach("sim_cell.py", name="cell.py")
        ['cell.py']
        >>> run.files["cell.py"][:13]
        b'# sim_cell.py'
        """
        return {one.name: one.content for one in self.attachments}

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What was attached so far, for the record.

        Returns
        -------
        tuple of Attachment
            With ``name``, ``size`` in bytes and ``sha256``.

        Examples
        --------
        >>> run = simkit.Run(workdir=".")
        >>> names = run.attach("sim_cell.py")
        >>> [(one.name, one.size > 100) for one in run.attachments]
        [('sim_cell.py', True)]
        """
        return tuple(self._kept.attached.values()) if self._kept else ()

    @property
    def commands(self) -> tuple[Command, ...]:
        """The programs that were run so far: their arguments, exit codes and times.

        Returns
        -------
        tuple of Command
            In the order of their beginnings; ``seconds`` is how long each took.

        Examples
        --------
        >>> import sys
        >>> run = simkit.Run()
        >>> done = run.command([sys.executable, "-c", "pass"])
        >>> [command.exit_code for command in run.commands]
        [0]
        """
        return tuple(self._kept.commands) if self._kept else ()

    @property
    def results(self) -> dict[str, Any]:
        """What was added and appended so far, series as arrays.

        Returns
        -------
        dict of str to object
            A series of ``n`` rows has shape ``(n, …)``, or is a list where its rows differ in type or shape.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.add(z=6.0)
        >>> run.results
        {'z': 6.0}
        """
        if self._kept is None or not self._kept.series:
            return self._added
        return {**self._added, **{name: _series(rows) for name, rows in self._kept.series.items()}}

    @property
    def notes(self) -> list[tuple[str, str]]:
        """The remarks so far: ``(name, text)``, the name empty for the run itself.

        Returns
        -------
        list of tuple of str
            In the order of the remarks.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.note("diverged")
        >>> run.notes
        [('', 'diverged')]
        """
        return self._more.notes

    @property
    def has_more(self) -> bool:
        """Whether there may be anything besides results that were added.

        Returns
        -------
        bool
            False where there is certainly no note, file, command or series.

        Examples
        --------
        >>> run = simkit.Run()
        >>> run.add(z=6.0)
        >>> run.has_more
        False
        """
        return self._kept is not None

    def __repr__(self) -> str:
        return f"<Run {self.index}: {', '.join(self.results) or 'no results yet'}>"


def _text(remark: Any) -> str:
    """A remark as Python's own text: that of a class of the user's may answer as it likes."""
    if not is_a(remark, str):
        msg = (
            f"run.note() takes text, not a value of type {qualname_of(type(remark))}: run.note(f'{{value}}')"
        )
        raise TypeError(msg)
    return str.__str__(remark)


class ManyRuns:
    """The runs that one call of a vectorized experiment computes, injected as ``run``.

    Attributes
    ----------
    index
        Their numbers in the trajectory, shape ``(n,)``.
    trial
        Which repetition of its point each one is, from 0, shape ``(n,)``.
    results
        What was added so far, each with the runs first.
    """

    __slots__ = ("index", "results", "trial")

    def __init__(self, index: Index, trial: Index) -> None:
        self.index, self.trial = index, trial
        self.results: dict[str, Any] = {}

    def add(self, results: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Record results, as returning them does: arrays or lists with the runs first; each name once.

        Raises
        ------
        SimkitError
            When a name was added before.
        """
        given = {**(results or {}), **named}
        twice = next((name for name in given if name in self.results), None)
        if twice is not None:
            msg = f"run.add(): result {twice!r} was added twice"
            raise NotForEach(msg)
        self.results.update({name: snapshot(value) for name, value in given.items()})

    def __getattr__(self, name: str) -> Any:
        if not hasattr(Run, name):
            msg = f"run has no attribute {name!r}: there are index, trial and add()"
            raise AttributeError(msg)
        msg = (
            f"run.{name} belongs to one run, and this call computes {len(self.index):,} of them\n"
            "    return arrays or lists, or give them to run.add(); or leave out vectorized, and each run is a call"
        )
        raise NotForEach(msg)

    def __repr__(self) -> str:
        return f"<{len(self.index):,} runs: {', '.join(self.results) or 'no results yet'}>"


def _series(rows: list[Any]) -> Any:
    kinds = {type(row) for row in rows}
    arrays = kinds == {np.ndarray} and len({(row.shape, row.dtype) for row in rows}) == 1
    if arrays or (len(kinds) == 1 and issubclass(next(iter(kinds)), _SCALARS)):
        stacked = np.array(rows)
        exact = kinds != {int} or stacked.dtype.kind == "i"  # integers beyond 64 bits stay a list
        return rows if stacked.dtype == object or not exact else stacked
    return rows
