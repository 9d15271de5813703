"""``simkit`` and ``python -m simkit``: the command."""

import sys

from simkit.cli.hashes import fix_hashes


def start() -> int:
    """Run the command; its exit code."""
    fix_hashes()
    from simkit.cli.main import main  # what it needs is imported once the process is the last one

    return main()


if __name__ == "__main__":
    code = start()
    if not getattr(sys.modules.get("scoop"), "IS_RUNNING", False):  # it shows each exit as an error
        sys.exit(code)
