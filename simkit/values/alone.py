"""A run that travels alone: most of what it costs on its way were arrays of one element.

Where runs come one by one, as from a strategy, their points and batches go as plain numbers; arrays are made of them
once somebody asks for these, of many runs together.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import NATIVE, Values, single
from simkit.declare.plugins import OWN
from simkit.values.batch import Batch, Portion, Restored, Status, one_batch
from simkit.values.columns import Column, Leaf
from simkit.values.decode import decode
from simkit.values.instances import loaded, revived
from simkit.values.registry import is_numpy_scalar

_NAMES = tuple(field.name for field in attrs.fields(Batch))
_fields = operator.attrgetter(*_NAMES)
_MOST = 2**63
_STATUS, _STARTED, _SECONDS, _SEED = map(np.dtype, ("u1", "f8", "f4", "u8"))
_EXACT = frozenset("?bhilqBHILQdD")  # types whose elements are Python's without loss
_CHARS: Mapping[type, str] = {float: "d", int: np.dtype("i8").char, bool: "?", complex: "D"}
_PYTHONS = frozenset(kind.__name__ for kind in _CHARS)
_Number = tuple[str, str, Any]  # the type of a leaf, of its array, and the element


def number(value: Any) -> _Number | None:
    """What is kept of a number: the type of a leaf, of its array, and the element; None for any other value."""
    kind = type(value)
    char = _CHARS.get(kind)
    if char is not None:
        return (kind.__name__, char, value) if kind is not int or -_MOST <= value < _MOST else None
    if not is_numpy_scalar(kind) or kind in OWN.by_type or value.dtype.char not in _EXACT:
        return None
    return "scalar", value.dtype.char, value.item()


def _numbers(values: Mapping[str, Any]) -> dict[str, _Number]:
    """Those of the values that are numbers, by name."""
    return {name: one for name, value in values.items() if (one := number(value)) is not None}


class OneRun(Batch):
    """A batch of one run that is done, and gave numbers only: its arrays are made once somebody asks for them.

    Where runs come one by one, to make them and take them apart again is most of what a run costs the owner.

    Attributes
    ----------
    told
        What `of` was given.
    """

    __slots__ = ("told",)
    told: tuple[Any, ...]

    def __new__(cls, *given: Any, **named: Any) -> Batch:  # type: ignore[misc]
        """For whoever changes something of one: the copy is a batch as any other."""
        return Batch(*given, **named)

    @classmethod
    def made(
        cls,
        run: int,
        started: float,
        seconds: float,
        seed: int | None,
        parameters: Mapping[str, Any],
        results: Mapping[str, Any],
    ) -> OneRun | None:
        """The batch of a run of this process; None where it computed or gave anything but numbers."""
        computed, gave = _numbers(parameters), _numbers(results)
        if len(computed) < len(parameters) or len(gave) < len(results):
            return None
        nbytes = 24 + 16 * (len(computed) + len(gave))  # as if all were complex
        return cls.of((run, started, seconds, seed, 0, nbytes, computed, gave))

    def from_worker(self, number: int) -> tuple[Any, ...]:
        """What `of` takes at the other end."""
        return *self.told[:4], number, *self.told[5:]

    @classmethod
    def of(cls, told: tuple[Any, ...]) -> OneRun:
        """The batch of a run: its number, when it began and how long it took, seed, worker, bytes, and what it gave."""
        one: OneRun = object.__new__(cls)
        set_field = object.__setattr__
        set_field(one, "told", told)
        set_field(one, "nbytes", told[5])
        set_field(one, "files", ())
        return one

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:  # a field that is not set yet
            raise AttributeError(name)
        for field, value in zip(_NAMES, _fields(_made([self])), strict=True):
            object.__setattr__(self, field, value)
        return object.__getattribute__(self, name)

    @property
    def count(self) -> int:
        """It is one run."""
        return 1

    @property
    def is_done(self) -> bool:
        """What others are is no such batch."""
        return True

    @property
    def run(self) -> int:
        """Its number."""
        return int(self.told[0])

    @property
    def has_seeds(self) -> bool:
        """Whether its seed is known."""
        return self.told[3] is not None

    def values(self) -> dict[str, Any]:
        """What it computed and gave, by name."""
        parameters, results = self.told[6:]
        return {name: _value(*number) for name, number in (*parameters.items(), *results.items())}


def _value(kind: str, char: str, element: Any) -> Any:
    """A number as the run gave it."""
    if kind in _PYTHONS:
        return element
    return revived(decode(Column(1, ((None, Leaf(kind, np.array([element], char))),)))[0], loaded)


def _made(ones: Sequence[OneRun]) -> Batch:
    """Some single runs as one batch, in the order of their numbers."""
    runs, started, seconds, seeds, workers, nbytes, parameters, results = zip(
        *sorted((one.told for one in ones), key=operator.itemgetter(0)), strict=True
    )
    return Batch(
        np.array(runs),
        np.full(len(runs), Status.DONE, _STATUS),
        np.array(started, _STARTED),
        np.array(seconds, _SECONDS),
        _columns(parameters),
        _columns(results),
        None if seeds[0] is None else np.array(seeds, _SEED),
        worker=workers[0] if len(runs) == 1 else np.array(workers),
        nbytes=sum(nbytes),
    )


def _columns(rows: Sequence[Mapping[str, _Number]]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for name, (kind, char, _) in rows[0].items():
        columns[name] = Column(
            len(rows), ((None, Leaf(kind, np.array([row[name][2] for row in rows], char))),)
        )
    return columns


def _shape(numbers: Mapping[str, _Number]) -> tuple[tuple[str, str, str], ...]:
    return tuple((name, kind, char) for name, (kind, char, _) in numbers.items())


def gathered(batches: Sequence[Batch]) -> Batch:
    """All runs of some batches as one batch, as `one_batch` makes it."""
    ones = [batch for batch in batches if isinstance(batch, OneRun)]
    shapes = {(one.has_seeds, *map(_shape, one.told[6:])) for one in ones}
    return _made(ones) if len(ones) == len(batches) and len(shapes) == 1 else one_batch(batches)


def element_of(values: Values) -> float | None:
    """A point's value of a name where it is a number of Python's; else None."""
    array = values.array
    is_one = values.native and array.shape == (1,) and values.present is None and array.dtype in NATIVE
    return array.item() if is_one else None


class OnePoint(Portion):
    """A portion of one run at a point of Python's numbers, which are made arrays once somebody asks for these.

    Attributes
    ----------
    run, point
        Its number, and the explored values by name.
    """

    __slots__ = ("point", "run")
    memory = None
    stops = None
    run: int
    point: Mapping[str, float]

    def __new__(cls, *given: Any, **named: Any) -> Portion:  # type: ignore[misc]
        """For whoever changes something of one: the copy is a portion as any other."""
        return Portion(*given, **named)

    @classmethod
    def of(
        cls, run: int, point: Mapping[str, float], restorable: Mapping[int, Restored] | None = None
    ) -> OnePoint:
        """The portion of a run."""
        one: OnePoint = object.__new__(cls)
        set_field = object.__setattr__
        set_field(one, "run", run)
        set_field(one, "point", point)
        set_field(one, "restorable", {} if restorable is None else restorable)
        return one

    def __getattr__(self, name: str) -> Any:
        if name not in ("runs", "points"):
            raise AttributeError(name)
        is_runs = name == "runs"
        made = np.array([self.run]) if is_runs else {key: single(value) for key, value in self.point.items()}
        object.__setattr__(self, name, made)
        return made

    def __len__(self) -> int:
        return 1
