"""What a run holds, as a number: the same wherever and whenever it was computed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

import simkit
from simkit.record.recorded import Recorded
from simkit.record.upstream import digest_of_all, run_digests


def gives(x, late=0, offset=0):
    kinds = [x, float(x), str(x), np.arange(x), None, [x, {"a": x}], pd.DataFrame({"a": [x]}), x * 1j]
    more = {"only": "ü"} if x > 5 else {}
    return {"value": kinds[x % 8], "word": f"é{x}", "sum": x + offset, **more}


def digests(trajectory, runs=None):
    with_all = Recorded.open(trajectory.path, trajectory.name)
    try:
        return run_digests(with_all, np.arange(len(with_all)) if runs is None else np.array(runs)).tolist()
    finally:
        with_all.close()


def test_equal_runs_have_equal_numbers_in_any_file_order_and_number(record):
    space = simkit.explore(x=range(12))
    whole = digests(record(gives, space))
    assert len(set(whole)) == 12
    assert digests(record(gives, space, seed=5)) == whole
    assert digests(record(gives, space.take([7, 0, 3]))) == [whole[7], whole[0], whole[3]]
    assert digests(record(gives, space), [4, 2]) == [whole[4], whole[2]]
    assert digests(record(gives, space, workers=2)) == whole


def test_a_change_of_any_value_or_constant_changes_the_number(record):
    space = simkit.explore(x=range(8))
    whole = digests(record(gives, space))
    assert not set(digests(record(gives, space, set={"offset": 1}))) & set(whole)
    assert not set(digests(record(gives, space, set={"late": 1}))) & set(whole)


def test_numbers_do_not_depend_on_the_process(record):
    traj = record(gives, simkit.explore(x=range(8)))
    code = (
        "import sys, numpy as np; from pathlib import Path; from simkit.record.recorded import Recorded; "
        "from simkit.record.upstream import run_digests; "
        "print(run_digests(Recorded.open(Path(sys.argv[1])), np.arange(8)).tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(traj.path)], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "12345"},
    )  # fmt: skip
    assert out.stdout.strip() == str(digests(traj))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=6), st.data())
def test_a_group_is_told_by_all_its_runs_and_their_order(numbers, data):
    array = np.array(numbers, "u8")
    assert digest_of_all(array) == digest_of_all(array.copy())
    other = data.draw(st.permutations(numbers))
    assert (digest_of_all(np.array(other, "u8")) == digest_of_all(array)) == (list(other) == numbers)
