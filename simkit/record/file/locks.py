"""Who writes a file, and who reads it, by whichever of its names?

A file may have several names: symbolic links, hard links, mounts. Its lock ``FILE.lock`` and its log stand beside
one of them, `written_name`. Where the system keeps attributes of files, the writer notes that name on the file
itself, which all of its names share.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import tempfile
import threading
import time
from pathlib import Path

from simkit.errors import BeingWritten, Damaged, SimkitError, StorageFailed, shown_path
from simkit.record.file.system import (
    add_note,
    can_lock,
    identity_of,
    is_same_file,
    note_of,
    remove,
    remove_note,
    try_lock,
)

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0)
_NOTE = "user.simkit.written_as"
_BRIEFLY = " for a moment"  # stands behind a holder that is soon done
_UNKNOWN = "another process"
_PATIENCE = 60.0  # seconds to wait for such a holder
_STEP = 0.02
_HOLDER = r"process (\d+) on (\S+)( .*)?(?:\nborn ?(\d*))?(?:\nstart (\d+))?"
_BEAT = 10.0  # seconds between signs of life
_AT_WORK = 10.0  # seconds after which who was to take a lock file away is gone itself
_STALE = 300.0  # seconds without one after which a process of another machine counts as gone


def written_name(path: str | os.PathLike[str]) -> Path:
    """The name of a file beside which its lock and its log stand; the links to it are resolved."""
    real = Path(os.path.realpath(path))
    try:
        there = os.stat(real)
    except OSError:
        return real
    noted = note_of(real, _NOTE)
    if noted and is_same_file(noted, there):
        return Path(noted)
    if there.st_nlink > 1:
        logs = sorted(real.parent.glob("*.wal")) + sorted(real.parent.glob("*.lock"))
        names = [log.with_suffix("") for log in logs]
        return next((name for name in names if is_same_file(name, there)), real)
    return real


def check_names(path: str, fd: int) -> None:
    """A file without checksums may be being written under another of its names, where nobody finds its log.

    Raises
    ------
    Damaged
        When it has several hard links.
    """
    there = os.fstat(fd)
    if there.st_nlink > 1 and there.st_size:
        raise Damaged(
            f"{shown_path(path)} has {there.st_nlink} names (hard links) and no checksums: it is being written under"
            " another of them, or was changed by another program\n"
            "    write it under the name that it was made with, or make a copy and write that"
        )


class WriterLock:
    """Says that this process writes a file, in ``FILE.lock`` beside it.

    Where the system has ``flock``, that counts, and a lock file that a killed process left behind locks nothing.
    Elsewhere the file itself counts, until the process that it names is gone.

    Parameters
    ----------
    briefly
        It is not held for long: others wait for it.
    patient
        Wait for one that holds it briefly.
    beating
        The holder calls `beat` now and then. Then a holder on another machine counts as alive while it does, though
        this machine could lock the file: some network file systems lock within each machine only. It counts as gone
        when it has not done so for `_STALE` seconds, or when this process is a later start of the same job.

    Attributes
    ----------
    path
        The file, by the name beside which its lock stands.

    Raises
    ------
    SimkitError
        When another process does, with its host and number.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        briefly: bool = False,
        patient: bool = False,
        beating: bool = False,
    ) -> None:
        self.beating, self.beaten = beating, time.monotonic()
        words = _BRIEFLY if briefly else ""
        self.text = f"{_me()}{words}\nborn {_born(os.getpid())}\nstart {_start()}\n"
        began = time.monotonic()
        self.is_plain = False
        while True:
            self.path = written_name(path)
            self.file = Path(f"{self.path}.lock")
            holder = self._take()
            if holder:
                if not patient or time.monotonic() - began >= self._patience(holder):
                    raise self._refused(_first_line(holder).removesuffix(_BRIEFLY))
                time.sleep(_STEP)
            elif self.fd >= 0:
                self._sign()
                self.note_on(self.path)
                if written_name(path) == self.path:
                    return
                self.release()  # somebody else writes it by another name

    def _patience(self, holder: str) -> float:
        """How many seconds to wait for a holder: one that has not said yet who it is has only just begun."""
        if holder == _UNKNOWN and not self.is_plain:
            return _AT_WORK
        return _PATIENCE if _first_line(holder).endswith(_BRIEFLY) else 0.0

    def _take(self) -> str:
        """Try to lock: who holds it instead, or nothing; without either (``fd`` is -1) it has to be tried again."""
        self.fd = -1
        fd, is_mine = self._open()
        if fd < 0:
            return ""
        locked = try_lock(fd)
        if locked and self.beating and not is_mine and _is_elsewhere(_text(fd)):
            holder = _text(fd)
            os.close(fd)
            return "" if self._is_abandoned(holder) else holder
        if is_mine if locked is None else locked and is_same_file(self.file, os.fstat(fd)):
            self.fd, self.identity = fd, identity_of(fd)
            return ""
        holder = _text(fd) or _UNKNOWN
        os.close(fd)
        self.is_plain = locked is None
        is_free = locked or (self.is_plain and self._is_abandoned(holder))
        return "" if is_free else holder

    def _open(self) -> tuple[int, bool]:
        """The lock file, and whether it was made now; -1 where it vanished in between."""
        try:
            return self._made(), True
        except FileExistsError:
            pass
        try:
            return os.open(self.file, _FLAGS), False
        except FileNotFoundError:
            return -1, False

    def _made(self) -> int:
        """A new lock file; where it may count by itself, it says from the first moment on who has made it.

        Raises
        ------
        FileExistsError
            Where there is one.
        """
        if fcntl is not None and (self.beating or not can_lock(self.file.parent)):
            try:
                return self._linked()
            except FileExistsError:
                raise
            except OSError:  # there are no links either, or there is no room
                pass
        return os.open(self.file, _FLAGS | os.O_CREAT | os.O_EXCL, 0o644)

    def _linked(self) -> int:
        """A new lock file that has never been empty, nor is left so by who is killed."""
        self._sweep()
        own = f"{self.file}.{os.getpid()}-{threading.get_ident()}"
        fd = os.open(own, _FLAGS | os.O_CREAT, 0o644)
        try:
            os.write(fd, self.text.encode())
            os.link(own, self.file)
        except OSError:
            os.close(fd)
            raise
        finally:
            remove(own)
        return fd

    def _sweep(self) -> None:
        """Take away what processes that are gone were about to make the lock file of."""
        for other in self.file.parent.glob(f"{glob.escape(self.file.name)}.*-*"):
            process = other.suffix[1:].partition("-")[0]
            try:
                text = other.read_text(errors="replace").strip()
            except OSError:
                continue
            is_cut = not text and _age(other) > _AT_WORK
            if process.isdecimal() and (_is_dead(text) or is_cut):
                remove(str(other))

    def _is_abandoned(self, holder: str) -> bool:
        """Where locks of files don't tell: take away a lock file whose process is gone; whether it was one."""
        if fcntl is None:  # there a file that somebody has open can't be removed
            try:
                self.file.unlink(missing_ok=True)
            except OSError:
                return False
            return True
        if not (_is_dead(holder) or (self.beating and _is_silent(self.file, holder))):
            return False
        guard = Path(f"{self.file}.gone")
        try:
            os.close(os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:  # another one is about to do the same, and must not meet the lock of a third
            time.sleep(_STEP)
            if _age(guard) > _AT_WORK:
                remove(str(guard))
            return True
        try:
            if self.file.read_text(errors="replace").strip() == holder:  # or another process was faster
                os.unlink(self.file)
        except OSError:
            pass  # it has gone
        finally:
            remove(str(guard))
        return True

    def beat(self) -> None:
        """Look whether the lock is still held, and show a sign of life, unless the last one is quite new.

        Raises
        ------
        StorageFailed
            When another process holds it by now, or held it, as this one has shown none for too long.
        """
        if self.is_lost():
            raise StorageFailed(
                f"{shown_path(self.path)} is being written by {writer_of(self.path) or _UNKNOWN} by now: this"
                f" one showed no sign of life for {_STALE:.0f} s, or its job was started again\n"
                "    what was committed is kept; type the same command again"
            )
        if time.monotonic() - self.beaten <= _BEAT:
            return
        self.beaten = time.monotonic()
        try:
            os.utime(self.fd if os.utime in os.supports_fd else self.file)
        except OSError:
            pass  # the lock holds all the same

    def is_lost(self) -> bool:
        """Whether another process took the lock, as this one showed no sign of life; it may have ended since."""
        try:
            return self.beating and not os.path.samestat(os.stat(self.file), os.fstat(self.fd))
        except FileNotFoundError:
            return self.beating
        except OSError:  # the file system does not answer
            return False

    def _sign(self) -> None:
        try:
            os.lseek(self.fd, 0, os.SEEK_SET)
            os.ftruncate(self.fd, os.write(self.fd, self.text.encode()))
        except OSError:
            pass  # no room to say who: the lock holds all the same

    def note_on(self, file: Path) -> None:
        """Let the file be found to be written under this name, by whatever name it is looked up."""
        if not add_note(
            file, _NOTE, str(self.path)
        ):  # there is one: of another writer, or of a file that was moved
            there = os.stat(file)
            if not is_same_file(note_of(file, _NOTE), there):
                remove_note(file, _NOTE)
                add_note(file, _NOTE, str(self.path))

    def _refused(self, holder: str) -> SimkitError:
        cure = "wait until it is done, or use another file"
        shown = shown_path(self.path)
        if holder == _me():
            holder, cure = f"{holder} (this one)", f"close it there first, as with traj.close(), {cure}"
        elif self.is_plain:
            cure = f"{cure}; if that process is gone, remove {shown}.lock"
        return BeingWritten(f"{shown} is being written by {holder}: {cure}")

    def release(self) -> None:
        """Let others write; removing comes first, so that nobody locks a file about to vanish."""
        if identity_of(self.fd) != self.identity:  # a run closed it, and somebody else may have it
            return
        if not os.path.exists(f"{self.path}.wal") and note_of(self.path, _NOTE) == str(self.path):
            remove_note(self.path, _NOTE)
        is_mine = is_same_file(self.file, os.fstat(self.fd))  # unless it was taken away by hand
        if fcntl is not None and is_mine:
            remove(str(self.file))
        os.close(self.fd)
        if fcntl is None and is_mine:
            remove(str(self.file))


def _text(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, 200).decode(errors="replace").strip()


def _first_line(holder: str) -> str:
    """Who holds a lock, without what tells that process from a later one of its number."""
    return holder.partition("\n")[0]


def _born(process: int) -> str:
    """When a process began, in the system's own count, which no clock changes; nothing where Linux does not tell."""
    try:
        return Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _age(file: Path) -> float:
    """Seconds since a file was written or touched; 0 where there is none."""
    try:
        return _clock(file.parent) - file.stat().st_mtime
    except OSError:
        return 0.0


def _clock(folder: Path) -> float:
    """The time by which the files of a folder are stamped: a server's clock may differ from this machine's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if os.utime in os.supports_fd:
                os.utime(file.fileno())
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def _me() -> str:
    return f"process {os.getpid()} on {platform.node()}{_job()}"


# Of the schedulers Slurm, SGE, LSF and PBS: the job and the task of an array, or the job alone.
_JOBS = (
    ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    ("SLURM_JOB_ID",),
    ("JOB_ID", "SGE_TASK_ID"),
    ("JOB_ID",),
    ("LSB_JOBID", "LSB_JOBINDEX"),
    ("PBS_JOBID",),
)
_STARTS = ("SLURM_RESTART_COUNT", "RESTARTED")  # Slurm's and SGE's


def _job() -> str:
    """The job of a cluster's scheduler that this process is part of, as people know it there."""
    for names in _JOBS:
        parts = [os.environ.get(name, "") for name in names]
        if all(part and part.isprintable() and part != "undefined" for part in parts):
            return f" (job {'_'.join(parts)})"
    return ""


def _start() -> int:
    """How often the scheduler has started this job again."""
    counts = [os.environ.get(name, "") for name in _STARTS]
    return next((int(count) for count in counts if count.isdecimal()), 0)


def _is_elsewhere(holder: str) -> bool:
    """Whether a holder is a process of another machine."""
    match = re.fullmatch(_HOLDER, holder)
    return match is not None and match[2] != platform.node()


def _is_former(holder: str) -> bool:
    """Whether a holder was this job, before the scheduler started it again: that ends it first."""
    match = re.fullmatch(_HOLDER, holder)
    return match is not None and match[3] == _job() != "" and int(match[5] or 0) < _start()


def _is_silent(file: Path, holder: str) -> bool:
    """Whether the holder of a lock file that is to beat is a process of another machine that is gone."""
    return _is_elsewhere(holder) and (_is_former(holder) or _age(file) >= _STALE)


def writer_of(path: str | os.PathLike[str], *, beating: bool = False) -> str:
    """Who writes a file now, as ``process 12 on host``; empty where nobody does. No lock is taken for it.

    A process on another machine counts as alive while its ``FILE.lock`` stands, or with ``beating`` while that shows
    signs of life.
    """
    file = Path(f"{written_name(path)}.lock")
    try:
        holder = file.read_text(errors="replace").strip()
    except OSError:
        return ""
    if _is_dead(holder) or (beating and _is_silent(file, holder)):
        return ""
    return _first_line(holder).removesuffix(_BRIEFLY)


def _is_dead(holder: str) -> bool:
    """Whether a holder was a process of this machine that is gone."""
    match = re.fullmatch(_HOLDER, holder)
    if match is None or match[2] != platform.node():
        return False
    born = match[4] and _born(int(match[1]))  # the number may be another process's by now
    return bool(born and born != match[4]) or not _is_alive(int(match[1]))


def _is_alive(process: int) -> bool:
    if fcntl is None:  # where `os.kill` would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def readers_of(path: str | os.PathLike[str]) -> list[str]:
    """The other processes that hold a file as readers do, as ``process 12 (python notebook.py)``, where Linux tells."""
    try:
        number = os.stat(path).st_ino
        table = Path("/proc/locks").read_text()
    except OSError:
        return []
    held = [line.split() for line in table.splitlines()]
    readers = {
        int(fields[4])
        for fields in held
        if fields[1:2] == ["FLOCK"] and fields[3] == "READ" and fields[5].endswith(f":{number}")
    }
    return [_process(reader) for reader in sorted(readers - {os.getpid()})]


def _process(number: int) -> str:
    if number <= 0:
        return "a process of another container"
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    command = " ".join([os.path.basename(words[0]), *words[1:]]).strip()[:60] if words else ""
    return f"process {number} ({command})" if command.isprintable() and command else f"process {number}"
