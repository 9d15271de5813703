from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from simkit.cli.main import main

SIM = """
    from simkit import experiment, product

    @experiment
    @product(x=[1.0, 2.0], k=[1, 2])
    def f(x: float, k: int = 1, y: float = 0.5):
        return x + k + y
"""


def test_a_sample_replaces_the_space_and_is_recorded_by_how_it_is_written(project):
    project.file("sim_a.py", SIM)
    project.ok("--sample", "16", "x=0:4", "k=1,2,4")
    traj = project.open("f-001")
    np.testing.assert_array_equal(traj["x"], 4 * qmc.Sobol(2, rng=0).random(16)[:, 0])
    assert set(traj["k"].tolist()) == {1, 2, 4}
    assert traj.info.sessions[0]["space"] == "sample(16, x=(0.0, 4.0), k=[1, 2, 4], method='sobol', seed=0)"


def test_a_larger_sample_runs_the_new_points_only(project):
    project.file("sim_a.py", SIM)
    project.ok("--sample", "16", "x=0:4", "y=-1:1")
    result = project.ok("--sample", "40", "x=0:4", "y=-1:1")
    assert "continuing" in result.out
    assert "16 of 40 runs are done" in result.out
    assert len(project.open("f-001")) == 40


def test_a_larger_latin_hypercube_says_beforehand_why_all_its_points_are_new(project):
    text = """
    from simkit import experiment, sample

    @experiment
    @sample(SIZE, x=(0, 1), method="lhs", seed=1)
    def f(x):
        print("computed")
        return x
    """
    project.file("sim_f.py", text.replace("SIZE", "4"))
    project.ok("-n", "0")
    project.file("sim_f.py", text.replace("SIZE", "8"))
    words = (
        "4 recorded runs are not declared any more, and stay in the file: traj.where(declared=True) leaves them out "
        "of means; a Latin hypercube of another size has other points: sobol and halton keep theirs\n"
    )
    assert words in project.ok("--co").out
    out = project.ok("-n", "0", "-s").out
    assert out.count(words) == 1
    assert out.index(words) < out.index("computed")
    assert len(project.open("f-001")) == 12


def test_a_sample_that_is_no_power_of_two_is_explained_once(project):
    project.file(
        "sim_a.py",
        """
        from simkit import experiment, sample

        @experiment
        @sample(20, x=(0, 1))
        def f(x):
            if x < 0.1:
                raise ValueError
        """,
    )
    first, again = project.simkit(), project.simkit()
    assert first.out.count("rather than 20, 16 or 32") == 1
    assert "rather than" not in again.out


def test_the_replay_that_a_failure_suggests_keeps_the_sample(project):
    project.file(
        "sim_a.py",
        """
        from simkit import experiment, explore

        @experiment
        @explore(x=[1.0])
        def f(x):
            assert x < 0.9
        """,
    )
    out = project.simkit("--sample", "16", "x=0:1").out
    assert "--sample 16 x=0:1" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["16"], "--sample 16: write --sample N NAME=LOW:HIGH, as in --sample 256 x=0:1 k=1,2,4"),
        (["x=0:1"], "--sample x=0:1: write --sample N NAME=LOW:HIGH"),
        (["16", "x"], "--sample x: write --sample NAME=VALUE"),
        (["16", "x=1:0"], "x=(1.0, 0.0) has its ends the wrong way round: write x=(0.0, 1.0)"),
        (["16", "x=a:b"], "--sample x=a:b: x is a float, and 'a' is a str"),
        (["16", "k=1:9"], "--sample k=1:9: k is an int, and a range gives floats: list the values, k=1,2,3"),
        (["16", "x=0:1", "--explore", "x=1"], "--explore and --sample both replace the space"),
        (["0", "x=0:1"], "sample(0): it is no whole number from 1 on"),
    ],
)
def test_what_can_not_be_sampled_is_a_usage_error(study, capsys, arguments, text):
    study.write("sim_a.py", SIM)
    assert main(["--sample", *arguments]) == 4
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "x", "k"),
    [
        (["--sample", "4", "x=0:1", "--product", "x=1.0,2.0"], {1.0, 2.0}, {1}),
        (["--sample", "4", "x=0:1", "--product", "k=3,4"], {0.0, 0.25, 0.5, 0.75}, {3, 4}),
    ],
)
def test_product_replaces_a_sampled_axis_or_multiplies_the_sample_by_a_new_one(project, options, x, k):
    project.file("sim_a.py", SIM)
    project.ok("-n", "0", *options)
    traj = project.open("f-001")
    assert len(traj) == len(x) * len(k)
    assert {round(4 * value) / 4 for value in traj["x"].tolist()} <= {*x, 1.0}
    assert {*np.atleast_1d(traj["k"]).tolist()} == k


def test_product_can_not_replace_one_of_several_names_that_are_sampled_together(project):
    project.file("sim_a.py", SIM)
    result = project.simkit("--sample", "4", "x=0:1", "y=0:1", "--product", "x=1.0,2.0")
    assert result.code == 4
    assert "'x' moves together with y: use --explore for all of them" in result.err
