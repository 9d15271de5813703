"""One HDF5 file, open for one writer at a time; what is committed is safe."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from simkit.errors import Damaged, SimkitError, StorageFailed, shown_path
from simkit.record.file.log import LoggedView, log_path, recover
from simkit.record.file.system import is_unread, sync_folder
from simkit.record.file.transaction import TransactionalFile
from simkit.record.inspection import check_links

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


_MAKE_ROOM = (
    "\n    every run that was reported done is in the file; make room and type the same command again"
)
_OPTIONS: dict[str, Any] = {"libver": ("v110", "v110")}
_CREATION: dict[str, Any] = {"track_order": True, "fs_strategy": "fsm", "fs_persist": True}


class WriterLock:
    """Says that this process writes a file, in ``FILE.lock`` beside it.

    Raises
    ------
    SimkitError
        When another process does, with its host and number.
    """

    def __init__(self, path: Path) -> None:
        self.file = Path(f"{path}.lock")
        while True:
            self.fd = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
            if not self._locked():
                holder = os.read(self.fd, 200).decode(errors="replace").strip() or "another process"
                os.close(self.fd)
                raise _locked(path, holder)
            if self._is_current():
                break
            os.close(self.fd)  # its last holder removed it in between
        try:
            os.truncate(self.file, 0)
            os.write(self.fd, f"{_me()}\n".encode())
        except OSError:
            pass  # no room to say who: the lock holds all the same

    def _locked(self) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True

    def _is_current(self) -> bool:
        try:
            there = os.stat(self.file)
        except FileNotFoundError:
            return False
        return fcntl is None or there.st_ino == os.fstat(self.fd).st_ino

    def release(self) -> None:
        """Let others write; removing comes first, so that nobody locks a file about to vanish."""
        if fcntl is not None:
            self.file.unlink(missing_ok=True)
        os.close(self.fd)
        if fcntl is None:
            self.file.unlink(missing_ok=True)


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _locked(path: Path, holder: str) -> SimkitError:
    cure = "wait until it is done, or use another file"
    if holder == _me():
        holder, cure = f"{holder} (this one)", f"close it there first, as with traj.close(), {cure}"
    return SimkitError(f"{shown_path(path)} is being written by {holder}: {cure}")


def writer_of(path: Path) -> str:
    """Who writes a file now, as ``process 12 on host``; empty where nobody does. No lock is taken for it.

    A process on another machine counts as alive while its ``FILE.lock`` stands.
    """
    try:
        holder = Path(f"{path}.lock").read_text(errors="replace").strip()
    except OSError:
        return ""
    match = re.fullmatch(r"process (\d+) on (.+)", holder)
    is_dead = match is not None and match[2] == socket.gethostname() and not _is_alive(int(match[1]))
    return "" if is_dead else holder


def _is_alive(process: int) -> bool:
    if fcntl is None:  # where `os.kill` would end it; and there a lock file that is held can't be removed
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Store:
    """An HDF5 file open for writing.

    Parameters
    ----------
    base
        What a file that replaces another begins as: a copy of this one.
    pause
        Called now and then while that is copied; what it raises stops it.

    Attributes
    ----------
    file
        The h5py file; changes count when `commit` returns.
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
    ) -> None:
        self.path = path
        self.hidden: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.lock = WriterLock(path)
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
            self.hidden = path.with_name(f".{path.name}.new")
        if base is not None:
            LoggedView(str(base)).copy_to(str(self.hidden), pause)
        empty = self.created and base is None
        self.medium = TransactionalFile(
            str(self.hidden or path), create=empty, uncommitted=self.created, durable=durable
        )
        mode, extra = ("w", _CREATION) if empty else ("r+", {})
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

    def _failed(self, error: OSError) -> SimkitError:
        if isinstance(error, Damaged):
            return error
        return StorageFailed(
            f"{shown_path(self.path)}: could not be written: {error.strerror or error}{_MAKE_ROOM}"
        )

    def close(self, *, failed: bool = False) -> None:
        """Commit and close; after a failure only close, which leaves the last commit."""
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
        except OSError as error:
            raise self._failed(error) from None
        finally:
            self.medium.close()
            if self.hidden is not None:
                self.hidden.unlink(missing_ok=True)
            self.lock.release()

    def _close_file(self) -> None:
        try:
            self.file.close()
        except (OSError, RuntimeError):
            if self.medium.failed is None:
                raise


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _not_writable(path: Path, error: OSError) -> SimkitError:
    if error.errno in _FULL:
        told = f"{shown_path(path)}: could not be written: {error.strerror}"
        return StorageFailed(f"{told}{_MAKE_ROOM}")
    return SimkitError(
        f"{shown_path(path)}: cannot be written: {error.strerror or error}\n"
        "    make the folder writable, or choose another place with --output FILE.h5"
    )


def open_for_reading(path: Path) -> h5py.File:
    """A recorded file, after replaying what a killed writer had committed.

    Raises
    ------
    SimkitError
        When it is missing or no HDF5 file.
    """
    if not path.is_file():
        msg = f"no such file: {path}"
        raise SimkitError(msg)
    if os.path.exists(log_path(str(path))):
        _replay(path)
    for attempt in range(50):
        try:
            file = h5py.File(LoggedView(str(path)), "r")
            check_links(file, path)
            return file
        except BlockingIOError:  # a writer is applying a commit this very moment
            time.sleep(0.002 * (attempt + 1))
        except Damaged:
            raise
        except OSError as error:
            msg = f"{shown_path(path)}: not a trajectory file: {_reason(error)}"
            raise SimkitError(msg) from None
    msg = f"{shown_path(path)}: another program holds the file locked"
    raise SimkitError(msg)


def repaired(path: Path) -> int:
    """Replay what a killed writer had committed; returns how many commits that were.

    Raises
    ------
    SimkitError
        When there is no such file, it can't be written, or its writer is alive.
    """
    if not path.is_file():
        msg = f"no such file: {path}"
        raise SimkitError(msg)
    if not os.path.exists(log_path(str(path))):
        return 0
    try:
        lock = WriterLock(path)
        try:
            with path.open("r+b") as file:
                if not is_unread(file.fileno()):
                    msg = f"{shown_path(path)}: another program is reading it: close that first"
                    raise SimkitError(msg)
                return recover(str(path))
        finally:
            lock.release()
    except Damaged:
        raise
    except OSError as error:
        raise _not_writable(path, error) from None


def _reason(error: OSError) -> str:
    text = str(error)
    return "it is not an HDF5 file" if "signature not found" in text else text


def _replay(path: Path) -> None:
    """Replay a log that a killed writer left behind, unless somebody else has the file or nothing can be written:
    then it is read through its log.
    """
    try:
        lock = WriterLock(path)
    except (SimkitError, OSError):
        return
    try:
        with path.open("r+b") as file:
            if is_unread(file.fileno()):
                recover(str(path))
    except Damaged:
        raise
    except OSError:
        return
    finally:
        lock.release()
