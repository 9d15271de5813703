"""A failed run's traceback, from the user's first frame on."""

from __future__ import annotations

import traceback

from simkit.errors import is_ours


def user_traceback(error: BaseException) -> str:
    """The formatted traceback without simkit's own frames."""
    report = traceback.TracebackException.from_exception(error)
    inner: traceback.TracebackException | None = report
    while inner is not None:
        kept = [frame for frame in inner.stack if not is_ours(frame.filename)]
        inner.stack = traceback.StackSummary.from_list(kept)
        inner = inner.__cause__ or inner.__context__
    return "".join(report.format()).rstrip()


def first_user_frame(error: BaseException) -> BaseException:
    """The same error with simkit's frames cut off the top, for a debugger."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return error.with_traceback(trace)
