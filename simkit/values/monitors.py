"""Brian2's monitors: what they recorded, read where the network is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simkit.values.codecs import Kept, Parts, attributes_of
from simkit.values.stored import Stored

_CLASSES = ("SpikeMonitor", "EventMonitor", "StateMonitor", "PopulationRateMonitor")


def codec_of(kind: type) -> Kept | None:
    """The codec of Brian2's monitors."""
    is_monitor = kind.__module__.startswith("brian2.monitors") and kind.__name__ in _CLASSES
    return CODECS["brian2.Monitor"] if is_monitor else None


def _encode(monitor: Any) -> Parts:
    """Recorded variables as Brian2 shows them: a state is ``(n_recorded, n_time)``."""
    kind = type(monitor).__name__
    facts: dict[str, Any] = {"monitor": kind, "name": monitor.name, "source": monitor.source.name}
    if kind == "StateMonitor":
        parts = {"t": monitor.t[:], **{name: getattr(monitor, name) for name in monitor.record_variables}}
        parts["record"] = np.asarray(monitor.record)
    elif kind == "PopulationRateMonitor":
        parts = {"t": monitor.t[:], "rate": monitor.rate[:]}
    else:
        # Brian2 has a set of them, whose order differs from process to process
        names = dict.fromkeys(("t", "i", *sorted(monitor.record_variables))) if monitor.record else {}
        parts = {name: getattr(monitor, name)[:] for name in names}
        parts["count"] = np.asarray(monitor.count[:])
        facts["event"] = monitor.event
    parts = {name: part if hasattr(part, "dim") else np.asarray(part) for name, part in parts.items()}
    if hasattr(monitor, "clock") and kind != "SpikeMonitor":
        parts["dt"] = monitor.clock.dt
    return Parts(parts, attributes_of(**facts), {"monitor": kind})


def _decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Stored:
    return Stored("brian2.Monitor", parts, attributes_of(**facts), facts["monitor"])


CODECS = {"brian2.Monitor": Kept("brian2.Monitor", _encode, _decode)}
