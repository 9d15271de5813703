"""What the page asks of a trajectory beyond its public verbs."""

from __future__ import annotations

import simkit
from simkit.analyse.open import open_alone


def test_the_newest_traceback_of_each_failed_run_comes_in_one_reading(tmp_path):
    fails = {1, 3}

    def f(x: int) -> int:
        if x in fails:
            raise ValueError(f"no good: {x}, {len(fails)}")
        return x

    space = simkit.product(x=range(5))
    simkit.run(f, space, output=tmp_path / "f.h5").close()
    fails.discard(1)
    with simkit.run(f, space, output=tmp_path / "f.h5", into=tmp_path / "f.h5") as trajectory:
        failed = trajectory.index[trajectory.status == "failed"]
        found = trajectory._selection.recorded.latest_texts("error", failed)
        assert list(found) == [3]
        assert "no good: 3, 1" in found[3]
        assert trajectory._selection.recorded.latest_texts("error", trajectory.index[:1]) == {}


def test_the_page_opens_a_file_without_importing_the_project(project, monkeypatch):
    project.file(
        "simconf.py",
        """
        from pathlib import Path
        from simkit import Codec, hookimpl
        Path(__file__).with_name("imported").touch()
        class Spring:
            def __init__(self, k): self.k = k
        @hookimpl
        def simkit_codecs():
            return [Codec("lab.Spring", Spring, lambda s: ({"k": s.k}, {}), lambda parts, facts: Spring(parts["k"]))]
        """,
    )
    project.file(
        "sim_a.py",
        """
        from simkit import experiment
        import simconf
        @experiment
        def f(x: float = 2.0):
            return {"spring": simconf.Spring(x)}
        """,
    )
    project.ok("-n", "0")
    (project.path / "imported").unlink()
    monkeypatch.chdir(project.path)
    with open_alone(project.path / "results" / "f-001.h5") as trajectory:
        assert trajectory.runs[0].spring["k"] == 2.0
    assert not (project.path / "imported").exists()
