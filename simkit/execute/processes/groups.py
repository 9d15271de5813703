"""Which processes did a worker start, and how do they all end with it?

The process that starts workers leads a session of its own, each worker a process group in it: so Ctrl-C in the
terminal reaches the owner alone, which decides, and programs that a run has started are killed with their worker.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from simkit.inject.lineage import Handler, Lineage

# Ctrl-C reaches every process of the terminal, SIGTERM all of a job, SIGHUP those of a terminal that is gone.
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def ignore_signals(*descriptors: int) -> Lineage:
    """Leave it to the owner when to stop; only as long as the result lives, children do not.

    Parameters
    ----------
    descriptors
        Pipes that no child shall hold open.
    """
    defaults: dict[int, Handler] = {signal.SIGINT: signal.default_int_handler}
    handlers: dict[int, tuple[Handler, Handler]] = {}
    for number in STOPPING:
        if (
            number != getattr(signal, "SIGHUP", None) or signal.getsignal(number) != signal.SIG_IGN
        ):  # by nohup
            # A handler rather than SIG_IGN, which programs that a run starts would inherit.
            signal.signal(number, _ignored)
            handlers[number] = (_ignored, defaults.get(number, signal.SIG_DFL))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    return Lineage(handlers, descriptors)


def _ignored(number: int, frame: FrameType | None) -> None:
    pass


def lead_session() -> None:
    """Leave the session of the terminal, where the system knows such."""
    if hasattr(os, "setsid"):
        with suppress(OSError):
            os.setsid()


def lead_group(last: str = "SIGKILL") -> None:
    """Lead a process group; the end of the process that started this one is a signal to it, where the system can."""
    if hasattr(os, "setpgid"):
        with suppress(OSError):
            os.setpgid(0, 0)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, getattr(signal, last))
