"""Runs in portions, in the owner and in workers."""

from __future__ import annotations

import numpy as np
from faulty import FAULTS, SLOWING


def test_without_workers_only_exceptions_are_survived_but_all_of_them(project):
    source = FAULTS
    for i in (37, 60, 90, 120):
        source = source.replace(f"i == {i}:", "False:")
    project.file("sim_faulty.py", source)
    result = project.simkit("-n", "0")
    assert result.code == 1, result.err
    traj = project.open("faulty-001")
    status = {i: word for i, word in enumerate(traj.status.tolist()) if word != "done"}
    assert status == {20: "failed", 150: "failed", 170: "failed"}
    assert "Odd: strange" in traj.error(170)


def test_innocent_neighbours_draw_what_they_draw_without_a_fault(project):
    project.file("sim_faulty.py", FAULTS)
    project.simkit("--seed", "6", "-n", "2")
    project.file("sim_faulty.py", FAULTS.replace("    fault(i)\n", ""))
    project.ok("--seed", "6", "-n", "0")
    faulty, sound = project.open("faulty-001"), project.open("faulty-002")
    kept = faulty.status == "done"
    assert kept.sum() == 193
    assert np.array_equal(faulty["draw"][kept], sound["draw"][kept])


def test_runs_that_become_slow_in_a_batch_are_shared_with_the_other_worker(project):
    project.file("sim_waiting.py", SLOWING)  # 30 fast runs make large batches; then each is slow
    with project.under_way("-n", "2") as process:
        project.until(lambda: len({p.read_text() for p in project.path.glob("pid-[345]?")}) == 2)
        assert len(list(project.path.glob("pid-[345]?"))) == 2
        project.file("go")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(60)]
