"""The benchmark measures, checks what was recorded, and tells it; how long anything takes is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")  # Windows has none, and the benchmark looks at it for CPU time
HERE = Path(__file__).parent


def rows(n, seconds):
    taken = {"seconds": seconds, "cpu": seconds, "peak": 10**7}
    return [{"run": taken, "load": taken, "one": taken, "bytes": 8 * n, "files": 1}]


def test_a_point_is_measured_once_and_what_was_recorded_is_compared(tmp_path):
    results = tmp_path / "results.jsonl"
    command = [
        sys.executable,
        HERE / "figure5.py",
        "run",
        "--repeat",
        "1",
        "--most",
        "10",
        "--only",
        "plain loop",
    ]
    command += ["--workloads", "red", "--folder", tmp_path, "--results", results]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True)
    (row,) = map(json.loads, results.read_text("utf-8").splitlines())
    assert "error" not in row
    assert (row["system"], row["workload"], row["n"], row["files"]) == ("plain loop", "red", 10, 1)
    assert row["bytes"] > 80


def test_values_that_are_wrong_are_no_result(tmp_path):
    point = {
        "module": "on_loop",
        "form": "",
        "workload": "red",
        "n": 10,
        "folder": str(tmp_path),
        "phase": "load",
    }
    code = "import numpy; numpy.save('all.npy', numpy.arange(10))"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, HERE / "point.py", json.dumps(point)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "wrong values" in done.stderr


def test_a_table_tells_slope_and_exponent(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    from report import cost, table

    linear = {n: rows(n, 0.5 + 2e-6 * n) for n in (10, 10**3, 10**6, 10**7)}
    slope, exponent = cost(linear)
    assert abs(slope - 2e-6) < 1e-12
    assert abs(exponent - 1) < 1e-3
    assert "| loop | 10,000,000 | 20.5 | 2 | 1 |" in table({"loop": linear})
