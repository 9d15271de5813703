"""Open a trajectory by its file or name, or merge several."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeGuard

from simkit.analyse.trajectory import Trajectory
from simkit.collect.config import find_rootdir, load_settings
from simkit.collect.listener import listener
from simkit.collect.modules import know_codecs_of
from simkit.declare.plugins import OWN
from simkit.errors import SimkitError, caller, file_stem, listed, shown_path
from simkit.record.catalogue import existing, experiments, is_trajectory, opened
from simkit.record.recorded import Recorded
from simkit.values.compare import keys
from simkit.values.decode import decode
from simkit.values.encode import encode
from simkit.values.instances import among

_MODES = ("r+", "r", "a", "w")  # as those of Python's open


def _is_experiment(path: Any, name: str) -> bool:
    return isinstance(path, (str, os.PathLike)) and os.path.isfile(path) and name in experiments(Path(path))


def open(
    path: str | os.PathLike[str] | None = None,
    name: str | None = None,
    *,
    mode: str = "r",
    classes: Iterable[type] = (),
    **constants: Any,
) -> Trajectory:
    """Open a recorded trajectory.

    Parameters
    ----------
    path
        A file, by its path or by its name in the project's ``results`` (``"multiply-001"``); or the name of an
        experiment, of which the trajectory there that was written last is opened; or nothing, for the one
        written last of all.
    name
        Which of several experiments in the file.
    mode
        ``"r"`` to read; ``"r+"`` to add notes, derived values and links too. Then nobody else can write the
        file until it is closed.
    classes
        Attrs classes, dataclasses, NamedTuples and enumerations whose recorded instances shall be such
        instances again; others come as read-only records with the same fields. Their names count, with
        their module's where two are alike; no default, converter or check of theirs is run.
    **constants
        Only a trajectory with these constants: ``simkit.open("multiply", gamma=0.2)``, and
        ``**{"neuron.tau": 20 * ms}`` for dotted names.

    Returns
    -------
    Trajectory
        Of all runs; nothing is read before it is asked for.

    Raises
    ------
    SimkitError
        When there is no such file or name, when the file is no trajectory, when a name is ambiguous, when no
        trajectory has these constants, when the one written last can't be read, or, with ``"r+"``, when another
        process is writing the file.

    Warns
    -----
    UserWarning
        When values need a codec of the user's that is not known in the present folder.

    Examples
    --------
    >>> traj = simkit.open("results/multiply-001.h5")
    >>> traj["z"].max()
    np.float64(32.0)
    >>> simkit.open("multiply").path == traj.path
    True
    """
    if mode not in ("r", "r+"):
        msg = f'mode={mode!r}: "r" reads; "r+" adds notes, derived values and links too'
        raise SimkitError(msg)
    if name in _MODES and not _is_experiment(path, name):
        file = os.fspath(path or "")
        msg = (
            f'the second argument names an experiment in the file: write simkit.open("{file}", mode="{name}")'
        )
        raise SimkitError(msg)
    known = among(classes) if (classes := tuple(classes)) else None
    with listener().away() as hearing:
        recorded = _recorded(path, name, constants)
    if hearing is not None and recorded.path.exists():  # by a provider, or in a run: it is an input
        hearing.add(str(recorded.path))
        if path is None or _is_name(path):
            hearing.add(str(recorded.path.with_name(f"{file_stem(recorded.name)}-*.h5" if path else "*.h5")))
    if mode == "r+":
        recorded.close()
        recorded = Recorded.open(recorded.path, recorded.name, writable=True)
    recorded.classes = known
    _know_codecs(recorded)
    return Trajectory(recorded)


def open_alone(path: Path, name: str | None = None) -> Trajectory:
    """Open a trajectory without the project that it is of: none of the project's code is imported.

    Values that need a codec of the user's are their parts, as read-only records.

    Raises
    ------
    SimkitError
        As `open` does.
    """
    return Trajectory(Recorded.open(path, name))


def _know_codecs(recorded: Recorded) -> None:
    """Look for the codecs of the user's that a file needs in the present project and in plug-ins."""
    needed = json.loads(recorded.attributes.get("codecs", "[]"))
    if all(name in OWN.by_name for name in needed):
        return
    why = ""
    try:
        know_codecs_of(str(recorded.attributes["node_id"]), find_rootdir([]))
    except SimkitError as error:
        why = f": {error}"
    lacking = ", ".join(repr(name) for name in needed if name not in OWN.by_name)
    if lacking:
        cure = "open it from its project's folder, or install the plug-in that has the codec"
        words = f"{shown_path(recorded.path)}: the codec {lacking} is not known here{why}"
        warnings.warn(f"{words}\n    its values are shown as their parts; {cure}", stacklevel=3)


