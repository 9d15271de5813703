"""``traj.replay``: one run again, in this process."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import simkit

SOURCE = """
import numpy as np
from simkit import experiment, fixture, parameter, product

@parameter
class Neuron:
    tau: float = 20.0

@fixture(scope="experiment")
def table(rng):
    return rng.normal(size=3)

@experiment
@product({"neuron.tau": [10.0, np.float32(30.0)]}, x=np.array([1, 2]), label=["a", None])
def f(x, label, neuron, table, rng, seed, run, gain=2):
    if gain == 0:
        raise ZeroDivisionError("gain")
    return {"y": x * gain, "kinds": [type(v).__name__ for v in (x, label, neuron.tau)],
            "draws": rng.normal(size=4), "table": table, "seed": seed, "index": run.index}
"""


def same(trajectory, run, found):
    recorded = trajectory.runs[run]
    assert set(found) == set(trajectory.names("results"))
    for name, value in found.items():
        assert type(value) is type(recorded[name])
        np.testing.assert_array_equal(value, recorded[name])


def test_every_run_comes_out_as_it_was_recorded(study):
    trajectory = study.run(SOURCE)
    files = sorted(study.root.rglob("*.h5"))
    for run in range(len(trajectory)):
        same(trajectory, run, trajectory.replay(run))
    same(trajectory, 7, trajectory.replay(-1))
    same(trajectory, 6, trajectory.where("run > 4").replay(6))
    assert sorted(study.root.rglob("*.h5")) == files
    with pytest.raises(IndexError, match="run 8 of a trajectory with 8 runs"):
        trajectory.replay(8)


def test_a_given_function_takes_the_place_of_the_recorded_one(study):
    trajectory = study.run(
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2])
        def f(x, gain=3):
            return x * gain
        """
    )
    assert trajectory.replay(1, lambda x, gain: x + gain)["result"] == 5
    with pytest.raises(simkit.SimkitError, match="can't run with what is recorded") as caught:
        trajectory.replay(1, lambda gain: gain)
    assert "'x' is explored, but nothing in experiment <lambda> uses it" in str(caught.value)
    with pytest.raises(simkit.SimkitError, match="an experiment is a function, not 3"):
        trajectory.replay(1, 3)


def test_what_the_experiment_raises_is_raised(study):
    study.write("sim_a.py", SOURCE)
    trajectory = simkit.run(study.module("sim_a.py").f, set={"gain": 0})
    assert set(trajectory.status) == {"failed"}
    with pytest.raises(ZeroDivisionError, match="gain"):
        trajectory.replay(0)


def test_sums_of_spaces_replay_the_value_that_was_recorded(study):
    trajectory = study.run(
        """
        from simkit import experiment, explore, parameter

        @parameter
        def base(x):
            return x * 100

        @experiment
        @(explore(x=[1, 2]) + explore(x=[3], base=[7]))
        def f(x, base, w=5):
            return x + base + w
        """
    )
    assert trajectory["result"].tolist() == [106, 207, 15]
    assert [trajectory.replay(run)["result"] for run in range(3)] == [106, 207, 15]


def test_explored_groups_and_providers_that_wrap_others(study):
    study.write(
        "simconf.py",
        "from simkit import parameter\n@parameter\nclass Cell:\n    a: int = 1\n    b: int = 2\n",
    )
    trajectory = study.run(
        """
        import attrs
        from simconf import Cell
        from simkit import experiment, parameter, product

        @parameter
        class Net:
            n: int = 3
            @property
            def double(self):
                return 2 * self.n

        @parameter
        def cell(cell):
            return attrs.evolve(cell, b=50)

        @experiment
        @product(net=[Net(), Net(n=4)])
        def f(net, cell):
            return net.double + cell.a + cell.b
        """
    )
    assert [trajectory.replay(run)["result"] for run in range(2)] == trajectory["result"].tolist() == [57, 59]


def test_recorded_seeds_count_where_they_came_with_runs_of_another_trajectory(study):
    trajectory = study.run(
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2, 3])
        def f(x, rng, seed):
            return {"draw": rng.random(), "drawn from": seed}
        """
    )
    path, draws = trajectory.path, trajectory["draw"].tolist()
    trajectory.close()
    with h5py.File(path, "r+") as file:  # as after a merge: the root seed is the first source's
        file["f"].attrs["root_seed"] = "12345"
    with simkit.open(path) as merged:
        assert [merged.replay(run)["draw"] for run in range(3)] == draws
        assert merged.replay(2)["drawn from"] == merged.seeds[2]
        assert merged.replay(2, lambda x, rng: -rng.random())["result"] == -draws[2]


def test_another_function_draws_what_the_recorded_one_drew(study):
    trajectory = study.run(
        """
        import random
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2, 3])
        def f(x):
            return random.random()
        """
    )
    study.write("other.py", "import random\ndef g(x):\n    return [random.random()]\n")
    for run in range(3):
        assert trajectory.replay(run, study.module("other.py").g)["result"] == [trajectory["result"][run]]
