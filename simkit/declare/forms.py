"""How a space is built up, and the values that its points have."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, cast

import attrs
import numpy as np

from simkit.declare.expressions import SHOWN, arguments_of, evaluate, word
from simkit.declare.feed import Upstream
from simkit.declare.reflection import is_a, told, traceback_of
from simkit.errors import SimkitError, caller, shown_path

Index: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@attrs.frozen(eq=False)
class Values:
    """One name's values at ``n`` points.

    A list's elements come back as they are (``native``), an array's as NumPy scalars or rows.
    ``present`` tells where a sum of spaces leaves the name to its normal value.
    """

    array: Array
    native: bool
    present: Array | None = None

    def __reduce__(self) -> Any:  # half the time of attrs' own way, which messages to workers are full of
        array = self.array
        if self.native and array.shape == (1,) and array.dtype in NATIVE and self.present is None:
            return single, (array.item(),)
        return Values, (array, self.native, self.present)

    def __len__(self) -> int:
        return len(self.array)

    @property
    def absent(self) -> Array:
        """Where there is no value, shape ``(n,)``."""
        return np.zeros(len(self), bool) if self.present is None else ~self.present

    def take(self, index: Index) -> Values:
        """The values at these positions."""
        present = None if self.present is None else self.present[index]
        return Values(self.array[index], self.native, present)

    def elements(self) -> list[Any]:
        """The declared elements as Python objects, one per point."""
        if self.native:
            return list(self.array.tolist())
        if self.array.ndim > 1:
            self.array.flags.writeable = False  # its rows are handed out
        return list(self.array)

    @property
    def words(self) -> str:
        """The values as a list could be written, the middle of a long one left out: ``[1, 2, 3, 4, …, 9]``."""
        if len(self) <= SHOWN:
            return f"[{', '.join(map(word, self.elements()))}]"
        first, last = self.take(np.arange(SHOWN - 2)), self.take(np.array([len(self) - 1]))
        return f"[{', '.join(map(word, first.elements()))}, …, {word(*last.elements())}]"

    def shown(self) -> Array:
        """The values as an array, masked where the name is absent."""
        return self.array if self.present is None else np.ma.MaskedArray(self.array, ~self.present)


def single(element: float) -> Values:
    """One number of Python's, which travels to a worker sooner than an array does."""
    return Values(np.array([element]), native=True)


def objects(elements: Sequence[Any]) -> Array:
    """A one-dimensional object array, whatever the elements are."""
    array = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        array[i] = element
    return array


def joined(size: int, parts: Sequence[tuple[Index, Values | None]]) -> Values:
    """Values put together from parts at given positions; ``None`` is a part that lacks the name."""
    given = [(at, part) for at, part in parts if part is not None]
    same = len({(p.native, p.array.dtype, p.array.shape[1:]) for _, p in given}) == 1
    first = given[0][1]
    if same:
        array = np.zeros((size, *first.array.shape[1:]), first.array.dtype)
        for at, part in given:
            array[at] = part.array
    else:
        array = np.empty(size, object)
        for at, part in given:
            array[at] = objects(part.elements())
    present = np.zeros(size, bool)
    for at, part in given:
        present[at] = True if part.present is None else part.present
    native = first.native if same else True
    return Values(array, native, None if present.all() else present)


TRIAL = "trial"
# What a space says of its runs besides values; the slash keeps them apart from all names of users.
BLOCK_NUMBER, ROLE = "runs/block", "runs/role"
# What is known of a point that a strategy asked for: in which generation, after how many answers it was asked for,
# and the how many-th answer it was.
GENERATION, ASKED, TOLD = "runs/generation", "runs/asked", "runs/told"
# With the value that they have where a space says nothing.
MARKS = {TRIAL: 0, BLOCK_NUMBER: -1, ROLE: 0, GENERATION: -1, ASKED: -1, TOLD: -1}
BLOCK = 65_536
Test = str | Callable[..., Any]
Closed = Mapping[str, Sequence[str]]


class Form(Protocol):
    """Points in order, each a value for every name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the points give, in declaration order."""

    @property
    def optional(self) -> frozenset[str]:
        """The names that some points may lack."""

    @property
    def parts(self) -> tuple[Form, ...]:
        """The forms that it is built from; none where it holds the values itself."""

    def __len__(self) -> int: ...

    def at(self, index: Index) -> dict[str, Values]:
        """The values at these points."""


