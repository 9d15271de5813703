"""How much memory do commands take beyond what a process has that ran them before upon something small?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SCRIPT = """
import json, sys
from pathlib import Path
from simkit.cli.main import main

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10

small, big = json.load(sys.stdin)
for words in small:
    main(words)
before = peak()
codes = [main(words) for words in big]
print(json.dumps([codes, peak() - before]))
"""


def growth(
    small: Sequence[Sequence[str]], big: Sequence[Sequence[str]], folder: Path
) -> tuple[list[int], int, str]:
    """The exit codes of commands, the bytes that they took beyond those that came first, and what they said."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([small, big]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    codes, taken = json.loads(done.stdout.splitlines()[-1])
    return codes, taken, done.stdout + done.stderr
