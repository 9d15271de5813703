"""Brian2's quantities, units and monitors; imported only where Brian2 is installed."""

from __future__ import annotations

from typing import Any

import brian2 as b2
import numpy as np
from brian2 import Mohm, Quantity, amp, cm, kelvin, metre, ms, mV, nA, second, volt


def quantities() -> dict[str, list[Any]]:
    """The 14 cases of the survey (spikes/ecosystem/briser.py), and what else is easily spoilt."""
    dim = volt.dim
    return {
        "quantity": [20 * ms, 0.1 * mV, -0.1 * mV, 300 * kelvin, np.nan * ms],
        "quantities of one unit": [0.1 * mV, 1 * volt, -np.inf * volt],
        "quantity array": [np.arange(5) * mV, np.array([]) * mV, np.array([np.nan, np.inf, -0.0]) * mV],
        "quantity matrix": [np.ones((2, 3), "f4") * nA, np.ones((2, 3), "f4") * amp],
        "quantity of odd unit": [3.3 * mV / (Mohm * cm**1.5), 2 * metre**-0.25],
        "quantity without dimension": [Quantity(3.0), Quantity([1.0, 2.0])],
        "quantity of singles": [Quantity(np.float32([1, 2]), dim=dim), Quantity(np.float32(1), dim=dim)],
        "quantity of integers": [np.arange(3) * second, Quantity(np.arange(3, dtype="i2"), dim=dim)],
        "quantity, complex": [Quantity(np.array([1j]), dim=dim)],
        "quantity, zero-dimensional": [Quantity(np.array(5.0), dim=dim)],
        "quantity, as the clock has it": [b2.defaultclock.dt, b2.defaultclock.dt * 3],
        "unit": [mV, volt, Mohm, mV / cm**2, b2.get_unit(volt.dim), b2.Unit(1.0), cm**3],
        "units and quantities": [mV, 1 * mV, 1.0, np.arange(2) * mV],
        "quantities nested": [{"tau": [1 * ms, {"w": np.arange(2) * nA}]}, (mV, [None, 2 * mV])],
    }


def network(steps: int = 1) -> dict[str, Any]:
    """The monitors of a small network that has run for some steps of 5 ms, and the network."""
    b2.prefs.codegen.target = "numpy"
    b2.start_scope()
    b2.seed(1)
    group = b2.NeuronGroup(
        4, "dV/dt = (1.5*mV - V) / (5*ms) : volt\nn : integer\nx : 1", threshold="V > 1*mV", reset="V = 0*mV",
        method="exact", events={"crossing": "V > 0.9*mV"}, name="cells",
    )  # fmt: skip
    group.V = np.linspace(0, 0.9, 4) * mV
    monitors = {
        "spikes": b2.SpikeMonitor(group, name="spikes"),
        "spikes with variables": b2.SpikeMonitor(group, ["V", "n", "x"], name="spikes2"),
        "spikes counted only": b2.SpikeMonitor(group, record=False, name="spikes3"),
        "states": b2.StateMonitor(group, ["V", "n"], record=[1, 3], name="states"),
        "states of all": b2.StateMonitor(group, "V", record=True, dt=1 * ms, name="states2"),
        "events": b2.EventMonitor(group, "crossing", ["V"], name="events"),
        "rate": b2.PopulationRateMonitor(group, name="rate"),
    }
    net = b2.Network(group, *monitors.values())
    for _ in range(steps):
        net.run(5 * ms)
    return {**monitors, "network": net}


def seen(monitor: Any) -> dict[str, Any]:
    """What Brian2 itself shows of a monitor."""
    kind = type(monitor).__name__
    if kind == "StateMonitor":
        return {
            "t": monitor.t[:],
            **{name: getattr(monitor, name) for name in monitor.record_variables},
            "record": monitor.record,
        }
    if kind == "PopulationRateMonitor":
        return {"t": monitor.t[:], "rate": monitor.rate[:]}
    shown: dict[str, Any] = {"count": monitor.count[:]}
    if monitor.record:
        shown |= {"t": monitor.t[:], "i": monitor.i[:]}
        shown |= {name: getattr(monitor, name)[:] for name in monitor.record_variables}
    return shown
