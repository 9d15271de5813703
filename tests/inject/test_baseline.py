"""Runs find everything as in a fresh process, whatever the runs before them have changed."""

from __future__ import annotations

import decimal
import math
import os
import sys
import warnings
from functools import cache
from types import ModuleType, SimpleNamespace

import attrs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simkit import explore, product
from simkit.collect import surroundings
from simkit.collect.collection import plan_of
from simkit.collect.surroundings import Surrounding, Suspicion, kept
from simkit.execute.agenda import Worklist
from simkit.execute.engine import Here
from simkit.inject.baseline import Baseline, Company, Present
from simkit.inject.contact import local_beat
from simkit.testing.engines import executed, job_of
from simkit.values.batch import Portion
from simkit.values.decode import decode

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


READ = """
import math
from brian2 import *
from simkit import experiment, explore

prefs.codegen.target = "numpy"

def numbers(*arrays):
    return [math.fsum(np.asarray(array).ravel()) for array in arrays]

@experiment
@explore(tau=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
def read(tau, run):
    G = NeuronGroup(50, "dv/dt = (1.1 - v) / (tau*ms) : 1", threshold="v > 1", reset="v = 0", method="euler")
    S = Synapses(G, G, "w : 1")
    S.connect(p=0.5)
    S.w = "rand()"
    spikes, state, rate = SpikeMonitor(G), StateMonitor(G, "v", record=True), PopulationRateMonitor(G)
    network = Network(G, S, spikes, state, rate)
    network.run(20*ms)
    early = spikes.t[:], state.t[:], state[0].t, state.v_
    expected = numbers(*early)
    network.run(50*ms)  # what is recorded grows, and moves in memory
    late = spikes.t[:], spikes.i[:], state.t[:], state.t_[:], state.v, state[1].v, rate.t[:], rate.rate[:]
    late = *late, S.i[:], S.w[:]
    expected += numbers(*late)
    run.add(added=spikes.t[:])
    names = "abcdefghijklmn"
    return {**dict(zip(names, (*early, *late), strict=True)), "expected": np.array(expected)}
"""


def test_what_is_read_of_a_network_outlives_it(project):
    pytest.importorskip(
        "brian2", reason="it is about Brian2, whose memory goes with the network from 2.10 on"
    )
    project.file("sim_read.py", READ)
    project.ok("-n", "0")
    project.ok("-n", "2", "--fresh")
    for file in ("read-001", "read-002"):
        with project.open(file) as traj:
            for run in range(6):
                read = traj.runs[run]
                found = [math.fsum(np.asarray(getattr(read, name)).ravel()) for name in "abcdefghijklmn"]
                np.testing.assert_array_equal(found, read.expected)
                assert math.fsum(np.asarray(read.added)) == read.expected[4]


def test_weights_are_written_through_what_is_read_of_them(project):
    pytest.importorskip("brian2", reason="it is about Brian2")
    project.file(
        "sim_through.py",
        "from brian2 import *\nfrom simkit import experiment\n"
        "@experiment\ndef through():\n"
        '    G = NeuronGroup(4, "v : 1")\n    S = Synapses(G, G, "w : 1")\n    S.connect()\n'
        "    S.w = 1\n    weights = S.w[:]\n    weights[:3] = 0\n    return float(np.sum(S.w[:]))\n",
    )
    project.ok("-n", "0")
    with project.open("through-001") as traj:
        assert traj.runs[0].result == 13


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


# What one run sets, and the next one reads and puts back: at both ends of a batch everything is as it was.
KIND, SETTING = [""], set[int]()


def _filters():
    return warnings.filters[0][0] == "error"


def toggles(x):
    match KIND[0]:
        case "seterr":
            seen = np.geterr()["divide"] == "raise"
            np.seterr(divide="warn" if seen else "raise" if x in SETTING else None)
        case "decimal":
            seen = decimal.getcontext().prec == 5
            decimal.getcontext().prec = 28 if seen or x not in SETTING else 5
        case "environment":
            seen = os.environ.pop("LEFT_HERE", None) == "1"
            os.environ.update({"LEFT_HERE": "1"} if x in SETTING and not seen else {})
        case "filters":
            if (seen := _filters()) or x not in SETTING:
                warnings.filters[:] = warnings.filters[seen:]
            else:
                warnings.simplefilter("error")
        case "path":
            seen = sys.path[0] == "left"
            sys.path[: seen or 0] = ["left"] if x in SETTING and not seen else []
    return bool(seen)


def hidden(x):
    seen = np.geterr()["divide"] == "raise"
    np.seterr(divide="warn" if seen else "raise" if x in SETTING else None)
    return seen


@cache
def study_of(function, is_shown):
    space = product(x=range(200))
    job = job_of(function, space)
    shown = job.plan.suspicion if is_shown else Suspicion()
    return space, attrs.evolve(job, plan=attrs.evolve(job.plan, suspicion=shown))


def executed_here(function, *, is_shown=True, is_alone=False, parts=(range(200),)):
    """What runs return in this process, in portions as an engine makes them; and what is said of them.

    ``is_alone``: as in a worker, where nothing is looked at between batches.
    """
    space, job = study_of(function, is_shown)
    with kept():
        engine = Here(job)
        engine.injector.baseline.company = Company.RUNS if is_alone else Company.ANYBODY
        batches = [batch for part in parts for batch in executed(engine, Worklist(part, space.at))]
        engine.close()
    values = [bool(value) for batch in batches for value in decode(batch.results["result"])]
    return values, dict(warned for batch in batches for warned in batch.warnings)


