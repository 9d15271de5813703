"""``python -m simkit``: the command, where no console script is on the path."""

import sys

from simkit.cli.main import main

if __name__ == "__main__":
    code = main()
    if not getattr(sys.modules.get("scoop"), "IS_RUNNING", False):  # it shows each exit as an error
        sys.exit(code)
