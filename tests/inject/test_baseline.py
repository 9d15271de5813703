"""Runs find everything as in a fresh process, whatever the runs before them have changed."""

from __future__ import annotations

import numpy as np
import pytest

from simkit import explore
from simkit.collect.collection import plan_of
from simkit.inject.baseline import Baseline

STUDY = """
import decimal, locale, logging, os, signal, sys, time, warnings
import numpy as np
{imports}
from simkit import experiment, explore

SEEN = {seen}
CHANGES = {changes}

@experiment
@explore(x=[*range(len(CHANGES)), *range(len(CHANGES))], y=range(2 * len(CHANGES)))
def left(x, y):
    seen = {{name: str(eval(text)) for name, text in SEEN.items()}}
    exec(CHANGES[x])
    return {{"seen": str(seen)}}
"""
LEFT = {
    "folder": ("os.getcwd()", "os.makedirs('sub', exist_ok=True); os.chdir('sub')"),
    "removed folder": ("os.getcwd()", "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')"),
    "environment": ("os.environ.get('A_B')", "os.environ['A_B'] = '1'"),
    "removed variable": ("os.environ.get('HOME')", "del os.environ['HOME']"),
    "path": ("sys.path", "sys.path.insert(0, 'here')"),
    "seterr": ("np.geterr()", "np.seterr(all='raise')"),
    "printing": ("np.array([1 / 3])", "np.set_printoptions(precision=2)"),
    "filters": ("warnings.filters", "warnings.simplefilter('error')"),
    "decimal": ("decimal.Decimal(1) / 3", "decimal.getcontext().prec = 4"),
    "traps": ("decimal.getcontext().traps", "decimal.getcontext().traps[decimal.Inexact] = True"),
    "locale": ("locale.setlocale(locale.LC_ALL)", "locale.setlocale(locale.LC_ALL, 'C')"),
    "recursion": ("sys.getrecursionlimit()", "sys.setrecursionlimit(5000)"),
    "alarm": ("signal.getitimer(signal.ITIMER_REAL)", "signal.alarm(100)"),
    "handler": ("signal.getsignal(signal.SIGUSR1)", "signal.signal(signal.SIGUSR1, signal.SIG_IGN)"),
    "handlers": (
        "logging.getLogger('a').handlers",
        "logging.getLogger('a').addHandler(logging.NullHandler())",
    ),
    "level": ("logging.root.level", "logging.root.setLevel(5)"),
    "no logging": ("logging.root.isEnabledFor(50)", "logging.disable(60)"),
    "time zone": ("time.tzname", "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()"),
    "digits": ("sys.get_int_max_str_digits()", "sys.set_int_max_str_digits(1000)"),
}
LIBRARIES = {
    "matplotlib": ("rcParams['lines.linewidth']", "matplotlib.rcParams['lines.linewidth'] = 9"),
    "matplotlib.pyplot": ("get_fignums()", "matplotlib.pyplot.figure()"),
    "mpmath": ("mpf(1) / 3", "mpmath.mp.dps = 5"),
    "scipy.special": ("geterr()", "scipy.special.seterr(all='raise')"),
}


def check(project, imports, changes, *way):
    seen = {name: text for name, (text, _) in changes.items()}
    text = STUDY.format(imports=imports, seen=seen, changes=[change for _, change in changes.values()])
    project.file("sim_left.py", text)
    result = project.ok("--fresh", *way)
    name = max(path.stem for path in (project.path / "results").glob("left-*.h5"))
    with project.open(name) as traj:
        assert len(set(traj["seen"].tolist())) == 1, (traj["seen"], result.out)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_a_run_leaves_does_not_reach_the_next(project, workers):
    check(project, "", LEFT, "-n", workers)


def test_what_a_run_does_to_a_library_does_not_reach_the_next(project):
    for name in LIBRARIES:
        pytest.importorskip(name, reason="it is about that library")
    imports = "\n".join(f"import {name}" for name in LIBRARIES)
    changes = {name: (f"{name}.{seen}", change) for name, (seen, change) in LIBRARIES.items()}
    check(project, imports, changes, "-n", "1")


def test_closed_output_is_open_again(project):
    project.file(
        "sim_closed.py",
        """
        import os, sys
        from simkit import experiment, explore

        @experiment
        @explore(x=range(6))
        def closed(x):
            print("run", x)
            if x == 0:
                sys.stdout.close()
            if x == 2:
                os.close(1)
            if x == 4:
                sys.stdout = None
            return x
        """,
    )
    project.ok("-n", "1")
    with project.open("closed-001") as traj:
        assert traj.status.tolist() == ["done"] * 6
        assert [traj.log(run).strip() for run in range(6)] == [f"run {run}" for run in range(6)]


BRIAN = """
from brian2 import *
from simkit import experiment, explore

@experiment
@explore(x=range(4))
def neurons(x):
    G = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1")
    G.me = [G]
    names = [G.name, float(defaultclock.dt / ms), prefs.codegen.target]
    G.v = "rand()"
    if x % 2 == 0:
        defaultclock.dt = 0.5 * ms
        prefs.codegen.target = "numpy"
    return {"seen": str(names), "v": list(G.v), "n": list(np.random.rand(2)), "r": float(rand())}
"""


def test_brians_clock_objects_and_numbers_are_those_of_a_fresh_process(project):
    pytest.importorskip("brian2", reason="it is about Brian2")
    project.file(
        "sim_neurons.py", BRIAN.replace("    G.me = [G]\n", "    G.add_attribute('me'); G.me = [G]\n")
    )
    project.ok("-n", "1", "--seed", "5")
    project.ok("-n", "2", "--seed", "5", "--fresh")
    with project.open("neurons-001") as one, project.open("neurons-002") as two:
        assert set(one["seen"].tolist()) == {"['neurongroup', 0.1, 'auto']"}
        for name in "vnr":
            assert [str(v) for v in one[name]] == [str(v) for v in two[name]], name
        assert len({str(value) for name in "vnr" for value in one[name]}) == 12


@pytest.mark.parametrize(
    ("seconds", "is_slow"),
    [
        ([1e-5] * 5, False),
        ([10.0], True),
        ([1e-5, 1e-5, 10.0], False),
        ([10.0, 10.0, 1e-5], True),
        ([], False),
    ],
)
def test_one_run_that_the_machine_halted_does_not_make_the_others_slow(seconds, is_slow):
    def f(x):
        return x

    baseline = Baseline(plan_of(f, explore(x=[1]), {})[0])
    baseline.cost = 0.01
    for before in ([10.0], [1e-5]):  # whatever the batch before was
        baseline.judge(np.array(before, "f4"))
        baseline.judge(np.array(seconds, "f4"))
        assert baseline.is_slow is is_slow
