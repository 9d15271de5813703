"""One HDF5 file, open for one writer at a time; what is committed is safe."""

from __future__ import annotations

import errno
import os
import re
import time
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import h5py

from simkit.errors import Damaged, FileGone, SimkitError, StorageFailed, check_replaceable, shown_path
from simkit.record.file.locks import WriterLock, readers_of, writer_of, written_name
from simkit.record.file.log import log_path, recover
from simkit.record.file.system import exclusive, is_at, present_name, sync_folder
from simkit.record.file.transaction import TransactionalFile
from simkit.record.file.view import LoggedView
from simkit.record.inspection import check_links

_MAKE_ROOM = (
    "\n    every run that was reported done is in the file; make room and type the same command again"
)
_OPTIONS: dict[str, Any] = {"libver": ("v110", "v110")}
_CREATION: dict[str, Any] = {"track_order": True, "fs_strategy": "fsm", "fs_persist": True}


_HIDDEN, _HIDDEN_LOG = ".new", ".new.wal"


def _hidden(path: Path) -> Path:
    """Where a new file stands before its first commit."""
    return path.with_name(f".{path.name}{_HIDDEN}")


def _has_log(path: Path) -> bool:
    return any(os.path.exists(log_path(str(name))) for name in (path, _hidden(path)))


def _adopt_log(path: Path) -> None:
    """Give a new file its log, if its writer was killed when it had given the file its name, and not yet the log."""
    hidden, log = _hidden(path), Path(log_path(str(path)))
    waiting = Path(log_path(str(hidden)))
    if waiting.exists() and path.exists() and not hidden.exists() and not log.exists():
        waiting.replace(log)


def sweep_results(folder: Path) -> None:
    """Put in order what killed writers left in a folder: files that never came to be, and locks that nobody holds."""
    names = {path.name[1 : -len(_HIDDEN)] for path in folder.glob(f".*{_HIDDEN}")}
    names |= {path.name[1 : -len(_HIDDEN_LOG)] for path in folder.glob(f".*{_HIDDEN_LOG}")}
    names |= {path.stem for path in folder.glob("*.h5.lock")}
    for path in (folder / name for name in sorted(names)):
        if writer_of(path):
            continue
        try:
            lock = WriterLock(path, briefly=True)
        except (SimkitError, OSError):
            continue
        try:
            _adopt_log(path)
            for left in (_hidden(path), Path(log_path(str(_hidden(path))))):
                left.unlink(missing_ok=True)
        except OSError:
            pass
        finally:
            lock.release()


_written: weakref.WeakSet[TransactionalFile] = weakref.WeakSet()


