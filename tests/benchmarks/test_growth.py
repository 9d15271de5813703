"""Twice as much of something costs twice as much: no cost grows with the square."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLD = 2.8  # from 2n to 4n as much more as from n to 2n: 2 where it is proportional, 4 where it grows with the square
SMALL = (100_000, 2_000_000)  # calls and bytes: commits come by the clock, files grow by blocks


KINDS = (
    "results",
    "read_results",
    "axes",
    "failures",
    "files",
    "providers",
    "variants",
    "read_variants",
    "sessions",
    "read_sessions",
    "checkpoints",
    "experiments",
    "notes",
    "remarks",
    "shards",
)


def counts(*kind: str) -> list[list[int]]:
    """Calls and bytes for n, 2n and 4n, in a process of its own, which coverage does not trace."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "growth.py", *kind],
        check=False,
        cwd=Path(__file__).parent,
        env={**environment, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def is_square(few: int, more: int, most: int, small: int) -> bool:
    """Whether something grows faster than it is asked for."""
    return most - more > max(FOLD * max(more - few, 0), small)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_much_costs_twice_as_much(kind):
    counted = counts(kind)
    for what, numbers, small in zip(("calls", "bytes"), zip(*counted, strict=True), SMALL, strict=True):
        assert not is_square(*numbers, small), (what, counted)


def test_every_kind_is_counted():
    assert sorted(counts()) == sorted(KINDS)


def test_a_square_is_noticed():
    calls, transferred = zip(*counts("squared"), strict=True)
    assert is_square(*calls, SMALL[0])
    assert is_square(*transferred, SMALL[1])
