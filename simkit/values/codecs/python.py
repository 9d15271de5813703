"""Python's own composite and exact types: sets, ranges, paths, times, decimals, generators of random numbers."""

from __future__ import annotations

import array
import collections
import copy
import datetime
import decimal
import fractions
import pathlib
import random
import types
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simkit.declare.plugins import Codec, Facts, Parts
from simkit.declare.reflection import module_of
from simkit.errors import Unstorable
from simkit.values.compare import digest
from simkit.values.registry import attributes_of


def _is_path(kind: type) -> bool:
    """Paths of this platform count as paths."""
    return issubclass(kind, pathlib.PurePath) and module_of(kind).startswith("pathlib")


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
        "", f"a time in a zone of type {module_of(kind)}.{kind.__qualname__} (zoneinfo's are kept)"
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


_FACTORIES = {kind.__name__: kind for kind in (bool, int, float, complex, str, list, tuple, dict, set)}


def _default_dict(value: collections.defaultdict[Any, Any]) -> Parts:
    """Its items; what makes a missing one is known again only if it is one of Python's own types."""
    factory = value.default_factory
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    known = _FACTORIES.get(name) is factory
    facts = {} if factory is None else {"factory" if known else "factory_in_code": name}
    return Parts({"items": dict(value)}, attributes_of(**facts))


def _default_dict_back(parts: Facts, facts: Facts) -> Any:
    return collections.defaultdict(_FACTORIES.get(facts.get("factory", "")), parts["items"])


def _typed_array(value: array.array[Any]) -> Parts:
    content = value.tounicode() if value.typecode in "uw" else np.array(value)
    return Parts({"values": content}, attributes_of(typecode=value.typecode))


def _typed_array_back(parts: Facts, facts: Facts) -> Any:
    content = parts["values"]
    if isinstance(content, str):  # "w" is of Python 3.13, which does away with "u"
        return array.array("w" if "w" in array.typecodes else "u", content)
    return array.array(facts["typecode"], content.tobytes())


_BITS = (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)


def _generator(value: np.random.Generator) -> Parts:
    if type(value.bit_generator) not in _BITS:
        raise Unstorable("", f"a generator of type {type(value.bit_generator).__qualname__}")
    return Parts({"state": value.bit_generator.state, "sequence": _sequence_of(value.bit_generator)})


def _sequence_of(bits: Any) -> np.random.SeedSequence | None:
    """What a generator's children are seeded from, and how many there are; a copy of simkit's own is NumPy's."""
    sequence = bits.seed_seq
    if not isinstance(sequence, np.random.SeedSequence):
        sequence = copy.copy(sequence)
    return sequence if isinstance(sequence, np.random.SeedSequence) else None


def _generator_back(parts: Facts, _: Facts) -> np.random.Generator:
    state = parts["state"]
    bits: Any = next(kind for kind in _BITS if kind.__name__ == state["bit_generator"])()
    sequence = parts.get("sequence")  # files written before have none
    if sequence is None:
        bits.state = state
    else:
        bits.__setstate__((state, sequence))
    return np.random.Generator(bits)


def _legacy_generator(value: np.random.RandomState) -> Parts:
    state: Any = value.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise Unstorable("", f"a RandomState of {state['bit_generator']}")
    return Parts({"state": state})


def _legacy_generator_back(parts: Facts, _: Facts) -> np.random.RandomState:
    generator = np.random.RandomState()
    generator.set_state(parts["state"])
    return generator


def _pythons_generator(value: random.Random) -> Parts:
    version, words, gauss = value.getstate()
    return Parts({"words": np.array(words, "u4"), "gauss": gauss}, attributes_of(version=version))


def _pythons_generator_back(parts: Facts, facts: Facts) -> random.Random:
    generator = random.Random()
    generator.setstate((facts["version"], tuple(parts["words"].tolist()), parts["gauss"]))
    return generator


_SEEDS = ("entropy", "spawn_key", "pool_size", "n_children_spawned")


def _seeds_back(parts: Facts, _: Facts) -> np.random.SeedSequence:
    return np.random.SeedSequence(parts["entropy"], **{name: parts[name] for name in _SEEDS[1:]})


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
    Codec("default dict", collections.defaultdict, _default_dict, _default_dict_back, is_result=False),
    Codec(
        "mapping proxy", types.MappingProxyType, _items, _of_items(types.MappingProxyType), is_result=False
    ),
    Codec(
        "namespace",
        types.SimpleNamespace,
        lambda value: Parts({"items": dict(vars(value))}),
        lambda parts, _: types.SimpleNamespace(**parts["items"]),
    ),
    Codec("typed array", array.array, _typed_array, _typed_array_back),
    Codec(
        "time zone",
        (datetime.timezone, zoneinfo.ZoneInfo),
        lambda value: Parts({"text": str(value)}, attributes_of(**zone_facts(value))),
        lambda _, facts: zone_of(facts),
        mutable=False,
    ),
    Codec("generator", np.random.Generator, _generator, _generator_back),
    Codec("RandomState", np.random.RandomState, _legacy_generator, _legacy_generator_back),
    Codec("Random", random.Random, _pythons_generator, _pythons_generator_back),
    Codec(
        "SeedSequence",
        np.random.SeedSequence,
        lambda value: Parts({name: getattr(value, name) for name in _SEEDS}),
        _seeds_back,
    ),
    Codec("path", _is_path, _path, _path_back, mutable=False),
)
