"""A failed run's traceback, from the user's first frame on."""

from __future__ import annotations

import contextlib
import traceback
from itertools import dropwhile

from simkit.errors import is_ours

_SCAFFOLD = (contextlib.__file__,)  # what stands between simkit and a fixture's teardown


def user_traceback(error: BaseException) -> str:
    """The formatted traceback without simkit's own frames."""
    report = traceback.TracebackException.from_exception(error)
    inner: traceback.TracebackException | None = report
    while inner is not None:
        frames = dropwhile(lambda frame: frame.filename in _SCAFFOLD or is_ours(frame.filename), inner.stack)
        inner.stack = traceback.StackSummary.from_list([f for f in frames if not is_ours(f.filename)])
        inner = inner.__cause__ or inner.__context__
    return "".join(report.format()).rstrip()


def first_user_frame(error: BaseException) -> BaseException:
    """The same error with simkit's frames cut off the top, for a debugger."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return error.with_traceback(trace)