class Store:
    """An HDF5 file open for writing.

    Parameters
    ----------
    base
        What a file that replaces another begins as: a copy of this one.
    pause
        Called now and then while that is copied; what it raises stops it.
    beating
        Whether its lock is one that shows signs of life, as that of a shard.

    Attributes
    ----------
    file
        The h5py file; changes count when `commit` returns.
    is_gone
        Whether it is not at its place any more, as the last commit saw.
    path
        Where it will stand; a new file gets that name with its first commit, as does one that is to
        ``replace`` what stands there.
    """

    def __init__(
        self,
        path: Path,
        *,
        durable: bool = False,
        replace: bool = False,
        base: Path | None = None,
        pause: Callable[[], None] = lambda: None,
        beating: bool = False,
    ) -> None:
        check_replaceable(path)
        self.path = written_name(path)
        self.hidden: Path | None = None
        self.is_gone = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # an error where the folder is a link to nothing
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.lock = WriterLock(self.path, patient=True, beating=beating)
        except OSError as error:
            raise _not_writable(path, error) from None
        try:
            self._open(durable=durable, replace=replace, base=base, pause=pause)
        except Damaged:
            self._give_back()
            raise
        except OSError as error:
            self._give_back()
            raise _not_writable(path, error) from None
        except BaseException:
            self._give_back()
            raise
        self.cost = 0.0

    def _open(self, *, durable: bool, replace: bool, base: Path | None, pause: Callable[[], None]) -> None:
        path = self.path
        self.created = replace or not path.exists() or path.stat().st_size == 0
        if self.created:
            self.hidden = _hidden(path)
        else:
            _adopt_log(path)
        if base is not None:
            LoggedView(str(base)).copy_to(str(self.hidden), pause)
        empty = self.created and base is None
        self.medium = TransactionalFile(
            str(self.hidden or path), create=empty, uncommitted=self.created, durable=durable
        )
        _written.add(self.medium)
        mode, extra = ("w", _CREATION) if empty else ("r+", {})
        self.lock.note_on(self.hidden or path)
        self.file = h5py.File(self.medium, mode, **_OPTIONS, **extra)

    def _give_back(self) -> None:
        """Leave nothing behind of a file that could not be opened."""
        if self.hidden is not None:
            self.hidden.unlink(missing_ok=True)
        self.lock.release()

    def commit(self) -> None:
        """Make everything written so far count.

        Raises
        ------
        StorageFailed
            When the disk is full or broken; what was committed before stays.
        """
        start = time.perf_counter()
        try:
            self.file.flush()
            self.medium.commit()
        except OSError as error:
            raise self._failed(error) from None
        if self.hidden is not None:
            self._show()
        else:
            self.is_gone = not is_at(self.medium.number, str(self.path))
        self.cost = time.perf_counter() - start

    def check(self) -> None:
        """Raise what a write met since the last commit, rather than gather what follows in memory.

        Raises
        ------
        StorageFailed
            When the disk is full or broken.
        """
        if self.medium.failed is not None:
            raise self._failed(self.medium.failed)

    def catch_up(self) -> None:
        """Write to the file what waits in its log for readers to go, if they have gone."""
        try:
            self.medium.apply()
        except OSError as error:
            raise self._failed(error) from None

    def _show(self) -> None:
        assert self.hidden is not None
        os.replace(self.hidden, self.path)
        if self.medium.durable:
            sync_folder(self.path.parent)
        if os.path.exists(log_path(str(self.hidden))):
            os.replace(log_path(str(self.hidden)), log_path(str(self.path)))
        self.medium.path, self.hidden = str(self.path), None

    def _gone(self) -> FileGone:
        """The file is not where it was: see that what is committed can be found."""
        where, there = shown_path(self.path), present_name(self.medium.number)
        if there is not None:
            to = f" to {shown_path(there)}" if there else ""
            return FileGone(
                f"{where} was moved{to} while the runs went on: what is done is in it\n"
                "    move it back, and type the same command again"
            )
        how = "replaced by another file" if self.path.exists() else "removed"
        kept = _next_free(self.path)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            self.medium.copy_to(str(kept))
        except OSError as error:
            return FileGone(f"{where} was {how} while the runs went on, and is gone: {error.strerror}")
        return FileGone(
            f"{where} was {how} while the runs went on: what is done is kept as {shown_path(kept)}\n"
            "    type the same command again to go on with that"
        )

    def _failed(self, error: OSError) -> SimkitError:
        if isinstance(error, Damaged):
            return error
        cure = "" if error.errno == errno.EBADF else _MAKE_ROOM
        return StorageFailed(
            f"{shown_path(self.path)}: could not be written: {error.strerror or error}{cure}"
        )

    def close(self, *, failed: bool = False) -> None:
        """Commit and close; after a failure only close, which leaves the last commit.

        Raises
        ------
        StorageFailed
            As `commit` does.
        FileGone
            When the file was moved, removed or replaced; all is committed, and what has no name gets another one.
        """
        try:
            if failed:
                self.medium.abandon()
                self._close_file()
            else:
                try:
                    self.commit()
                finally:
                    self._close_file()  # HDF5 must not be left open: it would close at exit, without Python
                self.medium.commit(final=True)
                if self.is_gone:
                    raise self._gone()
        except OSError as error:
            raise self._failed(error) from None
        finally:
            self.medium.close(is_ours=not self.lock.is_lost())
            if self.hidden is not None:
                self.hidden.unlink(missing_ok=True)
            self.lock.release()

    def _close_file(self) -> None:
        try:
            self.file.close()
        except (OSError, RuntimeError):
            if self.medium.failed is None:
                raise


def _next_free(path: Path) -> Path:
    """The next trajectory's name, or another one beside a file that has no number."""
    match = re.fullmatch(r"(.+)-(\d+)", path.stem)
    stem, number = (match[1], int(match[2])) if match else (path.stem, 0)
    names = (path.with_name(f"{stem}-{n:03d}{path.suffix}") for n in count(number + 1))
    return next(name for name in names if not name.exists())


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _not_writable(path: Path, error: OSError) -> SimkitError:
    if error.errno in _FULL:
        told = f"{shown_path(path)}: could not be written: {error.strerror}"
        return StorageFailed(f"{told}{_MAKE_ROOM}")
    return SimkitError(
        f"{shown_path(path)}: cannot be written: {error.strerror or error}\n"
        "    make the folder writable, or choose another place with --output FILE.h5"
    )


def open_for_reading(path: Path, *, links: bool = False) -> h5py.File:
    """A recorded file, after replaying what a killed writer had committed.

    Parameters
    ----------
    links
        Whether there may be links to other files: whoever reads looks at each step then.

    Raises
    ------
    SimkitError
        When it is missing or no HDF5 file.
    """
    return open_with_bytes(path, links=links)[0]