class Atom(Form, Protocol):
    """A form that is not built from others."""

    @property
    def words(self) -> str:
        """How it could be written, long lists abbreviated: ``explore(x=[1, 2])``."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever declared it should know, though it is no error."""

    @property
    def design(self) -> Mapping[str, Any]:
        """Which design of sensitivity analysis the points belong to, whatever its size; empty without one."""

    @property
    def feeds(self) -> tuple[Upstream, ...]:
        """The arguments that are made from runs of other experiments."""

    def axes(self) -> Mapping[str, Values]:
        """Some or all values of each name, as they were declared."""


def atoms(form: Form) -> Iterator[Atom]:
    """The forms that hold the values of a form, in order."""
    if not form.parts:
        yield cast(Atom, form)
    for part in form.parts:
        yield from atoms(part)


@attrs.frozen(eq=False)
class Zip:
    """Names that move together."""

    columns: Mapping[str, Values]
    size: int
    parts: tuple[Form, ...] = ()
    remarks: tuple[str, ...] = ()
    design: Mapping[str, Any] = attrs.field(factory=dict)
    feeds: tuple[Upstream, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def words(self) -> str:
        axes = (f"{name}={values.words}" for name, values in self.columns.items())
        return f"explore({', '.join(axes)})"

    def axes(self) -> Mapping[str, Values]:
        return self.columns

    @property
    def optional(self) -> frozenset[str]:
        return frozenset(name for name, column in self.columns.items() if column.present is not None)

    def __len__(self) -> int:
        return self.size

    def at(self, index: Index) -> dict[str, Values]:
        return {name: column.take(index) for name, column in self.columns.items()}


@attrs.frozen(eq=False)
class Times:
    """Every point of each part with every point of the others, the last part fastest."""

    parts: tuple[Form, ...]
    names: tuple[str, ...]

    @property
    def optional(self) -> frozenset[str]:
        return frozenset().union(*(part.optional for part in self.parts))

    def __len__(self) -> int:
        return math.prod(map(len, self.parts))

    def at(self, index: Index) -> dict[str, Values]:
        blocks: list[dict[str, Values]] = []
        for part in reversed(self.parts):
            index, position = np.divmod(index, max(1, len(part)))
            blocks.append(part.at(position))
        return dict(chain.from_iterable(block.items() for block in reversed(blocks)))


@attrs.frozen(eq=False)
class Plus:
    """First one form's points, then the other's."""

    first: Form
    second: Form
    names: tuple[str, ...]

    @property
    def optional(self) -> frozenset[str]:
        lacking = set(self.first.names) ^ set(self.second.names)
        return (self.first.optional | self.second.optional | lacking) - set(MARKS)

    @property
    def parts(self) -> tuple[Form, ...]:
        return self.first, self.second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def at(self, index: Index) -> dict[str, Values]:
        before = index < len(self.first)
        here, there = np.flatnonzero(before), np.flatnonzero(~before)
        first = self.first.at(index[here])
        second = self.second.at(index[there] - len(self.first))
        sides = ((here, first), (there, second))
        return {
            name: joined(len(index), [(rows, side.get(name, _unmarked(name, rows))) for rows, side in sides])
            for name in self.names
        }


def _unmarked(name: str, rows: Index) -> Values | None:
    """What runs have for a name that their side of a sum lacks: nothing, unless it is a mark."""
    return Values(np.full(len(rows), MARKS[name]), native=True) if name in MARKS else None


@attrs.frozen(eq=False)
class Repeat:
    """Each point several times, told apart by the trial number."""

    inner: Form
    times: int

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.inner.names, TRIAL)

    @property
    def optional(self) -> frozenset[str]:
        return self.inner.optional

    def __len__(self) -> int:
        return len(self.inner) * self.times

    @property
    def parts(self) -> tuple[Form, ...]:
        return (self.inner,)

    def at(self, index: Index) -> dict[str, Values]:
        point, trial = np.divmod(index, self.times)
        return {**self.inner.at(point), TRIAL: Values(trial, native=True)}


@attrs.frozen(eq=False)
class Subset:
    """Chosen points of a form, in any order."""

    inner: Form
    index: Index

    @property
    def names(self) -> tuple[str, ...]:
        return self.inner.names

    @property
    def optional(self) -> frozenset[str]:
        return self.inner.optional

    @property
    def parts(self) -> tuple[Form, ...]:
        return (self.inner,)

    def __len__(self) -> int:
        return len(self.index)

    def at(self, index: Index) -> dict[str, Values]:
        return self.inner.at(self.index[index])


