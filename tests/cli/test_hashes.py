"""The process of the command begins anew with fixed hashes, at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import simkit

ROOT = Path(simkit.__file__).parent.parent


def test_little_is_imported_before_the_process_begins_anew_with_fixed_hashes():
    code = "import sys, simkit.cli.hashes; print(*sorted(n for n in sys.modules if n[:6] in ('simkit', 'typing')))"
    done = subprocess.run([sys.executable, "-Sc", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["simkit", "simkit._version", "simkit.cli", "simkit.cli.hashes"]