def open_with_bytes(path: Path, *, links: bool = False) -> tuple[h5py.File, LoggedView]:
    """A recorded file as `open_for_reading` gives it, and its bytes."""
    _check_is_file(path)
    path = written_name(path)
    if _has_log(path):
        _replay(path)
    with ExitStack() as refused:
        try:
            view = viewed(path)
            refused.callback(view.close)
            file = h5py.File(view, "r")
            refused.callback(file.close)
            if not links:
                check_links(file, path)
        except Damaged:
            raise
        except (OSError, RuntimeError, KeyError) as error:  # as HDF5 and h5py say that it makes no sense
            msg = f"{shown_path(path)}: not a trajectory file: {_reason(error)}"
            raise SimkitError(msg) from None
        refused.pop_all()
    return file, view


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        msg = f"{shown_path(path)} is a folder: give a file"
        raise SimkitError(msg)
    if not path.is_file():
        msg = f"no such file: {shown_path(path)}"
        raise SimkitError(msg)


def viewed(path: Path) -> LoggedView:
    """The bytes of a file as they were last committed, for reading.

    Raises
    ------
    Damaged
        When the file has been cut short, or its log or checksums are damaged.
    SimkitError
        When another program has it locked.
    """
    for attempt in range(50):
        try:
            return LoggedView(str(path), _leave)
        except BlockingIOError:  # a writer is applying a commit this very moment
            time.sleep(0.002 * (attempt + 1))
    msg = f"{shown_path(path)}: another program holds the file locked"
    raise SimkitError(msg)


def repaired(path: Path) -> int:
    """Replay what a killed writer had committed; returns how many commits that were.

    Raises
    ------
    SimkitError
        When there is no such file, it can't be written, or its writer is alive.
    """
    _check_is_file(path)
    path = written_name(path)
    if not _has_log(path):
        viewed(path)  # is it whole?
        return 0
    try:
        lock = WriterLock(path, briefly=True, patient=True)
        try:
            _adopt_log(path)
            return recover(str(path))
        finally:
            lock.release()
    except Damaged:
        raise
    except BlockingIOError:
        holders = ", ".join(readers_of(path)) or "another program"
        msg = f"{shown_path(path)} is being read by {holders}: close it there first"
        raise SimkitError(msg) from None
    except OSError as error:
        raise _not_writable(path, error) from None


def _reason(error: Exception) -> str:
    text = str(error)
    return "it is not an HDF5 file" if "signature not found" in text else text


def _replay(path: Path) -> None:
    """Replay a log that a killed writer left behind, unless somebody else has the file, nothing can be written or it
    is damaged: then it is read through its log.
    """
    try:
        lock = WriterLock(path, briefly=True)
    except (SimkitError, OSError):
        return
    try:
        _adopt_log(path)
        recover(str(path))
    except OSError:
        return
    finally:
        lock.release()


def _leave(path: str) -> None:
    """The last reader brings in what a writer had to leave in the log."""
    _replay(Path(path))


def _is_read(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        with exclusive(fd, patience=0, otherwise=True) as alone:
            return not alone
    finally:
        os.close(fd)


def left_log(path: Path) -> str:
    """What to know of the log beside a file that nobody in this process writes; nothing where there is none.

    Trajectories that are open in this process don't count: they bring it in when they are closed.
    """
    path = written_name(path)
    log = log_path(str(path))
    if not os.path.exists(log) or not path.exists():
        return ""
    holders = readers_of(path)
    if writer := writer_of(path):
        why = f"while {writer} writes it"
    elif holders:
        why = f"while {', '.join(holders)} {'has' if len(holders) == 1 else 'have'} it open"
    elif _is_read(path):
        return ""
    else:
        why = f"until simkit repair {shown_path(path)} has brought it in"
    return (
        f"{shown_path(log)} is a part of it, with runs that are not in the .h5 yet, {why}: keep both together"
    )


# At the process's end

_IN_FILES = h5py.h5f.OBJ_FILE | h5py.h5f.OBJ_GROUP | h5py.h5f.OBJ_DATASET | h5py.h5f.OBJ_ATTR
closed_at_end: weakref.WeakSet[Any] = weakref.WeakSet()  # what is open, and keeps datasets


def _close_left() -> None:
    """Close what something still refers to: HDF5 ends after Python, and would have it give back its files then."""
    for medium in list(_written):
        medium.abandon()
    for one in list(closed_at_end):
        one.close()
    for thing in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, _IN_FILES):
        if thing.valid:  # those of one file are closed together
            file = h5py.h5i.get_file_id(thing)
            if file.get_access_plist().get_driver() == h5py.h5fd.fileobj_driver:
                h5py.File(file).close()


weakref.finalize(Store, _close_left)  # after what closes each of them
