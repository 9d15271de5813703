"""Positioned reads and writes, and locks, as the operating system has them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows: readers there can't be held off, and open between two applies
    fcntl = None  # type: ignore[assignment]


READ_WRITE = os.O_RDWR | getattr(os, "O_BINARY", 0)
PATIENCE = 1.0  # seconds to wait for readers at the end


@contextmanager
def exclusive(fd: int, *, patience: float, otherwise: bool) -> Iterator[bool]:
    """HDF5's readers hold a shared lock on the file; yields whether none does.

    Parameters
    ----------
    patience
        Seconds to wait for readers to go.
    otherwise
        What is yielded where nobody can know, since there are no locks.
    """
    deadline = time.monotonic() + patience
    while (locked := try_lock(fd)) is False and time.monotonic() < deadline:
        time.sleep(0.002)  # who reads again and again leaves short gaps
    if not locked:
        yield otherwise if locked is None else False
        return
    try:
        yield True
    finally:
        unlock(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool | None:
    """Lock a file, alone or as a reader: False where others have it, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where HDF5's readers have none either
        return None
    return True


def can_lock(folder: str | os.PathLike[str]) -> bool:
    """Whether there are locks where a folder lies; also where nobody can tell."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        return try_lock(fd, shared=True) is not None
    finally:
        os.close(fd)


def unlock(fd: int) -> None:
    """Give a lock back, where there are locks."""
    try:
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError:
        pass


def share(fd: int) -> bool:
    """Hold a reader's lock until the file is closed; whether there are locks.

    Raises
    ------
    BlockingIOError
        While a writer is applying a commit.
    """
    locked = try_lock(fd, shared=True)
    if locked is False:
        raise BlockingIOError(errno.EAGAIN, "a writer is applying a commit")
    return locked is not None


def is_same_file(path: str | os.PathLike[str], there: os.stat_result) -> bool:
    """Whether a name is one of the file's that this was found of."""
    try:
        return os.path.samestat(os.stat(path), there)
    except OSError:
        return False


def note_of(path: str | os.PathLike[str], name: str) -> str:
    """What is noted on a file under an attribute's name; nothing where there is none."""
    try:
        return os.fsdecode(os.getxattr(path, name)) if hasattr(os, "getxattr") else ""
    except OSError:
        return ""


def add_note(path: str | os.PathLike[str], name: str, text: str) -> bool:
    """Note something on a file, where the system keeps attributes of files; False where there is one already."""
    try:
        if hasattr(os, "setxattr"):
            os.setxattr(path, name, os.fsencode(text), os.XATTR_CREATE)
    except FileExistsError:
        return False
    except OSError:  # a file system without attributes, or a file of somebody else's
        pass
    return True


def remove_note(path: str | os.PathLike[str], name: str) -> None:
    """Remove what is noted on a file, if anything is."""
    try:
        if hasattr(os, "removexattr"):
            os.removexattr(path, name)
    except OSError:
        pass


def read_at(fd: int, view: memoryview, offset: int) -> int:
    """Fill a buffer from an offset; how many bytes were there. One call gives at most 2 GB, and may give less."""
    done = 0
    while done < len(view):
        rest = view[done:]
        if hasattr(os, "preadv"):
            count = os.preadv(fd, [rest], offset + done)
        else:
            os.lseek(fd, offset + done, os.SEEK_SET)
            data = os.read(fd, len(rest))
            count = len(data)
            rest[:count] = data
        if not count:
            break
        done += count
    return done


def read_parts(fd: int, views: Sequence[memoryview], offset: int) -> bool:
    """Fill buffers with what follows one upon the other from an offset; False where that takes several calls."""
    return hasattr(os, "preadv") and os.preadv(fd, views, offset) == sum(map(len, views))


def copy_at(source: int, target: int, offset: int, count: int) -> int:
    """Copy bytes from one file to the same offset of another; how many were there."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, count, offset, offset)
        except OSError:  # not between these file systems; what else is wrong shows below
            pass
    buffer = memoryview(bytearray(min(count, 1 << 20)))
    got = read_at(source, buffer, offset)
    write_at(target, buffer[:got], offset)
    return got


def write_at(fd: int, view: memoryview, offset: int) -> None:
    """Write all of a buffer at an offset."""
    while len(view):
        if hasattr(os, "pwrite"):
            written = os.pwrite(fd, view, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            written = os.write(fd, view)
        view, offset = view[written:], offset + written


def sync(fd: int) -> None:
    """Wait until the disk has it."""
    getattr(os, "fdatasync", os.fsync)(fd)


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sync_folder(folder: os.PathLike[str]) -> None:
    """Wait until the disk has a folder's names, where a folder can be waited for."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Owned:
    """The files that this process opened for itself; a run may close them, and their numbers be another file's."""

    def __init__(self) -> None:
        self.identities: dict[int, tuple[int, int]] = {}

    def add(self, fd: int) -> int:
        """Remember which file a descriptor is of."""
        self.identities[fd] = identity_of(fd)
        return fd

    def are_open(self) -> bool:
        """Whether all descriptors are those of the files that were opened."""
        return all(identity_of(fd) == identity for fd, identity in self.identities.items())

    def again(self, fd: int, path: str) -> int:
        """A file that was closed, opened once more for what has to be read of it; the others are left alone."""
        identity = self.identities[fd]
        self.identities.clear()
        try:
            new = os.open(path, READ_WRITE)
        except OSError:  # it has gone from its place
            return -1
        if identity_of(new) == identity:
            self.identities[new] = identity
            return new
        os.close(new)
        return -1

    def close(self, *fds: int) -> None:
        """Close these, or all, but those that were closed already."""
        for fd in fds or tuple(self.identities):
            identity = self.identities.pop(fd)
            if identity_of(fd) == identity:
                os.close(fd)


def closed_by_run() -> OSError:
    """What is said when runs have closed a file of ours."""
    cure = "let runs be processes of their own: -n 1, or more of them"
    return OSError(errno.EBADF, f"a run closed it, as os.closerange() does\n    {cure}")


def identity_of(fd: int) -> tuple[int, int]:
    """What tells an open file from others; nothing that is equal to one where it is not open."""
    try:
        there = os.fstat(fd)
    except OSError:
        return (-1, -1)
    return there.st_dev, there.st_ino


def is_at(fd: int, path: str) -> bool:
    """Whether a path still leads to an open file. Some network file systems number files anew now and then."""
    mine = os.fstat(fd)
    try:
        there = os.stat(path)
    except OSError:
        return False
    same = (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
    return same or (mine.st_size, mine.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def present_name(fd: int) -> str | None:
    """What an open file is called now: empty where that can't be told, None where it has no name any more."""
    if not os.fstat(fd).st_nlink:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""
