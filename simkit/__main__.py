"""``simkit`` and ``python -m simkit``: the command."""

import os
import sys

from simkit.cli.hashes import fix_hashes


def start() -> int:
    """Run the command; its exit code."""
    fix_hashes()
    from simkit.cli.main import main  # what it needs is imported once the process is the last one

    file = os.environ.pop("SIMKIT_EXIT_CODE", "")  # of a launcher that loses exit codes, and signals
    if not file:
        return main()
    from simkit.execute.launched import leave_code, leave_process

    leave_process(file)
    code = main()
    leave_code(file, code)
    return code


if __name__ == "__main__":
    launcher = os.getppid()
    code = start()
    if not getattr(sys.modules.get("scoop"), "IS_RUNNING", False):  # it shows each exit as an error
        sys.exit(code)
    if os.getppid() != launcher:  # and would wait for ever for what has ended with its launcher
        sys.stdout.flush()
        os._exit(code)
