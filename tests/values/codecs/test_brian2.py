"""Brian2's quantities, units and monitors."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from identity import all_identical, identical

pytest.importorskip("brian2")


pytestmark = [pytest.mark.filterwarnings("ignore")]  # Brian2's own, and those of its parsers


@pytest.fixture(scope="module")
def brian():
    from kinds import brian

    return brian


@pytest.fixture(scope="module")
def monitors(brian):
    return brian.network()


def there_and_back(values):
    from written import Written

    from simkit.values.decode import decode

    result = Written(2 * len(values))
    result.put(dict(enumerate(values)))
    result.open()
    for i, value in enumerate(values):
        result.put({len(values) + i: value})
    result.check()
    got = decode(result.column())
    result.file.close()
    return got


@pytest.mark.parametrize("i", range(14))
def test_each_kind_of_quantity_comes_back_as_it_was(brian, i):
    from simkit.values.compare import digest
    from simkit.values.decode import as_array, decode
    from simkit.values.encode import encode, explain

    values = list(brian.quantities().values())[i]
    assert all_identical(decode(encode(values)), values)
    assert all_identical(there_and_back(values), [*values, *values])
    assert len(as_array(encode(values))) == len(values)
    nested = [{"q": [value, (value,)]} for value in values]
    assert all_identical(decode(encode(nested)), nested)
    for value in values:
        assert digest(decode(encode([value]))[0]) == digest(value)
        assert explain(value, "z") is None


def test_a_quantity_is_told_from_others(brian):
    from simkit.values.compare import same

    assert not same(1 * brian.mV, 1 * brian.nA)
    assert not same(1 * brian.volt, 1.0)
    assert not same(1.0 * brian.volt, brian.volt)
    assert same(1 * brian.mV, 0.001 * brian.volt)


def test_quantities_over_runs_are_one_quantity_with_nan_where_absent(brian):
    from simkit.values.decode import as_array
    from simkit.values.encode import encode

    column = as_array(encode([1 * brian.mV, 2 * brian.mV]).spread(3, np.array([0, 2])))
    assert column.dim is brian.volt.dim
    np.testing.assert_allclose(np.asarray(column), [0.001, np.nan, 0.002])


def test_many_dimensions_under_one_name(brian):
    values = [float(i) * brian.metre**i for i in range(1, 30)]
    assert all_identical(there_and_back(values), [*values, *values])


@pytest.mark.parametrize(
    "name",
    ["spikes", "spikes with variables", "spikes counted only", "states", "states of all", "events", "rate"],
)
def test_a_monitor_comes_back_as_what_it_recorded(brian, monitors, name):
    monitor = monitors[name]
    (got, again) = there_and_back_of_monitor(monitor)
    for variable, wanted in brian.seen(monitor).items():
        wanted = wanted if hasattr(wanted, "dim") else np.asarray(wanted)  # noqa: PLW2901
        assert identical(getattr(got, variable), wanted)
        assert identical(again[variable], wanted)
    assert len(got) == len(again)


def there_and_back_of_monitor(monitor):
    from written import Written

    from simkit.values.decode import decode

    result = Written(2)
    result.put({0: monitor})
    result.put({1: monitor})
    return decode(result.column())


def test_the_voltage_of_a_state_monitor_is_recorded_by_time(monitors):
    from simkit.values.decode import decode
    from simkit.values.encode import encode

    (trace,) = decode(encode([monitors["states"]]))
    assert trace.V.shape == (2, 50)
    assert trace.t.shape == (50,)
    assert trace.record.tolist() == [1, 3]
    with pytest.raises(AttributeError, match="the recorded StateMonitor has no 'v'; did you mean 'V'"):
        trace.v  # noqa: B018


def test_monitors_and_quantities_are_kept_as_they_were_when_the_network_runs_on(brian):
    from simkit.declare.snapshot import snapshot
    from simkit.values.decode import decode
    from simkit.values.encode import encode
    from simkit.values.results import take_apart

    made = brian.network()
    voltages = made["states"].V[:].copy()
    quantity = np.arange(3) * brian.mV
    state = {name: monitor for name, monitor in made.items() if name != "network"}
    kept = snapshot({**state, "q": quantity, "many": [quantity]}, take_apart)
    quantity[0] = 9 * brian.mV
    made["network"].run(5 * brian.ms)
    assert len(made["states"].t) == 100
    (got,) = decode(encode([kept]))
    assert identical(np.asarray(got["states"].V), np.asarray(voltages))
    assert len(got["rate"].t) == 50
    assert got["q"][0] == got["many"][0][0] == 0 * brian.mV


UNREADABLE = """
from brian2 import NeuronGroup, StateMonitor, ms, run as simulate, set_device
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def unreadable(x, run):
    set_device("cpp_standalone", build_on_run=False)
    cells = NeuronGroup(2, "v : 1")
    never = StateMonitor(cells, "v", record=True)
    simulate(0.1 * ms)  # which is not built, so there is nothing to read
    run.add(added=never) if x == 2 else None
    return {"z": 2 * x, "never": never, "deep": {"kept": x, "lost": [never]}}