@attrs.frozen(eq=False, slots=False)
class Where:
    """The points that pass a test, found when they are first asked for."""

    inner: Form
    test: Test
    where: str

    def __reduce__(self) -> tuple[Any, ...]:
        return Subset, (self.inner, self.index)  # the test may be a lambda, and has done its work

    @cached_property
    def index(self) -> Index:
        blocks = range(0, len(self.inner), BLOCK)
        kept = [
            start + np.flatnonzero(passing(self.test, self.inner.at(block), len(block), self.where))
            for start in blocks
            for block in [_block(start, len(self.inner))]
        ]
        return np.concatenate(kept) if kept else np.empty(0, np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        return self.inner.names

    @property
    def optional(self) -> frozenset[str]:
        return self.inner.optional

    @property
    def parts(self) -> tuple[Form, ...]:
        return (self.inner,)

    def __len__(self) -> int:
        return len(self.index)

    def at(self, index: Index) -> dict[str, Values]:
        return self.inner.at(self.index[index])


def _block(start: int, size: int) -> Index:
    return np.arange(start, min(start + BLOCK, size))


def passing(
    test: Test, columns: Mapping[str, Values], size: int, where: str, closed: Closed = MappingProxyType({})
) -> Array:
    """Which points pass an expression or a function of some of the names.

    What an expression compares with a name that a point lacks is neither true nor false; the point passes where the
    rest decides. A function is not asked of a point that lacks one of its names: it does not pass.

    Parameters
    ----------
    closed
        The words that a column may hold, by name, where no others are possible.

    Raises
    ------
    SimkitError
        For an expression that can't be read, and where a function's answer is not true or false.
    """
    if isinstance(test, str):
        used: dict[str, Values] = {}

        def column(name: str) -> Array:
            used.setdefault(name, columns[name])
            return used[name].array

        passed = evaluate(test, columns, column, where, closed=closed, absent=lambda name: used[name].absent)
        if np.shape(passed) not in ((), (size,)):
            msg = (
                f"{where}: the condition {test!r} has more than one answer per run: reduce the values in a function, "
                "as in where(lambda v: v.max() > 1)"
            )
            raise SimkitError(msg)
        return np.broadcast_to(np.ma.filled(passed, False), (size,))
    names = arguments_of(test, tuple(columns), where)
    lists = [columns[name].elements() for name in names]
    known = ~np.any([np.zeros(size, bool), *(columns[name].absent for name in names)], axis=0)
    points = zip(*lists, strict=True) if lists else iter([()] * size)
    verdicts = (
        ok and _asked(test, names, point, where) for ok, point in zip(known.tolist(), points, strict=True)
    )
    return np.fromiter(verdicts, bool, size)


def _asked(test: Callable[..., Any], names: list[str], point: tuple[Any, ...], where: str) -> bool:
    """What a function says of one point; where it raises, at which."""
    try:
        answer = test(*point)
    except Exception as error:
        last = traceback.extract_tb(traceback_of(error))[-1]
        values = ", ".join(f"{name}={word(value)}" for name, value in zip(names, point, strict=True))
        place = f"at {values}: {shown_path(last.filename)}:{last.lineno}"
        raise SimkitError(f"{where}: the function of where() raised {told(error)}\n    {place}") from error
    return _verdict(answer, where)


def _verdict(answer: Any, where: str) -> bool:
    """What a function says of a point; a number that it forgot to compare is no answer."""
    is_bools = is_a(answer, np.ndarray) and answer.dtype == bool
    if is_a(answer, bool, np.bool_) or (is_bools and answer.ndim == 0):
        return bool(answer)
    cure = "say .all() or .any() of it" if is_bools else "compare it, as in where(lambda x: x.max() > 1)"
    msg = (
        f"{where}: the function answers {word(answer)} (a {type(answer).__name__}), not true or false: {cure}"
    )
    raise SimkitError(msg)


def times(parts: tuple[Form, ...]) -> Form:
    """The product of forms; products of products become one."""
    flat: list[Form] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Times) else (part,))
    if len(flat) == 1:
        return flat[0]
    names = tuple(chain.from_iterable(part.names for part in flat))
    twice = sorted({name for name in names if names.count(name) > 1})
    if ROLE in twice:
        msg = f"{caller()}: one design of sensitivity analysis can't be multiplied with another"
        raise SimkitError(msg)
    if twice:
        msg = (
            f"{caller()}: explored twice: {', '.join(dict.fromkeys(name.partition('/')[0] for name in twice))}\n"
            "    give each name one axis, or list points one after the other with +"
        )
        raise SimkitError(msg)
    return Times(tuple(flat), names)


def plus(first: Form, second: Form) -> Form:
    """One form's points after the other's."""
    return Plus(first, second, tuple(dict.fromkeys((*first.names, *second.names))))


def axes(form: Form) -> Iterator[tuple[str, Values]]:
    """The values of each name as they were declared, whatever the points are built from."""
    for atom in atoms(form):
        yield from atom.axes().items()


NATIVE = {np.array([kind()]).dtype for kind in (float, int, bool)}
