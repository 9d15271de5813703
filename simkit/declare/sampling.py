"""Points drawn from distributions: quasi-random, by Latin hypercube, or at random."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, get_args

import attrs
import numpy as np

from simkit.declare.axes import declared
from simkit.declare.feed import Upstream
from simkit.declare.forms import BLOCK, Array, Form, Index, Values, Zip
from simkit.declare.space import Space, named
from simkit.errors import SimkitError, caller, did_you_mean

Method = Literal["sobol", "halton", "lhs", "random"]
_MOST_SOBOL = 2**30


def sample(
    n: int,
    points: Mapping[str, Any] | None = None,
    /,
    *,
    method: Method = "sobol",
    seed: int = 0,
    **axes: Any,
) -> Space:
    """Points spread over ranges and distributions, drawn when they are asked for.

    Parameters
    ----------
    n
        How many points.
    points
        A mapping for dotted names: ``sample(64, {"syn.w": (0, 1)}, dt=[0.1, 0.2])``.
    method
        ``sobol`` and ``halton`` (scrambled) and ``lhs`` (Latin hypercube) fill the space evenly, ``random``
        does not. All but ``lhs`` keep their first points when ``n`` grows. Points are SciPy's:
        `scipy.stats.qmc` with ``rng=seed``.
    seed
        Another one gives other points. The runs' own random streams do not depend on it.
    **axes
        For each name a pair, uniform between its ends (floats, or quantities of one unit); a list or array,
        whose elements are equally likely; or a distribution of SciPy's, frozen (``norm(0, 2)``) or new
        (``Normal(mu=0, sigma=2)``), whose values are floats, or ints where it is discrete.

    Returns
    -------
    Space
        ``n`` points.

    Raises
    ------
    SimkitError
        For an axis that is none of these, a pair with its ends the wrong way round, an unknown method, or a
        name that is given twice.

    Notes
    -----
    ``scipy.stats.uniform(2, 5)`` reaches from 2 to 7: its second argument is the width. ``(2, 5)`` and
    ``Uniform(a=2, b=5)`` reach from 2 to 5.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> space = sample(64, x=(0, 1), w=norm(0, 2), k=[1, 2, 4], seed=1)
    >>> {name: column.shape for name, column in space.columns().items()}
    {'x': (64,), 'w': (64,), 'k': (64,)}
    """
    size, given = count("sample", n, "points"), marginals("sample", points, axes)
    sequence = Sequence(checked_method(method, size), size, len(given), checked_seed(seed))
    words = written(f"sample({n}", given, f"method={method!r}, seed={seed}")
    return Space(Sampled(given, sequence, words, (*balance(method, size), *choices(given))))


def marginals(verb: str, points: Any, axes: Mapping[str, Any]) -> dict[str, Marginal]:
    """What was given for each name.

    Raises
    ------
    SimkitError
        For no names, a name given twice, and what is no pair, list or distribution.
    """
    given = named(verb, points, axes, "(0, 1)")
    if not given:
        msg = f"{caller()}: {verb}() needs its axes: give each its name, as in {verb}(256, x=(0, 1), k=[1, 2, 4])"
        raise SimkitError(msg)
    return {name: marginal(name, axis) for name, axis in given.items()}


def count(verb: str, n: Any, what: str) -> int:
    """A number of points or blocks.

    Raises
    ------
    SimkitError
        For anything but a whole number from 1 on.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        first = (
            f"{verb} needs its number of {what}"
            if callable(n)
            else f"{verb}({n!r}): it is no whole number from 1 on"
        )
        msg = f"{caller()}: {first}\n    the number of {what} comes first: {verb}(256, x=(0, 1))"
        raise SimkitError(msg)
    return int(n)


def checked_method(method: Any, size: int) -> Method:
    """A method that can draw so many points."""
    if method not in get_args(Method):
        known = ", ".join(get_args(Method))
        hint = did_you_mean(str(method), get_args(Method))
        msg = f"{caller()}: method={method!r} is unknown{hint}\n    available: {known}"
        raise SimkitError(msg)
    if method == "sobol" and size > _MOST_SOBOL:
        msg = f"{caller()}: a Sobol sequence has 2**30 = {_MOST_SOBOL:,} points, not {size:,}: take method='halton'"
        raise SimkitError(msg)
    return method  # type: ignore[no-any-return]


