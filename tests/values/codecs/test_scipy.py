"""SciPy's sparse arrays and matrices, and what its solvers and tests give."""

from __future__ import annotations

import numpy as np
import pytest
from kinds import CHECKS, conform
from kinds.libraries import LIBRARIES
from kinds.matrices import MATRICES
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.optimize import OptimizeResult

import simkit


@pytest.mark.parametrize("kind", MATRICES)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, MATRICES[kind])


@pytest.mark.parametrize("kind", ["solver's result", "continuous solution", "solution"])
@CHECKS
def test_what_solvers_give_is_kept(check, kind):
    conform(check, LIBRARIES[kind])


def test_what_a_solver_returns_is_a_result_per_item(tmp_path):
    def f(x):
        return solve_ivp(lambda _, y: -x * y, (0, 1), [1.0], dense_output=True)

    with simkit.run(f, simkit.product(x=[1.0, 2.0]), output=tmp_path / "f.h5", check=True) as traj:
        assert {"t", "y", "sol", "success", "message"} <= set(traj.results)
        assert traj.runs[1].sol(0.3) == f(2.0).sol(0.3)
        assert traj.runs[1].t_events is None


@pytest.mark.parametrize(
    ("test", "fields"),
    [
        (
            lambda: stats.linregress([1.0, 2.0, 3.0], [2.0, 4.0, 6.1]),
            ["slope", "intercept", "intercept_stderr"],
        ),
        (lambda: stats.ttest_ind([1.0, 2.0, 3.0], [2.0, 4.0, 6.1]), ["statistic", "pvalue", "df"]),
        (lambda: stats.ks_2samp([1.0, 2.0], [2.0, 4.0]), ["statistic", "pvalue", "statistic_sign"]),
        (lambda: stats.pearsonr([1.0, 2.0, 3.0], [2.0, 4.0, 6.1]), ["statistic", "pvalue"]),
        (lambda: stats.mannwhitneyu([1.0, 2.0], [2.0, 4.0]), ["statistic", "pvalue"]),
    ],
    ids=["linregress", "ttest_ind", "ks_2samp", "pearsonr", "mannwhitneyu"],
)
def test_what_a_statistical_test_gives_is_kept_by_its_fields(test, fields):
    wanted = test()
    returned = simkit.call(test)
    nested = simkit.call(lambda: {"fit": test()})["fit"]
    for name in fields:
        assert returned[name] == getattr(wanted, name)
        assert getattr(nested, name) == getattr(wanted, name)
    assert not [name for name in returned if name.startswith("_")]


def test_a_solver_result_with_what_can_not_be_kept_loses_that_only(tmp_path):
    def f(x):
        return {"fit": OptimizeResult(x=np.ones(2), success=True, callback=len), "z": x}

    with simkit.run(f, simkit.product(x=[1.0, 2.0]), output=tmp_path / "f.h5") as traj:
        assert traj.status.tolist() == ["failed", "failed"]
        assert "result fit.callback: cannot store a function" in traj.error(0)
        assert traj["z"].tolist() == [1.0, 2.0]
        assert traj.runs[1].fit.x.tolist() == [1.0, 1.0]
        assert "callback" not in traj.runs[1].fit