def _recorded(
    path: str | os.PathLike[str] | None, name: str | None, constants: Mapping[str, Any] | None = None
) -> Recorded:
    if _is_name(path):
        return _by_name(path, constants or {})
    file = _newest(_results()) if path is None else _file(path)
    if path is not None and file.is_dir():
        msg = f"{os.path.abspath(file)} is a folder: give a file in it, or the name of an experiment"
        raise SimkitError(msg)
    recorded = Recorded.open(file, name)
    if constants and not _has(recorded, constants):
        with closing(recorded):
            raise _no_such_constants(recorded.name, constants, [recorded])
    return recorded


def _is_name(path: str | os.PathLike[str] | None) -> TypeGuard[str]:
    """Whether an experiment is named, not a file."""
    return isinstance(path, str) and path.isidentifier() and not os.path.isfile(path)


def _file(path: str | os.PathLike[str]) -> Path:
    """A file by its path, or among the results by its name: ``swing-001`` is ``results/swing-001.h5``."""
    file = Path(path)
    if os.path.lexists(file) or len(file.parts) > 1:
        return file
    name = file.name.removesuffix(".h5")
    found = (folder := _results()) / f"{name}.h5"
    if not found.is_file():
        there = listed(name, [other.stem for other in _files(folder)])
        msg = (
            f"no such file: {shown_path(file)}, nor one of that name in {_folder(folder)}\n    there: {there}"
        )
        raise SimkitError(msg)
    return found


def recorded_at(target: str, name: str | None = None, *, codecs: bool = True) -> Recorded:
    """What ``FILE``, ``FILE::NAME`` or the name of an experiment stands for on the command line.

    Parameters
    ----------
    codecs
        Look for the project's codecs that its values need, which may import the project's code.

    Raises
    ------
    SimkitError
        As `open` does.
    """
    file, _, inside = target.partition("::")
    wanted, path = name or inside or None, Path(file)
    there = experiments(path) if wanted is None and os.path.isfile(path) else []
    if len(there) > 1:
        shown = shown_path(path)
        msg = f"{shown} holds several experiments: {', '.join(there)}\n    name one: {shown}::{there[0]}"
        raise SimkitError(msg)
    recorded = _recorded(file, wanted)
    if codecs:
        _know_codecs(recorded)
    return recorded


def _results() -> Path:
    return load_settings(find_rootdir([])).results


def _folder(folder: Path) -> str:
    """The folder of the results; as a whole where it is that of no project."""
    return shown_path(folder) if folder.exists() else os.path.abspath(folder)


def _written(path: Path) -> int:
    """When a file was written last, or what is committed beside it."""
    files = [path, Path(f"{path}.wal"), *path.with_name(f"{path.stem}.shards").glob("*.h5*")]
    return max((file.stat().st_mtime_ns for file in files if file.exists()), default=0)


def _files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*.h5") if is_trajectory(path)), key=_written)


def _newest(folder: Path) -> Path:
    files = _files(folder)
    if not files:
        msg = f"no trajectory in {_folder(folder)}: run simkit first, or give the path of a file"
        raise SimkitError(msg)
    return files[-1]


def _by_name(name: str, constants: Mapping[str, Any]) -> Recorded:
    """The trajectory of an experiment that was written last, among those with these constants."""
    folder = _results()
    slots = sorted(existing(folder, name), key=lambda slot: _written(slot.path), reverse=True)
    with ExitStack() as others:
        there: list[Recorded] = []
        for slot in slots:
            try:
                recorded = opened(slot)
            except SimkitError:
                if not there:
                    raise
                continue  # an old one that can't be read
            if recorded is not None:
                others.callback(recorded.close)
                there.append(recorded)
        if not there:
            known = sorted({path.stem.rpartition("-")[0] or path.stem for path in _files(folder)})
            msg = f"no trajectory of {name!r} in {_folder(folder)}\n    there: {listed(name, known)}"
            raise SimkitError(msg)
        ids = sorted({str(recorded.attributes["node_id"]) for recorded in there})
        if len(ids) > 1:
            example = shown_path(there[0].path)
            msg = f"{name!r} is ambiguous: {', '.join(ids)}\n    open the file by its path, such as {example}"
            raise SimkitError(msg)
        fitting = next((recorded for recorded in there if _has(recorded, constants)), None)
        if fitting is None:
            raise _no_such_constants(name, constants, there)
        return Recorded.open(fitting.path, fitting.name)


