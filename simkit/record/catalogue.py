"""Which trajectories are there, and where does the next one go?"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import attrs
import h5py
import xxhash

from simkit.errors import Damaged, SimkitError, check_replaceable, file_stem, shown_path
from simkit.record.additions import Additions
from simkit.record.file.locks import WriterLock, writer_of
from simkit.record.file.store import Store, open_for_reading
from simkit.record.format import unreadable
from simkit.record.recorded import Recorded
from simkit.record.shards import folder_of
from simkit.values.batch import Status


@attrs.frozen
class Slot:
    """A place for a trajectory: a file, and the group in it."""

    path: Path
    group: str

    def open(self) -> Recorded:
        """Open what is recorded there."""
        return Recorded.open(self.path, self.group)

    @contextmanager
    def editing(self, *, durable: bool) -> Iterator[Additions]:
        """What is added there, to write into; committed at the end, or left as it was if that fails."""
        store = Store(self.path, durable=durable)
        failed = True
        try:
            yield Additions(store.file[self.group])
            failed = False
        finally:
            store.close(failed=failed)


def files_of(path: Path) -> list[Path]:
    """A trajectory's files: its own, and those of its shards where it is the master of a set."""
    return [path, *sorted(folder_of(path).glob("*.h5"))]


def bytes_of(path: Path) -> int:
    """How much a trajectory takes on the disk, its log and the files of its shards included."""
    files = [each for file in files_of(path) for each in (file, Path(f"{file}.wal"))]
    return sum(file.stat().st_size for file in files if file.exists())


def writer_in(path: Path) -> str:
    """Who writes a trajectory now, or any file of its set, as ``process 12 on host``; empty where nobody does."""
    own, *shards = files_of(path)
    writers = list(filter(None, [writer_of(own), *(writer_of(shard, beating=True) for shard in shards)]))
    others = f" and {len(writers) - 1} more" if writers[1:] else ""
    return writers[0] + others if writers else ""


def version_of(path: Path) -> str:
    """Changes with every commit to a trajectory, or to any file of its set."""
    marks = []
    for file in (each for part in files_of(path) for each in (part, f"{part}.wal")):
        with suppress(FileNotFoundError):
            fact = os.stat(file)
            marks += [fact.st_ino, fact.st_size, fact.st_mtime_ns]
    text = "-".join(f"{mark:x}" for mark in marks)
    return text if len(marks) <= 6 else xxhash.xxh3_128_hexdigest(text.encode())


def experiments(path: Path) -> list[str]:
    """The names of the experiments in a file."""
    with open_for_reading(path) as file:
        return _names_in(file)


def _names_in(file: h5py.File) -> list[str]:
    return [key for key in file if "simkit_format" in file[key].attrs]


def check_formats(path: Path) -> list[str]:
    """The names of the experiments in a file, each of a format that this simkit can read.

    Raises
    ------
    SimkitError
        With the first that another simkit wrote.
    """
    with open_for_reading(path) as file:
        names = _names_in(file)
        if problem := next(filter(None, (unreadable(path, file[name]) for name in names)), ""):
            raise SimkitError(problem)
        return names


def is_trajectory(path: Path) -> bool:
    """Whether a file holds any experiment of simkit's; a damaged one does, as opening it tells."""
    try:
        return bool(experiments(path))
    except Damaged:
        return True
    except SimkitError:
        return False


def existing(folder: Path, name: str, output: Path | None = None) -> list[Slot]:
    """The recorded trajectories of experiments of this name, newest first."""
    if output is not None:
        return _in_file(output, name) if output.exists() and output.stat().st_size else []
    stem = file_stem(name)
    paths = _files_in(folder, f"{stem}-", ".h5")
    numbered = [(number, path) for path in paths if (number := _number(path.stem, stem))]
    return [Slot(path, name) for _, path in sorted(numbered, reverse=True) if not _is_unused(path)]


_MOST = 500  # files of other experiments that are looked into


def newest_of_each(folder: Path, output: Path | None = None) -> list[Slot]:
    """The newest trajectory of each experiment, those written last first."""
    if output is not None:
        groups = _node_ids(output, version_of(output)) if output.exists() and output.stat().st_size else ()
        return [Slot(output, group) for group in reversed(groups)]
    newest: dict[str, tuple[int, Path]] = {}
    for path in _files_in(folder, "", ".h5"):
        stem, _, number = path.stem.rpartition("-")
        if stem and number.isdigit() and not path.name.startswith("."):
            newest[stem] = max(newest.get(stem, (0, path)), (int(number), path))
    paths = sorted(
        (path for _, path in newest.values() if path.exists()), key=lambda path: path.stat().st_mtime
    )
    return [Slot(path, path.stem.rpartition("-")[0]) for path in paths[::-1][:_MOST]]


