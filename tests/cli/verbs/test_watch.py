"""How far a study is, told in another process than the study's."""

from __future__ import annotations

import itertools
import json
import os

STUDY = """
    import time
    from pathlib import Path
    from simkit import experiment, product

    @experiment
    @product(x=range(6))
    def f(x: int):
        while x > 2 and not Path("go").exists():
            time.sleep(0.01)
        if x == 4:
            raise ValueError("no")
        return x
"""


def test_a_running_study_is_told_line_by_line_until_its_end(project):
    project.file("sim_f.py", STUDY)
    with project.under_way("-n", "1") as study:
        project.until(lambda: project.has("results/f-001.h5"))
        with project.under_way("watch", "--json", "--interval", "0.05") as watch:
            states = []
            for line in watch.stdout:
                states.append(json.loads(line))
                if states[-1]["counts"].get("done") == 3:
                    project.file("go")
            watch.communicate()
        study.communicate()
    assert watch.returncode == 0
    assert states[0]["word"] == "running"
    assert states[0]["writer"].startswith("process ")
    assert states[-1]["word"] == "complete"
    assert states[-1]["counts"] == {"done": 5, "failed": 1}
    assert states[-1]["path"] == str(project.path / "results" / "f-001.h5")
    assert all(
        before["version"] != after["version"] or before["word"] != after["word"]
        for before, after in itertools.pairwise(states)
    )


def test_studies_that_are_over_are_shown_once(project):
    project.file("sim_f.py", STUDY)
    project.file("go")
    project.simkit("-n", "0")
    shown = project.ok("watch").out
    assert "results/f-001.h5" in shown
    assert "complete" in shown
    assert "5 done" in shown
    assert "1 failed" in shown
    owner, terminal = os.openpty()
    assert project.simkit("watch", stdout=terminal).code == 0
    os.close(terminal)
    live = os.read(owner, 100_000).decode()
    os.close(owner)
    assert "\x1b[" in live  # colours, and the lines that it writes over
    assert "━" * 10 in live


def test_nothing_to_watch(project):
    (project.path / "results").mkdir()
    nothing = project.simkit("watch")
    assert (nothing.code, "no trajectory in" in nothing.err) == (5, True)
    wrong = project.simkit("watch", "nowhere/")
    assert (wrong.code, "no such file or folder: nowhere" in wrong.err) == (4, True)
    assert project.simkit("watch", "--interval", "0").code == 4
