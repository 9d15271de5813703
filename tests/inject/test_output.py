"""Which run has printed what, where runs are so short that the system is not asked after each."""

from __future__ import annotations

import os
import re

import simkit

LOUD = {1000: b"first", 1500: b"again", 1501: b"and again"}  # what code in C does


def loud(i: int) -> int:
    if i in LOUD:
        os.write(1, LOUD[i])
    if i in (700, 1200):
        print("printed", i)
    return i


def test_what_short_runs_write_stands_at_the_run_or_says_which_it_may_have_been(tmp_path):
    traj = simkit.run(loud, simkit.explore(i=range(2000)), workers=1, output=tmp_path / "loud.h5")
    logs = {run: traj.log(run) for run in range(2000) if traj.log(run)}
    exact = {700: "printed 700\n", 1200: "printed 1200\n", 1500: "again", 1501: "and again"}
    assert {run: logs.pop(run) for run in exact} == exact
    ((last, text),) = logs.items()
    match = re.fullmatch(r"(?:\(written by one of the runs (\d+) to (\d+)\)\n)?first", text)
    assert match is not None
    if match[1]:
        assert int(match[1]) <= 1000 <= int(match[2]) == last
    else:
        assert last == 1000