def _files_in(folder: Path, start: str, end: str) -> list[Path]:
    """The files of a folder whose names begin and end like this.

    Raises
    ------
    SimkitError
        Where the folder may not be read: then nobody knows what is recorded there.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        msg = (
            f"{shown_path(folder)} can't be read: {error.strerror}: what is recorded there is not known\n"
            "    make the folder readable, or choose another place with --output FILE.h5"
        )
        raise SimkitError(msg) from None
    return [folder / name for name in names if name.startswith(start) and name.endswith(end)]


def _is_unused(path: Path) -> bool:
    """Whether a file is empty, as one that a name was taken from; a link that leads nowhere is not."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def node_id_of(slot: Slot) -> str:
    """Whose runs a place holds, which costs little when it is asked again; empty where only opening it tells."""
    try:
        return _node_ids(slot.path, version_of(slot.path)).get(slot.group, "")
    except (SimkitError, OSError, KeyError):
        return ""


@lru_cache(maxsize=_MOST)
def _node_ids(path: Path, version: str) -> dict[str, str]:
    """The experiments in a file, each with its node id: a command asks several times between two commits."""
    with open_for_reading(path) as file:
        return {name: str(file[name].attrs.get("node_id", "")) for name in _names_in(file)}


def opened(slot: Slot) -> Recorded | None:
    """What is recorded there; None for somebody else's file under such a name.

    Raises
    ------
    SimkitError
        Where it can't be read, and may hold runs; `Damaged` where that is why.
    """
    try:
        return slot.open()
    except SimkitError as error:
        try:
            is_another = slot.group not in experiments(slot.path)
        except SimkitError:
            is_another = False
        if is_another:
            return None
        msg = (
            f"{error}\n    it may hold the newest runs of {slot.group}, so it is not passed over\n"
            f"    see whether it can be mended: simkit repair {shlex.quote(shown_path(slot.path))}\n"
            "    go on without it: move it away, or begin the next trajectory with simkit --fresh"
        )
        raise (Damaged if isinstance(error, Damaged) else SimkitError)(msg) from None


def following(folder: Path, name: str, output: Path | None = None, *, shards: bool = False) -> Slot:
    """Where the next trajectory goes.

    Parameters
    ----------
    shards
        Of a set of shards: all tasks that begin it at once get one place, whoever of them is first.
    """
    if shards and output is not None and output.exists() and output.stat().st_size:
        where = f"--output {shown_path(output)}"
        msg = f"{where}: a set of shards needs a file of its own, this one holds others"
        raise SimkitError(msg)
    if output is not None:
        check_replaceable(output)
        taken = [_number(slot.group, name) or 1 for slot in existing(folder, name, output)]
        return Slot(output, name if not taken else f"{name}-{max(taken) + 1:03d}")
    stem = file_stem(name)
    if not shards:
        _clear(folder, stem)
    seen = [path.name for path in folder.glob(f"{stem}-*.h5" if shards else f"{stem}-*.h5*")]
    numbers = [_number(file.partition(".h5")[0], stem) for file in seen]
    for files in folder.glob(f"{stem}-*.shards"):  # of a set that is being begun, or without its master
        numbers += [_number(files.stem, stem)] if not shards or any(files.glob("*.h5")) else []
    return Slot(folder / f"{stem}-{max(numbers, default=0) + 1:03d}.h5", name)


def _clear(folder: Path, name: str) -> None:
    """Remove what sessions left that were killed before their first commit; living ones hold their lock."""
    begun = {Path(str(path).removesuffix(".lock")) for path in folder.glob(f"{name}-*.h5.lock")}
    begun |= {path.with_name(path.name[1:].removesuffix(".new")) for path in folder.glob(f".{name}-*.h5.new")}
    for path in begun:
        try:
            lock = WriterLock(path)
        except (SimkitError, OSError):
            continue
        hidden = path.with_name(f".{path.name}.new")
        hidden.unlink(missing_ok=True)
        Path(f"{hidden}.wal").unlink(missing_ok=True)
        lock.release()


def _number(stem: str, name: str) -> int:
    match = re.fullmatch(rf"{re.escape(name)}-(\d+)", stem)
    return int(match[1]) if match else 0


def _in_file(path: Path, name: str) -> list[Slot]:
    groups = _node_ids(path, version_of(path))
    mine = [group for group in groups if group == name or _number(group, name)]
    return [Slot(path, group) for group in sorted(mine, key=lambda group: _number(group, name), reverse=True)]


def is_empty(recorded: Recorded) -> bool:
    """Whether no run is done: such a trajectory is simply started again."""
    status = recorded.run_column("status")
    return status is None or not (status == Status.DONE).any()


def discard(slot: Slot) -> bool:
    """Remove a trajectory of which nothing is done, unless it is being written; whether it is gone."""
    try:
        lock = WriterLock(slot.path)
    except SimkitError:
        return False
    try:
        with h5py.File(slot.path, "r") as file:
            alone = len(file) == 1
        if alone:
            slot.path.unlink()
        return alone
    finally:
        lock.release()
