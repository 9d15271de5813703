"""``python -m simkit``: the command, where no console script is on the path."""

import sys

from simkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