def checked_seed(seed: Any) -> int:
    """A seed: without one, the points would be others each time."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        msg = f"{caller()}: seed={seed!r}: give a whole number from 0 on"
        raise SimkitError(msg)
    return int(seed)


def balance(method: str, size: int) -> tuple[str, ...]:
    """What to know of a Sobol sequence that is cut off in the middle of a round."""
    if method != "sobol" or not size & (size - 1):
        return ()
    below = 1 << (size.bit_length() - 1)
    return (
        f"Sobol points fill the space evenly at powers of two: rather than {size}, {below} or {2 * below}",
    )


# The values of one name


class Marginal(Protocol):
    """How numbers between 0 and 1 become the values of one name."""

    @property
    def words(self) -> str:
        """As it was written, or could be."""

    def values(self, unit: Array) -> Values:
        """The values that belong to numbers between 0 and 1, shape ``(n,)``."""


@attrs.frozen(eq=False)
class Pair:
    """Uniform between two numbers or quantities."""

    low: Any
    high: Any
    words: str

    def values(self, unit: Array) -> Values:
        """Values between the ends."""
        array = unit * (self.high - self.low) + self.low
        return Values(array, native=type(array) is np.ndarray)


@attrs.frozen(eq=False)
class OneOf:
    """One of the elements of a list, all equally likely."""

    elements: Values

    @property
    def words(self) -> str:
        """The list, abbreviated."""
        return self.elements.words

    @property
    def all_words(self) -> str:
        """The whole list."""
        return f"[{', '.join(map(_one_line, self.elements.elements()))}]"

    def values(self, unit: Array) -> Values:
        """The elements as they are."""
        last = len(self.elements) - 1
        return self.elements.take(np.minimum((unit * (last + 1)).astype(np.int64), last))


_TINY = 2.0**-31  # half a step of SciPy's Sobol points


@attrs.frozen(eq=False)
class Distribution:
    """Values with a distribution that can tell its quantiles.

    Attributes
    ----------
    low, high
        The numbers between 0 and 1 that it is asked for: 0 and 1 themselves may mean infinity, and for
        discrete distributions of SciPy's 0 means one below the lowest value.
    """

    quantile: Callable[[Any], Any]
    words: str
    is_discrete: bool
    low: float
    high: float

    @property
    def has_ends(self) -> bool:
        """Whether its lowest and highest values are finite."""
        return bool(np.isfinite(np.asarray(self.quantile(np.array([0.0, 1.0])), float)).all())

    def values(self, unit: Array) -> Values:
        """Quantiles, as ints where the distribution is discrete."""
        array = np.asarray(self.quantile(np.clip(unit, self.low, self.high)))
        return Values(np.rint(array).astype(np.int64) if self.is_discrete else array, native=True)


def marginal(name: str, given: Any) -> Marginal:
    """What was given for one name.

    Raises
    ------
    SimkitError
        For what is no pair, list or distribution.
    """
    if isinstance(given, tuple):
        return _pair(name, given)
    quantile = getattr(given, "ppf", None) or getattr(given, "icdf", None)
    if callable(quantile):
        return _distribution(name, given, quantile)
    is_scalar = isinstance(given, np.ndarray) and given.ndim == 0
    if is_scalar or isinstance(given, (str, bytes, dict, set, frozenset)) or not isinstance(given, Iterable):
        msg = (
            f"{caller()}: {name}={given!r} can't be drawn from\n"
            f"    give a pair for all between, {name}=(0, 1); a list to choose from, {name}=[1, 2, 4]; or a "
            "distribution of scipy.stats, which has ppf or icdf"
        )
        raise SimkitError(msg)
    elements = declared(name, given)
    if not len(elements):
        msg = f"{caller()}: {name}=[] leaves nothing to choose from"
        raise SimkitError(msg)
    return OneOf(elements)


def _pair(name: str, given: tuple[Any, ...]) -> Pair:
    problem = _pair_problem(name, given)
    if problem:
        raise SimkitError(f"{caller()}: {name}={_one_line(given)} {problem}")
    low, high = given
    return Pair(low, high, _one_line(given))


def _pair_problem(name: str, given: tuple[Any, ...]) -> str:
    choice = f"\n    to choose among values, give a list: {name}={_one_line(list(given))}"
    if len(given) != 2:
        return f"is no pair (low, high){choice}"
    low, high = given
    try:
        middle = np.array([0.5]) * (high - low) + low
        rises, is_point = bool(low < high), bool(low == high)
        is_finite = bool(np.isfinite(np.asarray(middle)).all())
    except Exception:  # noqa: BLE001 - whatever arithmetic of these types raises
        middle = np.empty(0)
    if middle.shape != (1,) or middle.dtype.kind != "f" or isinstance(low, (bool, np.bool_)):
        return f"is no pair of numbers, or of quantities of one unit{choice}"
    if is_point:
        return f"has equal ends\n    a value that does not vary needs no axis: --set {name}=…, or a default"
    if not is_finite:
        if np.isfinite(np.asarray(low)) and np.isfinite(np.asarray(high)):
            return "is too wide: high - low overflows\n    give ends whose difference is a finite number"
        law = "scipy.stats.Normal(mu=0, sigma=1)"
        return f"is not finite\n    give finite ends, or a distribution such as {name}={law}"
    return "" if rises else f"has its ends the wrong way round: write {name}={_one_line((high, low))}"


def _distribution(name: str, law: Any, quantile: Callable[[Any], Any]) -> Distribution:
    if inspect.isclass(law):
        kind = law.__name__
        msg = (
            f"{caller()}: {name}={kind} is a class of distributions: give one of them, as in {name}={kind}(…)"
        )
        raise SimkitError(msg)
    try:
        middle = np.asarray(quantile(0.5))
        problem = _median_problem(middle)
        bottom, top = (float(quantile(end)) for end in (0.0, 1.0)) if not problem else (0.0, 0.0)
    except Exception as error:  # noqa: BLE001 - a distribution without its arguments raises anything
        problem = f"{type(error).__name__}: {error}"
    if problem:
        msg = f"{caller()}: {name}={law_words(law)} can't be drawn from: {problem}"
        raise SimkitError(msg)
    is_discrete = _is_discrete(law)
    low = _TINY if is_discrete or not np.isfinite(bottom) else 0.0
    return Distribution(quantile, law_words(law), is_discrete, low, 1.0 if np.isfinite(top) else 1 - _TINY)


def _median_problem(middle: Array) -> str:
    if middle.shape:
        return f"its median has shape {middle.shape}: give each number its own name"
    is_number = middle.dtype.kind in "iuf" and np.isfinite(middle)
    return "" if is_number else f"its median is {middle}"


def _is_discrete(law: Any) -> bool:
    classes = {one.__name__ for thing in (law, getattr(law, "dist", None)) for one in type(thing).__mro__}
    return not classes.isdisjoint({"rv_discrete", "DiscreteDistribution"})


def law_words(law: Any) -> str:
    """A distribution's name and arguments: ``Normal(mu=0.0, sigma=2.0)``, ``gamma(2, scale=3)``."""
    dist = getattr(law, "dist", None)  # a frozen distribution of SciPy's first kind
    if dist is not None and hasattr(dist, "name"):
        arguments = [*map(_one_line, law.args), *(f"{k}={_one_line(v)}" for k, v in law.kwds.items())]
        return f"{dist.name}({', '.join(arguments)})"
    words = _one_line(law)
    return words if " at 0x" not in words else str(getattr(law, "name", type(law).__name__))


