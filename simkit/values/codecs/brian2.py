"""Brian2's quantities, units and monitors."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.declare.plugins import Codec, Parts
from simkit.declare.reflection import module_of
from simkit.errors import Unstorable
from simkit.values.instances import Stored
from simkit.values.registry import attributes_of

_BASE = ("m", "kg", "s", "A", "K", "mol", "cd")
# What everybody calls these products of powers; exponents in the order of the symbols.
_DERIVED: dict[tuple[float, ...], str] = {
    (2, 1, -3, -1, 0, 0, 0): "V",
    (2, 1, -3, -2, 0, 0, 0): "ohm",
    (-2, -1, 3, 2, 0, 0, 0): "S",
    (-2, -1, 4, 2, 0, 0, 0): "F",
    (0, 0, 1, 1, 0, 0, 0): "C",
    (0, 0, -1, 0, 0, 0, 0): "Hz",
    (2, 1, -2, 0, 0, 0, 0): "J",
    (2, 1, -3, 0, 0, 0, 0): "W",
    (1, 1, -2, 0, 0, 0, 0): "N",
    (-1, 1, -2, 0, 0, 0, 0): "Pa",
}


Dimensions = tuple[float, ...]


class Measured(np.ndarray[Any, np.dtype[Any]]):
    """Numbers with the name of their unit: a quantity where Brian2 is not installed.

    Attributes
    ----------
    unit
        The SI unit that the numbers are in, such as ``V`` or ``m kg s^-2``.
    dimensions
        Exponents of m, kg, s, A, K, mol and cd.
    """

    unit: str
    dimensions: Dimensions

    def __array_finalize__(self, source: Any) -> None:
        """Views and copies keep the unit, as NumPy asks of subclasses."""
        self.unit = getattr(source, "unit", "")
        self.dimensions = getattr(source, "dimensions", ())

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """A computed array has an unknown unit: plain numbers, then."""
        return array[()] if return_scalar else np.asarray(array)

    def __reduce__(self) -> Any:
        return measured, (np.asarray(self), self.dimensions)

    def __repr__(self) -> str:
        return f"{np.asarray(self)[()]!r} {self.unit}"

    __str__ = __repr__


def measured(values: Any, dimensions: Dimensions) -> Measured:
    """Numbers with their unit's name."""
    array = np.asarray(values).view(Measured)
    array.unit, array.dimensions = unit_of(dimensions), dimensions
    return array


@lru_cache(maxsize=1024)
def unit_of(dimensions: Dimensions) -> str:
    """The SI unit of a dimension vector: ``V``, or its base units as in ``m kg s^-2``."""
    if dimensions in _DERIVED:
        return _DERIVED[dimensions]
    powers = [(symbol, power) for symbol, power in zip(_BASE, dimensions, strict=True) if power]
    return " ".join(symbol if power == 1 else f"{symbol}^{power:g}" for symbol, power in powers) or "1"


def _is_quantity(kind: type) -> bool:
    return kind is Measured or _is_unit_class(kind, "Quantity")


def _is_unit_class(kind: type, name: str) -> bool:
    return module_of(kind).startswith("brian2.units") and kind.__name__ == name


def _is_monitor(kind: type) -> bool:
    return module_of(kind).startswith("brian2.monitors") and kind.__name__ in _MONITORS


def _is_of_brian1(kind: type) -> bool:
    return module_of(kind).partition(".")[0] == "brian"


def _refuse(value: Any) -> Parts:
    """Values of Brian, the predecessor, are gone with it."""
    raise Unstorable("", "a value of Brian 1, which cannot be installed any more; Brian2's are kept")


@lru_cache(maxsize=1024)
def _vector(dimension: Any) -> tuple[Dimensions, str]:
    """A dimension as exponents, and as attributes."""
    exponents = tuple(float(dimension.get_dimension(name)) for name in _BASE)
    return exponents, attributes_of(dimensions=exponents)


def _encode(quantity: Any) -> Parts:
    """The numbers as they are in memory; the best unit is for people only."""
    return _parts(quantity, np.asarray(quantity))


def _taken(quantity: Any) -> Parts:
    """A copy, which its unit is chosen by, too: the run goes on with the other."""
    return attrs.evolve(_parts(quantity, np.array(quantity)), is_own=True)


