"""What do the lists, tables and objects contain that the project's modules hold, and how is a change of them undone?

A variable that is bound anew is told by its object. What is changed in place (a list that grows, a table that is
filled, an attribute that is set) keeps its object: so what each object contains is noted, one level at a time.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from operator import is_
from types import CellType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import attrs
import numpy as np

from simkit.declare.reflection import is_a, module_of, own_attributes, slots_of

_MOST = 20_000  # entries of one object, beyond which it is not looked at
_BYTES = 1 << 20  # the same for arrays
_LACKING = object()
_SETS_ITEMS = {
    dict.__setitem__,
    OrderedDict.__setitem__,
}  # other tables may do more than keep what they are given


class Same:
    """An object, whatever it answers when it is compared."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _same(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether they are the same objects."""
    return len(some) == len(others) and all(map(is_, some, others))


_by_identity = attrs.cmp_using(eq=_same)


@attrs.frozen
class ByName:
    """The entries of a table, the elements of a set, or the attributes of an object: what stands under which key."""

    keys: tuple[Any, ...] = attrs.field(eq=_by_identity)
    values: tuple[Any, ...] = attrs.field(eq=_by_identity)

    def changed(self, after: Any, now: Any) -> ByName:
        """The change from this to another applied to a third."""
        old, new = self.entries(), after.entries()
        kept = {key: value for key, value in now.entries().items() if key in new or key not in old}
        kept.update({key: value for key, value in new.items() if old.get(key, _LACKING) is not value})
        return ByName(tuple(kept), tuple(kept.values()))

    def entries(self) -> dict[Any, Any]:
        """All as one table."""
        return dict(zip(self.keys, self.values, strict=True))


@attrs.frozen
class InOrder:
    """The elements of a list."""

    values: tuple[Any, ...] = attrs.field(eq=_by_identity)

    def changed(self, after: Any, now: Any) -> InOrder:
        """The change from this to another applied to a third: what was put behind or before it, else all."""
        old, new, n = self.values, after.values, len(self.values)
        if _same(old, new[:n]):
            return InOrder(now.values + new[n:])
        return InOrder(new[:-n] + now.values) if _same(old, new[-n:]) else InOrder(new)


@attrs.frozen
class Whole:
    """The bytes of an array, or the state of a generator."""

    data: bytes
    is_state: bool = False

    def changed(self, after: Any, now: Any) -> Whole:
        """The change from this to another applied to a third: of arrays byte by byte where all have as many."""
        if self.is_state or len({len(self.data), len(after.data), len(now.data)}) > 1:
            return Whole(after.data, self.is_state)
        before, new, old = (np.frombuffer(each.data, "u1") for each in (self, after, now))
        return Whole(np.where(before != new, new, old).tobytes())


Contents: TypeAlias = ByName | InOrder | Whole
CONTENTS = (ByName, InOrder, Whole)


def contents(namespaces: Iterable[Mapping[str, Any]], foreign: Set[int]) -> dict[Same, Contents]:
    """What the objects contain that these namespaces of modules hold, directly or in others.

    Parameters
    ----------
    foreign
        The identities of objects that belong to libraries.
    """
    spaces = list(namespaces)
    modules = {str(space.get("__name__")) for space in spaces}
    known: dict[Same, Contents] = {}
    seen = {*foreign, id(sys.modules), *map(id, spaces)}
    waiting = [value for space in spaces for name, value in list(space.items()) if not name.startswith("__")]
    while waiting:
        value = waiting.pop()
        try:
            if type(value) in _PLAIN or id(value) in seen:
                continue
            seen.add(id(value))
            if type(value) is tuple:
                waiting += value if len(value) <= _MOST else ()
                continue
            inside = _inside(value, modules)
            if inside is not None:
                known[Same(value)] = inside
            if not isinstance(inside, Whole | None) and not _PLAIN.issuperset(map(type, inside.values)):
                waiting += inside.values
        except Exception:  # noqa: BLE001 - its class may raise anything
            continue
        if type(value) is FunctionType:
            waiting += (
                *(value.__defaults__ or ()),
                *(value.__kwdefaults__ or {}).values(),
                *(value.__closure__ or ()),
            )
    return known


_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), ModuleType})