def _has(recorded: Recorded, constants: Mapping[str, Any]) -> bool:
    """Whether these are constants of a trajectory: numbers by their value, whatever their type."""
    names = recorded.names("parameters") if constants else []
    return all(
        name in names
        and recorded.is_constant(name)
        and bool((keys(recorded.constant(name)) == keys(encode([value]))).all())
        for name, value in constants.items()
    )


def _no_such_constants(name: str, wanted: Mapping[str, Any], there: Sequence[Recorded]) -> SimkitError:
    """What these names are in each trajectory instead."""
    known = [key for recorded in there for key in recorded.names("parameters")]
    unknown = next((key for key in wanted if key not in known), None)
    asked = ", ".join(f"{key}={value!r}" for key, value in wanted.items())
    if unknown is not None:
        fixed = [
            key for recorded in there for key in recorded.names("parameters") if recorded.is_constant(key)
        ]
        return SimkitError(
            f"no trajectory of {name!r} has a parameter {unknown!r}\n    constants: {listed(unknown, fixed)}"
        )
    lines = [f"no trajectory of {name!r} has {asked}"]
    for recorded in there:
        values = (f"{key}={_shown(recorded, key)}" for key in wanted)
        lines.append(f"{shown_path(recorded.path)}: {', '.join(values)}")
    return SimkitError("\n    ".join(lines))


def _shown(recorded: Recorded, name: str) -> str:
    if name not in recorded.names("parameters"):
        return "not there"
    return repr(decode(recorded.constant(name))[0]) if recorded.is_constant(name) else "(varies)"


def merge(
    target: str | os.PathLike[str], *sources: str | os.PathLike[str], duplicates: str = "error"
) -> Trajectory:
    """Merge trajectories of one experiment; the sources stay as they are.

    The runs of the first source come first, then those of the next that are new. A run that is done in one
    source and pending or failed in another is taken from where it is done: so the shards that ``--shard``
    makes become the trajectory that an unsharded run would be, and ``simkit`` continues it. Constants that
    differ become explored columns. ``traj.source(i)`` tells where run ``i`` was recorded.

    Parameters
    ----------
    target
        The merged file. It appears, or replaces what is there, when it is whole; a trajectory that is there
        already is the first source.
    *sources
        Files, in order; ``"FILE.h5::NAME"`` is one of several experiments in a file. Files that hold several
        experiments are merged experiment by experiment.
    duplicates
        What becomes of a run that is done in two sources: ``"error"``, ``"first"`` keeps the first,
        ``"all"`` keeps both; trial numbers then go on after the highest.

    Returns
    -------
    Trajectory
        The merged runs; of the first experiment, where there are several.

    Raises
    ------
    SimkitError
        When the sources are of different experiments, types or units differ, one is being written, or a run
        is done in two of them.
    StorageFailed
        When the disk is full; the target is then as it was.

    Examples
    --------
    >>> high = traj.where("x > 2").export("high.h5")
    >>> low = traj.where("x <= 2").export("low.h5")
    >>> with simkit.merge("all.h5", "low.h5", "high.h5") as merged:
    ...     len(merged), merged["z"].sum()
    (12, np.float64(210.0))
    """
    if not sources or not all(isinstance(source, (str, os.PathLike)) for source in sources):
        msg = f'{caller()}: name the target, then each source: simkit.merge("all.h5", "a.h5", "b.h5")'
        raise SimkitError(msg)
    from simkit.record.merge import merging

    merged = merging.merge(Path(target), sources, duplicates)
    for one in merged:
        for remark in one.remarks:
            warnings.warn(remark, stacklevel=2)
    return Trajectory(Recorded.open(Path(target), merged[0].group))
