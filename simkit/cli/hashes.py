"""How is the order of a set of texts the same in every session? Python begins with a fixed ``PYTHONHASHSEED``.

Nothing else is imported here: it would be imported twice.
"""

import os
import sys

_LAUNCHERS = {"mpi4py.futures", "scoop.bootstrap", "scoop.bootstrap.__main__"}


def fix_hashes() -> None:
    """Begin this process anew where its hashes are not fixed.

    They can be fixed only when an interpreter starts. Not on Windows, where the shell would not wait for it, nor in a
    process of an MPI job.
    """
    is_fixed = os.environ.get("PYTHONHASHSEED", "random") != "random"
    is_asked = {"-h", "--help", "--version"} & set(sys.argv[1:])
    if is_fixed or is_asked or sys.platform == "win32" or _LAUNCHERS & {*sys.orig_argv[:4]}:
        return
    words = [sys.executable, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, words, {**os.environ, "PYTHONHASHSEED": "0"})
    except OSError:  # it is recorded with the session's environment that it is not fixed
        return