def _one_line(value: Any) -> str:
    with np.printoptions(legacy="1.25"):  # 2.0 rather than np.float64(2.0)
        return " ".join(repr(value).split())


def choices(marginals: Mapping[str, Marginal]) -> tuple[str, ...]:
    """What to know where a list of two numbers may have been meant as a pair."""
    return tuple(
        f"{name} is one of two values, {one.words}; for all between give a pair, ({one.words[1:-1]})"
        for name, one in marginals.items()
        if isinstance(one, OneOf) and len(one.elements) == 2 and one.elements.array.dtype.kind in "iuf"
    )


def written(call: str, marginals: Mapping[str, Marginal], options: str) -> str:
    """How a sampled space could be written, given the call up to its number."""
    dotted = [f"{name!r}: {one.words}" for name, one in marginals.items() if "." in name]
    plain = [f"{name}={one.words}" for name, one in marginals.items() if "." not in name]
    axes = [f"{{{', '.join(dotted)}}}"] * bool(dotted) + plain
    return f"{call}, {', '.join(axes)}, {options})"


# The points between 0 and 1


class Cube(Protocol):
    """Points of the unit cube, one dimension per name."""

    def __len__(self) -> int: ...

    def at(self, index: Index) -> Array:
        """The points at these positions, shape ``(len(index), dimensions)``."""

    def marks(self, index: Index) -> dict[str, Values]:
        """What is recorded of the runs at these points besides their values."""