def _parts(quantity: Any, values: Array) -> Parts:
    if is_measured := type(quantity) is Measured:
        exponents, facts = quantity.dimensions, attributes_of(dimensions=quantity.dimensions)
    else:
        exponents, facts = _vector(quantity.dim)
    return Parts(
        {"values": values if values.ndim else values[()]},
        facts,
        lambda: _hints(exponents, values, is_measured),
    )


def _hints(exponents: Dimensions, values: Array, is_measured: bool) -> Mapping[str, str]:
    seen = np.abs(values.ravel())
    seen = seen[np.isfinite(seen) & (seen > 0)]
    unit = unit_of(exponents)
    if is_measured or not any(exponents) or not len(seen):
        return {"unit": unit, "display_unit": unit}
    return _displayed(exponents, int(np.floor(np.log10(seen.max()))))


@lru_cache(maxsize=1024)
def _displayed(exponents: Dimensions, decade: int) -> Mapping[str, str]:
    """The unit, and the one that Brian2 finds best for numbers of this size."""
    unit = unit_of(exponents)
    best = str(quantity(10.0**decade, exponents).get_best_unit())
    return {"unit": unit, "display_unit": unit if best[0].isdigit() else best}


def _decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    return quantity(parts["values"], tuple(facts["dimensions"]))


def quantity(values: Any, exponents: Dimensions) -> Any:
    """SI numbers of these dimensions: Brian2's `Quantity`, or `Measured` where Brian2 is not installed."""
    try:
        with _any_thread():
            from brian2.units.fundamentalunits import Quantity, get_or_create_dimension
    except ImportError:
        return measured(values, exponents)
    return Quantity(values, dim=get_or_create_dimension(exponents), force_quantity=True)


@contextmanager
def _any_thread() -> Iterator[None]:
    """Import Brian2 in whatever thread reads: it handles Ctrl-C itself, which only the main thread may set up."""
    if "brian2" in sys.modules or threading.current_thread() is threading.main_thread():
        yield
        return
    here, install = threading.current_thread(), signal.signal

    def set_up(number: int, handler: Any) -> Any:
        return None if threading.current_thread() is here else install(number, handler)

    signal.signal = set_up  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = install


def _gather(arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> Array | None:
    """Quantities of many runs as one; NaN where integers are absent, since a quantity has no mask."""
    values = arrays["values"]
    if values.dtype == object:
        return None
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.MaskedArray(values, dtype="f8").filled(np.nan)
    found: Array = quantity(values, tuple(facts["dimensions"]))
    return found


def _encode_unit(unit: Any) -> Parts:
    facts = attributes_of(
        dimensions=_vector(unit.dim)[0], scale=unit.scale, name=unit.name, dispname=unit.dispname,
        latexname=unit.latexname, compound=bool(unit.iscompound),
    )  # fmt: skip
    return Parts({"values": np.asarray(unit)[()]}, facts, {"unit": unit_of(_vector(unit.dim)[0])})


def _decode_unit(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    value, exponents = parts["values"], tuple(facts["dimensions"])
    try:
        with _any_thread():
            from brian2.units import allunits
            from brian2.units.fundamentalunits import Unit, get_or_create_dimension
    except ImportError:
        return measured(value, exponents)
    known = getattr(allunits, facts["name"], None)
    dimension = get_or_create_dimension(exponents)
    if isinstance(known, Unit) and known.dim is dimension and float(known) == float(value):
        return known
    return Unit(
        value, dim=dimension, scale=facts["scale"], name=facts["name"], dispname=facts["dispname"],
        latexname=facts["latexname"], iscompound=facts["compound"],
    )  # fmt: skip


_MONITORS = ("SpikeMonitor", "EventMonitor", "StateMonitor", "PopulationRateMonitor")


def _encode_monitor(monitor: Any) -> Parts:
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


def _decode_monitor(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Stored:
    return Stored("brian2.Monitor", parts, attributes_of(**facts), facts["monitor"])


CODECS = (
    Codec("brian2.Quantity", _is_quantity, _encode, _decode, gather=_gather, take=_taken),
    Codec(
        "brian2.Unit", lambda kind: _is_unit_class(kind, "Unit"), _encode_unit, _decode_unit, mutable=False
    ),
    Codec("brian2.Monitor", _is_monitor, _encode_monitor, _decode_monitor),
    Codec("brian.Value", _is_of_brian1, _refuse, lambda *_: None),
)
