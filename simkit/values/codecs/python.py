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

from simkit.errors import Unstorable
from simkit.values.registry import Kept, Parts, attributes_of

Facts = Mapping[str, Any]


def codec_of(kind: type) -> Kept | None:
    """The codec of one of these types; paths of the platform count as paths."""
    if issubclass(kind, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
        return CODECS["path"]
    return _KEPT.get(kind)


def _collected(name: str, kind: Callable[[list[Any]], Any]) -> Kept:
    """A set: its items in an order that depends on nothing but them."""

    def encode(value: Any) -> Parts:
        from simkit.values.compare import digest  # which needs the codecs

        simple = len(kinds := set(map(type, value))) == 1 and kinds <= {int, str, bytes}
        return Parts({"items": sorted(value, key=None if simple else digest)})

    return Kept(name, encode, lambda parts, _: kind(parts["items"]))


def _text(name: str, kind: Callable[[str], Any]) -> Kept:
    """What its text tells completely."""
    return Kept(name, lambda value: Parts({"text": str(value)}), lambda parts, _: kind(parts["text"]))


def _ends(name: str, kind: Callable[..., Any]) -> Kept:
    def encode(value: Any) -> Parts:
        return Parts({"start": value.start, "stop": value.stop, "step": value.step})

    return Kept(name, encode, lambda parts, _: kind(parts["start"], parts["stop"], parts["step"]))


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


def _counter(value: collections.Counter[Any]) -> Parts:
    return Parts({"items": dict(value)})


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


_KEPT: dict[type, Kept] = {
    set: _collected("set", set),
    frozenset: _collected("frozenset", frozenset),
    range: _ends("range", range),
    slice: _ends("slice", slice),
    bytearray: Kept("bytearray", lambda v: Parts({"bytes": bytes(v)}), lambda p, _: bytearray(p["bytes"])),
    uuid.UUID: _text("uuid", uuid.UUID),
    decimal.Decimal: _text("decimal", decimal.Decimal),
    fractions.Fraction: Kept(
        "fraction",
        lambda value: Parts({"numerator": value.numerator, "denominator": value.denominator}),
        lambda parts, _: fractions.Fraction(parts["numerator"], parts["denominator"]),
    ),
    datetime.datetime: Kept("datetime", _datetime, _datetime_back, _naive_times),
    datetime.date: Kept(
        "date", _date, lambda parts, _: parts["date"].item(), lambda arrays, _: arrays["date"]
    ),
    datetime.time: Kept("time", _time, _time_back),
    datetime.timedelta: Kept("timedelta", _timedelta, _timedelta_back, _timedeltas),
    collections.Counter: Kept("counter", _counter, lambda parts, _: collections.Counter(parts["items"])),
    collections.OrderedDict: Kept(
        "ordered dict",
        lambda value: Parts({"items": dict(value)}),
        lambda parts, _: collections.OrderedDict(parts["items"]),
    ),
    collections.deque: Kept(
        "deque", _deque, lambda parts, facts: collections.deque(parts["items"], facts["maxlen"])
    ),
    np.random.Generator: Kept("generator", _generator, _generator_back),
}
CODECS = {codec.name: codec for codec in (*_KEPT.values(), Kept("path", _path, _path_back))}