@attrs.define(eq=False)
class Sequence:
    """The points of one of SciPy's sequences, drawn a block at a time; the last block is kept."""

    method: Method
    size: int
    dimensions: int
    seed: int
    last: tuple[int, Array] = attrs.field(init=False, factory=lambda: (-1, np.empty((0, 0))))

    def __len__(self) -> int:
        return self.size

    def at(self, index: Index) -> Array:
        """The points at these positions, shape ``(len(index), dimensions)``."""
        step = self.size if self.method == "lhs" else BLOCK
        numbers = index // step
        points = np.empty((len(index), self.dimensions))
        for number in np.unique(numbers).tolist():
            here = numbers == number
            points[here] = self.block(number, step)[index[here] - number * step]
        return points

    def marks(self, index: Index) -> dict[str, Values]:
        """Nothing."""
        return {}

    def block(self, number: int, step: int) -> Array:
        """The points of one block."""
        known, points = self.last
        if known != number:
            start = number * step
            points = self.drawn(start, min(step, self.size - start))
            self.last = number, points
        return points

    def drawn(self, start: int, size: int) -> Array:
        """The points from ``start`` on: the same whether those before were drawn or not."""
        if self.method == "random":
            bits = np.random.PCG64(self.seed)
            bits.advance(start * self.dimensions)
            return np.random.Generator(bits).random((size, self.dimensions))
        from scipy.stats import qmc

        engines = {"sobol": qmc.Sobol, "halton": qmc.Halton, "lhs": qmc.LatinHypercube}
        engine = engines[self.method](self.dimensions, rng=self.seed)
        if start:
            engine.fast_forward(start)
        elif self.method == "sobol":  # SciPy warns of another number than a power of two: said when declared
            size = 1 << (size - 1).bit_length()
        return np.asarray(engine.random(size))


@attrs.frozen(eq=False)
class Sampled:
    """Points of the unit cube as values with the distributions that each name has."""

    marginals: Mapping[str, Marginal]
    cube: Cube
    words: str
    remarks: tuple[str, ...] = ()
    design: Mapping[str, Any] = attrs.field(factory=dict)
    parts: tuple[Form, ...] = ()
    feeds: tuple[Upstream, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return Zip, (self.at(np.arange(len(self))), len(self))  # not every distribution can be sent

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the points give, in declaration order."""
        return *self.marginals, *self.cube.marks(np.arange(0))

    @property
    def optional(self) -> frozenset[str]:
        """No point lacks a name."""
        return frozenset()

    def __len__(self) -> int:
        return len(self.cube)

    def at(self, index: Index) -> dict[str, Values]:
        """The values at these points."""
        unit = self.cube.at(index)
        values = {name: one.values(unit[:, i]) for i, (name, one) in enumerate(self.marginals.items())}
        return {**values, **self.cube.marks(index)}

    def axes(self) -> Mapping[str, Values]:
        """The elements to choose from; the middle of a pair or distribution."""
        middle = np.array([0.5])
        return {
            name: one.elements if isinstance(one, OneOf) else one.values(middle)
            for name, one in self.marginals.items()
        }