@settings(max_examples=20)
@given(
    st.sampled_from(["seterr", "decimal", "environment", "filters", "path"]),
    st.sets(st.integers(0, 199)),
    st.booleans(),
    st.sampled_from([1, 7, 200]),
)
@example("seterr", {150}, False, 200)
@example("environment", {0, 63, 64, 199}, False, 200)
@example("path", {3, 4, 150}, True, 1)
def test_each_run_is_as_the_run_alone_whatever_those_before_set_and_put_back(kind, setting, is_alone, size):
    KIND[0] = kind
    SETTING.clear()
    SETTING.update(setting)
    parts = [range(start, min(start + size, 200)) for start in range(0, 200, size)]
    seen, _ = executed_here(toggles, is_alone=is_alone, parts=parts)
    assert len(seen) == 200
    assert not any(seen)


@settings(max_examples=10)
@given(st.sets(st.integers(0, 63), min_size=1), st.sets(st.integers(64, 199)))
def test_what_code_does_not_show_is_seen_in_the_first_runs(early, late):
    SETTING.clear()
    SETTING.update(early | late)
    seen, said = executed_here(hidden, is_shown=False)
    assert not any(seen)
    assert "left_behind" not in said


def test_what_is_found_late_is_said():
    SETTING.clear()
    SETTING.update({199})
    seen, said = executed_here(hidden, is_shown=False, parts=(range(150), range(150, 200)))
    assert not any(seen)
    assert "a run left numpy's error state changed; each run begins afresh from now on" in said["left_behind"]


def test_short_runs_are_looked_at_in_pauses():
    baseline = Baseline(study_of(hidden, is_shown=False)[1].plan)
    with kept():
        baseline.note()
        baseline.cared = 1000
        assert not baseline.has_left(100.0)
        np.seterr(divide="raise")
        assert not baseline.has_left(100.0 + baseline.pause / 2)
        assert baseline.has_left(100.0 + baseline.pause)


def test_what_surrounds_runs_is_found_as_libraries_come_and_go(monkeypatch):
    whole, other, imported = ModuleType("mpmath"), ModuleType("mpmath"), ModuleType("mpmath")
    imported.__spec__ = SimpleNamespace(_initializing=True)
    present, found = Present(), []

    def libraries():
        return [one.library for one in present.now() if one.library == "mpmath"]

    monkeypatch.delitem(sys.modules, "mpmath", raising=False)
    for module in (None, whole, whole, other, object(), None, imported, imported):
        monkeypatch.setitem(sys.modules, "mpmath", module)
        found.append(libraries())
        assert present.now() == surroundings.surroundings()
    assert found == [[], ["mpmath"], ["mpmath"], ["mpmath"], [], [], [], []]
    imported.__spec__._initializing = False
    assert libraries() == ["mpmath"]


def test_what_surrounds_runs_is_looked_for_once(monkeypatch):
    asked = []
    all_there_are = surroundings.surroundings
    monkeypatch.setattr(surroundings, "surroundings", lambda: asked.append(1) or all_there_are())
    present = Present()
    assert all(present.now() == present.now() for _ in range(20))
    assert len(asked) == 1


@pytest.mark.parametrize(("is_alone", "looks"), [(True, 20), (False, 40)])
def test_each_batch_of_one_run_is_looked_at_once_in_a_worker(monkeypatch, is_alone, looks):
    counted = []
    one = Surrounding("counted", lambda: counted.append(0), lambda state: None)
    monkeypatch.setattr(surroundings, "_ALL", (one,))
    space, job = study_of(asks, True)
    injector = job.injector()
    injector.baseline.company = Company.RUNS if is_alone else Company.ANYBODY
    portions = [Portion(np.array([run]), space.at(np.array([run]))) for run in range(21)]
    injector.batch(portions[0], local_beat())
    counted.clear()
    for portion in portions[1:]:
        injector.batch(portion, local_beat())
    assert len(counted) == looks


class Bench:
    used = 0


COUNT, TABLE, SEEN, ARRAY = 0, {"n": 0}, [0], np.zeros(2)


def rebinds(x):
    global COUNT  # noqa: PLW0603 - what the test is about
    COUNT = int(x in SETTING)
    return False


def fills(x):
    TABLE["n"] = int(x in SETTING)
    return False


def appends(x):
    if x in SETTING:
        SEEN.append(x)
    elif len(SEEN) > 1:
        SEEN.pop()
    return False


def marks(x):
    Bench.used = int(x in SETTING)
    return False


def adds(x):
    ARRAY[0] = x in SETTING
    return False


@pytest.mark.parametrize("function", [rebinds, fills, appends, marks, adds])
@pytest.mark.parametrize("run", [0, 5, 150])
def test_a_variable_that_any_run_changes_is_told_once(function, run):
    SETTING.clear()
    SETTING.update({run})
    _, said = executed_here(function)
    assert list(said) == ["changed_global"]
    SETTING.clear()
    _, said = executed_here(function)
    assert not said


def asks(x):
    with np.errstate(all="raise"), decimal.localcontext():
        return str([os.environ.get("HOME"), sys.path[0], np.geterr(), [x].pop()])


def sets_environment(x):
    os.environ["A_B"] = str(x)


def redirects(x):
    sys.stdout = None


def filters(x):
    del warnings.filters[0]


def limits(x):
    from sys import setrecursionlimit

    setrecursionlimit(x)


@pytest.mark.parametrize(
    ("function", "is_named"),
    [(asks, False), (sets_environment, True), (redirects, True), (filters, True), (limits, True)],
)
def test_what_the_code_names_is_cared_for_from_the_first_run(function, is_named):
    plan = plan_of(function, explore(x=[1]), {})[0]
    assert plan.suspicion == Suspicion(of_surroundings=is_named)
    assert Baseline(plan).cleans_each is is_named