"""


def test_a_monitor_that_can_not_be_read_names_its_result_and_costs_no_other(project):
    project.file("sim_unreadable.py", UNREADABLE)
    assert project.simkit("-n", "0").code == 1
    with project.open("unreadable-001") as traj:
        assert traj["z"].tolist() == [2, 4]
        assert [run.deep["kept"] for run in traj.runs] == [1, 2]
        for run, names in enumerate([["never", "deep.lost[0]"], ["never", "deep.lost[0]", "added"]]):
            for name in names:
                told = rf"result {re.escape(name)}: cannot store .*StateMonitor, since it can't be read: Not"
                assert re.search(told, traj.error(run)), traj.error(run)


STUDY = """
import numpy as np
from brian2 import Quantity, mV, ms, nA
from identity import identical
from simkit import experiment, product, parameter
import warnings; warnings.simplefilter("ignore")

@parameter
class Neuron:
    tau: Quantity = 20 * ms
    rest: Quantity = np.arange(3) * mV

@parameter
def dt(neuron: Neuron) -> Quantity:
    open("computed", "a").write("x")
    return neuron.tau / 100

@experiment
@product(w=[0.1 * mV, 1 * mV, 1 * nA, 2.0], k=[1, 2.5])
def f(w, k, neuron, dt, unit=mV):
    ok = [identical(neuron.tau, 20 * ms), identical(neuron.rest, np.arange(3) * mV), dt == 0.2 * ms,
          type(k) in (int, float), unit is mV or identical(unit, mV)]
    return {"ok": ok, "twice": w * 2, "arrays": [w * np.arange(2)]}
"""


def test_quantities_as_parameters_explored_and_continued(project, brian):
    import os
    from pathlib import Path

    project.file("sim_f.py", STUDY)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for options in ((), ("-n", "0")):
        result = project.simkit(*options, env=env)
        assert result.code == 0, result.out + result.err
        assert project.path.joinpath("computed").read_text() == "x"
    trajectory = project.open("f-001")
    assert len(trajectory) == 8
    wanted = [w for w in (0.1 * brian.mV, 1 * brian.mV, 1 * brian.nA, 2.0) for _ in range(2)]
    assert all(all(run.ok) for run in trajectory.runs)
    assert all_identical([run.w for run in trajectory.runs], wanted)
    assert all_identical([run.twice for run in trajectory.runs], [w * 2 for w in wanted])
    assert [type(run.k) for run in trajectory.runs] == [int, float] * 4


def test_without_brian2_a_quantity_is_an_array_with_a_unit(tmp_path, brian):
    """In a process that cannot import it."""
    import h5py

    from simkit.record.columns.write import Sink
    from simkit.values.encode import encode

    with h5py.File(tmp_path / "q.h5", "w") as file:
        values = [np.arange(2) * brian.mV, 3.3 * brian.mV / brian.Mohm, 0.1 * brian.ms]
        for i, value in enumerate(values):
            Sink(file, f"q{i}", 1, lambda: np.zeros(1, bool)).write(np.arange(1), encode([value]))
    code = f"""
import sys; sys.modules["brian2"] = None
import h5py
from simkit.record.columns.layout import read
from simkit.values.decode import decode
with h5py.File({str(tmp_path / "q.h5")!r}) as file:
    q = [decode(read(file, f"q{{i}}", slice(0, 1)))[0] for i in range(3)]
print([x.unit for x in q], q[0], float(q[2]), repr(q[0] * 2))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "['V', 'A', 's']" in shown
    assert "0.0001" in shown


def test_quantities_are_read_in_any_thread_although_brian2_wants_the_main_one(tmp_path):
    record = "import simkit\ndef f(x):\n    from brian2 import mV\n    return {'v': x * mV}\n"
    record += "simkit.run(f, simkit.product(x=[1.0, 2.0]), output='f.h5').close()"
    read = """
import signal, threading, simkit
def read():
    with simkit.open("f.h5") as traj:
        told.append((repr(traj["v"]), type(traj.runs[1].v).__module__))
told, install = [], signal.signal
thread = threading.Thread(target=read)
thread.start()
thread.join()
assert signal.signal is install
print(told)
"""
    for script in (record, read):
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "[('array([1., 2.]) * mvolt', 'brian2.units.fundamentalunits')]", (
        done.stderr
    )
