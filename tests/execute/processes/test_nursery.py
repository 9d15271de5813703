"""The process that starts workers, and what is left when it or the owner dies."""

from __future__ import annotations

import os
import signal

import attrs
import pytest
from commands import server
from faulty import WAITING, is_alive, recorded_done

import simkit
from simkit.execute.processes import nursery


@pytest.mark.parametrize("way", [["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]])
def test_the_owner_is_killed(project, way):
    project.file("sim_waiting.py", WAITING)
    begun = 5 if "2" in way else 4  # three that end, and those that wait
    with project.under_way(*way) as process:
        project.until(lambda: len(list(project.path.glob("pid-*"))) == begun)
        # With workers what is done is committed while others are still busy; -n 0 is busy itself.
        if way != ["-n", "0"]:
            project.until(lambda: recorded_done(project, "waiting-001") == 3)
        texts = [path.read_text() for path in project.path.glob("pid-*")]
        parents = {os.getpid(), server().process.pid}  # the owner's, in one way or the other
        processes = {int(number) for text in texts for number in text.split()} - parents
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    assert processes
    project.until(lambda: not any(map(is_alive, processes)))

    traj = project.open("waiting-001")
    assert traj["i"].tolist() == list(range(8))
    done = int((traj.status == "done").sum())
    if way != ["-n", "0"]:
        assert done == 3
        assert traj["i2"][:3].tolist() == [0, 1, 4]
    traj.close()
    project.file("go")
    result = project.ok(*way)
    assert f"{8 - done} done in" in result.out
    traj = project.open("waiting-001")
    assert traj.status.tolist() == ["done"] * 8
    assert traj["i2"].tolist() == [i * i for i in range(8)]
    assert sorted(p.name for p in (project.path / "results").iterdir()) == ["waiting-001.h5"]


def test_a_killed_nursery_is_no_hang(project):
    project.file("sim_waiting.py", WAITING)
    with project.under_way("-n", "1") as process:
        project.until(lambda: project.text("pid-3"))
        worker, nursery = map(int, project.text("pid-3").split())
        assert nursery != process.pid
        os.kill(nursery, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        _, err = process.communicate(timeout=600)
    assert process.returncode != 0
    assert "Traceback" not in err, err
    project.file("go")
    project.ok()
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(8)]


@attrs.frozen
class LongEnd(nursery.End):
    """As many bytes as the ends of a few hundred workers."""

    more: bytes = bytes(60_000)


def test_what_is_said_of_workers_that_ended_is_read_though_nobody_asks(study, monkeypatch):
    monkeypatch.setattr(nursery, "End", LongEnd)
    study.write(
        "sim_f.py", "from simkit import experiment\n@experiment(isolate=True)\ndef f(x):\n    return x\n"
    )
    with simkit.run(study.module("sim_f.py").f, simkit.product(x=range(20)), workers=1) as traj:
        assert traj["result"].tolist() == list(range(20))
