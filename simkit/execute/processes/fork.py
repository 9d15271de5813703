"""How does a process begin and end quickly that is forked from one in which everything is ready?

A fork copies a table of all pages of memory, and each page that is written to afterwards: that is nearly all that a
process for one run costs. Here neither is done that can be spared.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import wait

_PAGE = 2 << 20  # bytes of a large page
_COLLAPSE = 25  # MADV_COLLAPSE


class Fork:
    """A child of this process; it has what `multiprocessing.Process` has, as far as the nursery asks for it.

    Parameters
    ----------
    target
        What the child does before it ends.
    """

    def __init__(self, target: Callable[[], object]) -> None:
        self.exitcode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _be_child(target)
        self.sentinel = os.pidfd_open(self.pid)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, at most so many seconds."""
        if self.exitcode is not None:
            return
        if timeout is not None and not wait([self.sentinel], timeout):
            return
        self.exitcode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.sentinel)

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        self.join(0.0)
        return self.exitcode is None


def _be_child(target: Callable[[], object]) -> None:
    code = 1
    try:
        target()
        for thread in threading.enumerate():  # a run may have left some, which Python would wait for
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's may go on here
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):  # whatever a run put there: nothing goes on here
                stream.flush()
        os._exit(code)  # the memory of a process that ends needs no tidying


def can_fork() -> bool:
    """Whether this system has what a `Fork` needs."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def be_ready() -> None:
    """Everything is there that the children need: none of it shall be copied for them."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):
        _gather()


def _gather() -> None:
    """Let this process's memory lie in large pages, where the system can: their table is 500 times as short.

    A fork of a process that has loaded Brian2 takes 20 ms otherwise.
    """
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for first, end in list(_memory()):
        for start in range(-(-first // _PAGE) * _PAGE, end // _PAGE * _PAGE, _PAGE):
            advise(start, _PAGE, _COLLAPSE)


def _memory() -> Iterator[tuple[int, int]]:
    """Where the memory lies that belongs to no file."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            place, rights, _, _, _, *name = line.split(maxsplit=5)
            if rights.startswith("rw") and (not name or name[0].strip() == "[heap]"):
                first, end = place.split("-")
                yield int(first, 16), int(end, 16)
