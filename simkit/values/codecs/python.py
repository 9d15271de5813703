"""Python's own composite and exact types: sets, ranges, paths, times, decimals, generators of random numbers."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import pathlib
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simkit.declare.plugins import Codec, Facts, Parts
from simkit.errors import Unstorable
from simkit.values.compare import digest
from simkit.values.registry import attributes_of


def _is_path(kind: type) -> bool:
    """Paths of this platform count as paths."""
    return issubclass(kind, pathlib.PurePath) and kind.__module__.startswith("pathlib")


def _members(value: Any) -> Parts:
    """A set: its items in an order that depends on nothing but them."""
    simple = len(kinds := set(map(type, value))) == 1 and kinds <= {int, str, bytes}
    return Parts({"items": sorted(value, key=None if simple else digest)})


def _items(value: Any) -> Parts:
    return Parts({"items": dict(value)})


def _of_items(kind: Callable[[Any], Any]) -> Callable[[Facts, Facts], Any]:
    return lambda parts, _: kind(parts["items"])


def _text(name: str, kind: Any) -> Codec:
    """What its text tells completely."""
    return Codec(
        name,
        kind,
        lambda value: Parts({"text": str(value)}),
        lambda parts, _: kind(parts["text"]),
        mutable=False,
    )


def _ends(name: str, kind: Any) -> Codec:
    def encode(value: Any) -> Parts:
        return Parts({"start": value.start, "stop": value.stop, "step": value.step})

    def decode(parts: Facts, _: Facts) -> Any:
        return kind(parts["start"], parts["stop"], parts["step"])

    return Codec(name, kind, encode, decode, mutable=False)


def _path(value: pathlib.PurePath) -> Parts:
    flavour = "Path" if isinstance(value, pathlib.Path) else type(value).__name__
    return Parts({"text": str(value)}, attributes_of(flavour=flavour))


def _path_back(parts: Facts, facts: Facts) -> pathlib.PurePath:
    kinds: dict[str, Callable[[str], pathlib.PurePath]] = {
        "Path": pathlib.Path,
        "PurePosixPath": pathlib.PurePosixPath,
        "PureWindowsPath": pathlib.PureWindowsPath,
    }
    return kinds[facts["flavour"]](parts["text"])


def zone_facts(zone: datetime.tzinfo | None) -> dict[str, Any]:
    """A time zone as JSON; nothing for none."""
    if zone is None:
        return {}
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key:
        return {"zone": zone.key}
    if type(zone) is datetime.timezone:
        seconds = zone.utcoffset(None).total_seconds()
        return {"offset": seconds, **({} if zone is datetime.UTC else {"name": zone.tzname(None)})}
    kind = type(zone)
    raise Unstorable(
        "", f"a time in a zone of type {kind.__module__}.{kind.__qualname__} (zoneinfo's are kept)"
    )


def zone_of(facts: Facts) -> datetime.tzinfo | None:
    """The time zone of these facts."""
    if "zone" in facts:
        return zoneinfo.ZoneInfo(facts["zone"])
    if "offset" not in facts:
        return None
    if "name" not in facts:
        return datetime.UTC
    offset = datetime.timedelta(seconds=facts["offset"])
    plain = datetime.timezone(offset)
    return plain if plain.tzname(None) == facts["name"] else datetime.timezone(offset, facts["name"])


def _datetime(value: datetime.datetime) -> Parts:
    facts = attributes_of(**zone_facts(value.tzinfo), **({"fold": 1} if value.fold else {}))
    return Parts({"time": np.datetime64(value.replace(tzinfo=None), "us")}, facts)


def _datetime_back(parts: Facts, facts: Facts) -> datetime.datetime:
    plain: datetime.datetime = parts["time"].item()
    return plain.replace(tzinfo=zone_of(facts), fold=facts.get("fold", 0))


def _naive_times(arrays: Mapping[str, Any], facts: Facts) -> Any:
    return arrays["time"] if not facts else None


def _date(value: datetime.date) -> Parts:
    return Parts({"date": np.datetime64(value, "D")})


def _time(value: datetime.time) -> Parts:
    facts = attributes_of(**zone_facts(value.tzinfo), **({"fold": 1} if value.fold else {}))
    return Parts({"text": value.replace(tzinfo=None).isoformat()}, facts)


def _time_back(parts: Facts, facts: Facts) -> datetime.time:
    plain = datetime.time.fromisoformat(parts["text"])
    return plain.replace(tzinfo=zone_of(facts), fold=facts.get("fold", 0))


def _timedelta(value: datetime.timedelta) -> Parts:
    return Parts({"microseconds": value // datetime.timedelta(microseconds=1)})


def _timedelta_back(parts: Facts, _: Facts) -> datetime.timedelta:
    seconds, microseconds = divmod(parts["microseconds"], 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    return datetime.timedelta(days, seconds, microseconds)


def _timedeltas(arrays: Mapping[str, Any], _: Facts) -> Any:
    column = arrays["microseconds"]
    if column.dtype.kind != "i":  # beyond what NumPy holds
        return None
    found = np.ma.getdata(column).astype("m8[us]")
    found[np.ma.getmaskarray(column)] = np.timedelta64("NaT", "us")
    return found


def _deque(value: collections.deque[Any]) -> Parts:
    return Parts({"items": list(value)}, attributes_of(maxlen=value.maxlen))


_BITS = (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)


def _generator(value: np.random.Generator) -> Parts:
    if type(value.bit_generator) not in _BITS:
        raise Unstorable("", f"a generator of type {type(value.bit_generator).__qualname__}")
    return Parts({"state": value.bit_generator.state})


def _generator_back(parts: Facts, _: Facts) -> np.random.Generator:
    state = parts["state"]
    bits = next(kind for kind in _BITS if kind.__name__ == state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)


def _fraction(value: fractions.Fraction) -> Parts:
    return Parts({"numerator": value.numerator, "denominator": value.denominator})


CODECS = (
    Codec("set", set, _members, _of_items(set)),
    Codec("frozenset", frozenset, _members, _of_items(frozenset), mutable=False),
    _ends("range", range),
    _ends("slice", slice),
    Codec("bytearray", bytearray, lambda v: Parts({"bytes": bytes(v)}), lambda p, _: bytearray(p["bytes"])),
    _text("uuid", uuid.UUID),
    _text("decimal", decimal.Decimal),
    Codec(
        "fraction",
        fractions.Fraction,
        _fraction,
        lambda parts, _: fractions.Fraction(parts["numerator"], parts["denominator"]),
        mutable=False,
    ),
    Codec("datetime", datetime.datetime, _datetime, _datetime_back, mutable=False, gather=_naive_times),
    Codec(
        "date",
        datetime.date,
        _date,
        lambda parts, _: parts["date"].item(),
        mutable=False,
        gather=lambda arrays, _: arrays["date"],
    ),
    Codec("time", datetime.time, _time, _time_back, mutable=False),
    Codec("timedelta", datetime.timedelta, _timedelta, _timedelta_back, mutable=False, gather=_timedeltas),
    Codec(
        "counter",
        collections.Counter,
        _items,
        _of_items(collections.Counter),
        is_result=False,
    ),
    Codec(
        "ordered dict",
        collections.OrderedDict,
        _items,
        _of_items(collections.OrderedDict),
        is_result=False,
    ),
    Codec(
        "deque",
        collections.deque,
        _deque,
        lambda parts, facts: collections.deque(parts["items"], facts["maxlen"]),
    ),
    Codec("generator", np.random.Generator, _generator, _generator_back),
    Codec("path", _is_path, _path, _path_back, mutable=False),
)
