"""The climb example: it comes within 1 % of the maximum, by the same points with and without workers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from conftest import Project

import simkit

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "climb"
MAXIMUM = 10.0


def test_it_climbs_by_the_same_points_for_any_number_of_workers(project: Project, python: Python) -> None:
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("results"))
    for workers in (0, 2):
        arguments = ("-n", str(workers), "--seed", "1")
        output = project.ok(".", *arguments, "--output", f"results/hill-{workers}.h5").out
        assert "6000 done" in output
    with (
        simkit.open(project.path / "results" / "hill-0.h5") as alone,
        simkit.open(project.path / "results" / "hill-2.h5") as both,
    ):
        for name in ("x", "y", "z", "generation"):
            assert np.array_equal(alone[name], both[name])
        assert np.array_equal(alone.summary.best_z, both.summary.best_z)
        assert alone["generation"].tolist() == np.repeat(np.arange(30), 200).tolist()
        best = alone.summary.best_z
    assert (np.diff(best) >= 0).all()
    assert best[0] < 0.9 * MAXIMUM
    assert 0.99 * MAXIMUM < best[-1] <= MAXIMUM

    said = python(project.path, "plot_climb.py", "results/hill-0.h5")
    assert said.startswith(f"6000 runs, best z = {best[-1]:.3f} of 10.0 at x = ")
    assert (project.path / "climb.png").stat().st_size > 10_000


def test_the_highest_summit_is_where_the_example_says() -> None:
    namespace: dict[str, Callable[[float, float], float]] = {}
    exec((EXAMPLE / "hill.py").read_text("utf-8"), namespace)
    height = namespace["height"]
    assert height(3.0, -2.0) == MAXIMUM
    around = [(x, y) for x in np.linspace(-7, 13, 101) for y in np.linspace(-12, 8, 101)]
    assert max(height(x, y) for x, y in around) <= MAXIMUM