def _inside(value: Any, modules: Set[str] | None) -> Contents | None:
    """What one object contains, if that can be put back: of instances those of the classes in these modules, or all."""
    if is_a(value, dict, list, set, deque, bytearray) and len(value) > _MOST:
        return None
    if is_a(value, dict):
        is_usual = type(value).__setitem__ in _SETS_ITEMS and "__loader__" not in value
        return ByName(tuple(value), tuple(value.values())) if is_usual else None
    if type(value) is set:
        return ByName(tuple(value), (True,) * len(value))
    if type(value) in (list, deque):
        return InOrder(tuple(value))
    if type(value) is CellType:
        return InOrder(_of_cell(value))
    return _whole(value) or _of_instance(value, modules)


def _whole(value: Any) -> Whole | None:
    """The bytes of an array that is not too large, the state of a generator."""
    if type(value) is bytearray:
        return Whole(bytes(value))
    if is_a(value, np.ndarray):
        is_usual = value.flags.writeable and not value.dtype.hasobject and value.nbytes <= _BYTES
        return Whole(value.tobytes()) if is_usual else None
    generator = _generator(value)
    return None if generator is None else Whole(pickle.dumps(generator[0]()), is_state=True)


def _of_instance(value: Any, modules: Set[str] | None) -> ByName | None:
    """The attributes of a class, function or instance of these modules, or of any."""
    of = value if is_a(value, type, FunctionType) else type(value)
    is_ours = modules is None or of is SimpleNamespace or module_of(of) in modules
    return _attributes(value) if is_ours and not is_a(value, np.ndarray) else None


def _of_cell(cell: CellType) -> tuple[Any, ...]:
    """What a variable of a surrounding function is bound to, if it is."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _generator(value: Any) -> tuple[Callable[[], Any], Callable[[Any], object]] | None:
    """How the state of a generator of random numbers is asked for, and set."""
    if is_a(value, random.Random):
        return value.getstate, value.setstate
    if is_a(value, np.random.RandomState):
        return value.get_state, value.set_state
    if is_a(value, np.random.Generator):
        bits: Any = value.bit_generator
        return lambda: bits.state, lambda state: setattr(bits, "state", state)
    return None


def _attributes(value: Any) -> ByName:
    """The attributes of a class, function or instance, but those of Python's and simkit's own."""
    slots = {} if is_a(value, type) else slots_of(value)
    names = {name: held for name, held in {**own_attributes(value), **slots}.items() if _is_users(name)}
    return ByName(tuple(names), tuple(names.values()))


def _is_users(name: Any) -> bool:
    return type(name) is str and not name.startswith("__") and name != "_abc_impl"


def restore(states: Mapping[Same, Contents]) -> None:
    """Let objects contain again what was noted."""
    for one, state in states.items():
        with suppress(Exception):  # it can't be changed any more, or its class raises anything
            if _inside(one.value, None) != state:
                _put_back(one.value, state)


def _put_back(value: Any, state: Contents) -> None:
    if is_a(value, dict):
        assert isinstance(state, ByName)
        value.clear()
        for key, entry in state.entries().items():  # a Counter's update adds
            value[key] = entry
    elif is_a(value, set):
        assert isinstance(state, ByName)
        value.clear()
        value.update(state.keys)
    elif type(value) is CellType:
        assert isinstance(state, InOrder)
        if state.values:
            value.cell_contents = state.values[0]
    elif is_a(value, list, deque):
        assert isinstance(state, InOrder)
        value.clear()
        value.extend(state.values)
    elif isinstance(state, Whole):
        _put_back_whole(value, state.data)
    elif isinstance(state, ByName):
        _put_back_attributes(value, state)


def _put_back_whole(value: Any, data: bytes) -> None:
    if is_a(value, bytearray):
        value[:] = data
    elif is_a(value, np.ndarray):
        value[...] = np.frombuffer(data, value.dtype).reshape(value.shape)
    elif (generator := _generator(value)) is not None:
        generator[1](pickle.loads(data))


def _put_back_attributes(value: Any, state: ByName) -> None:
    put, remove = (type.__setattr__, type.__delattr__) if is_a(value, type) else (
        object.__setattr__,
        object.__delattr__,
    )  # fmt: skip
    before, held = state.entries(), _attributes(value).entries()
    for name in held.keys() - before.keys():
        remove(value, name)
    for name, entry in before.items():
        if held.get(name, _LACKING) is not entry:
            put(value, name, entry)
