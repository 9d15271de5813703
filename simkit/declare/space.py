"""Which points of the parameter space to visit: a lazy value with an algebra."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, overload

import attrs
import numpy as np

from simkit.declare.adaptive import excluded
from simkit.declare.axes import declared, from_list, labels_of
from simkit.declare.feed import DIGEST, Upstream, column, mixed_feeds
from simkit.declare.forms import (
    TRIAL,
    Array,
    Form,
    Index,
    Plus,
    Repeat,
    Subset,
    Test,
    Times,
    Values,
    Where,
    Zip,
    atoms,
    axes,
    joined,
    objects,
    plus,
    times,
)
from simkit.declare.reflection import is_a, qualname_of
from simkit.declare.tags import Tag, mark, tag_of
from simkit.declare.trials import Until
from simkit.declare.trials import until as until_enough
from simkit.errors import SimkitError, caller

if TYPE_CHECKING:
    import pandas as pd


F = TypeVar("F")


class Space:
    """The points that an experiment visits, in order; made by `explore` and `product`.

    A space decorates an experiment, and is a value: ``a * b`` is every point of ``a`` with every point
    of ``b`` (``a`` slowest), ``a + b`` is a's points, then b's. ``len(space)``, ``space[i]`` and
    iteration give points as dictionaries, ``space[a:b]`` a space; nothing is listed before it is asked for.

    Examples
    --------
    >>> space = product(x=[1, 2], y=["a", "b"]) + explore(x=[9], y=["c"])
    >>> len(space), space[4]
    (5, {'x': 9, 'y': 'c'})
    """

    __slots__ = ("form",)

    def __init__(self, form: Form) -> None:
        self.form = form

    @property
    def names(self) -> tuple[str, ...]:
        """The explored names in declaration order; ``trial`` is among them after `repeat`.

        Returns
        -------
        tuple of str
            Dotted names as they were given.

        Examples
        --------
        >>> product({"syn.w": [1, 2]}, dt=[0.1]).names
        ('syn.w', 'dt')
        """
        return tuple(name for name in self.form.names if "/" not in name)

    @property
    def optional(self) -> frozenset[str]:
        """The names that some points leave to their normal value.

        Returns
        -------
        frozenset of str
            Empty where each point has each name.

        Examples
        --------
        >>> (explore(x=[1]) + explore(x=[2], y=[3])).optional
        frozenset({'y'})
        """
        return self.form.optional.intersection(self.names)

    @property
    def feeds(self) -> dict[str, Upstream]:
        """The arguments that are made from runs of other experiments, by name.

        Returns
        -------
        dict of str to Upstream
            Empty for a space without `each`.

        Raises
        ------
        SimkitError
            When an argument is one run at some points, and a group of runs at others.

        Examples
        --------
        >>> list(each("multiply", where="z > 20").feeds)
        ['multiply']
        """
        found: dict[str, Upstream] = {}
        for feed in (feed for atom in atoms(self.form) for feed in atom.feeds):
            first = found.setdefault(feed.argument, feed)
            if (first.by is None) != (feed.by is None):
                raise mixed_feeds(feed)
            names = tuple(dict.fromkeys((*first.names, *feed.names)))
            is_optional = feed.is_optional or column(feed.argument, DIGEST) in self.form.optional
            found[feed.argument] = attrs.evolve(first, names=names, is_optional=is_optional)
        return found

    @property
    def remarks(self) -> list[str]:
        """What whoever declared it should know, though it is no error.

        Returns
        -------
        list of str
            A sentence each.

        Examples
        --------
        >>> sample(100, x=(0, 1)).remarks
        ['Sobol points fill the space evenly at powers of two: rather than 100, 64 or 128']
        """
        return [remark for atom in atoms(self.form) for remark in atom.remarks]

    def __call__(self, function: F) -> F:
        """Decorate an experiment: decorators apply from the bottom up, and the top one is slowest."""
        if not inspect.isfunction(function):
            msg = f"{caller()}: a space decorates an experiment, which is a function, not {function!r}"
            raise SimkitError(msg)
        tag = tag_of(function) or Tag()
        below = tag.spaces
        if tag.strategy is not None:
            raise excluded(function)
        if below:
            _check_known((self.form, *below))
        times((self.form, *below))  # refuses a name that is explored twice
        mark(function, spaces=(self.form, *below))
        return function

    def __mul__(self, other: Space) -> Space:
        if not isinstance(other, Space):
            return NotImplemented
        _check_known((self.form, other.form))
        return Space(times((self.form, other.form)))

    def __add__(self, other: Space) -> Space:
        if not isinstance(other, Space):
            return NotImplemented
        _check_known((self.form, other.form))
        return Space(plus(self.form, other.form))

    def where(self, test: Test) -> Space:
        """Only the points that pass.

        Parameters
        ----------
        test
            A condition such as ``"x < y"``, or a function of some of the names, called per point.
            A point that lacks a name in the test does not pass.

        Returns
        -------
        Space
            The points that pass, in the same order.

        Raises
        ------
        SimkitError
            For what is no condition, and, when points are asked for, for a name that the space does not have.

        Examples
        --------
        >>> list(product(x=[1, 2], y=[1, 2]).where("x < y"))
        [{'x': 1, 'y': 2}]
        >>> len(product(x=range(10)).where(lambda x: x % 3 == 0))
        4
        """
        if not (is_a(test, str) or callable(test)):
            told = f"where() takes a condition as text, or a function of the names, not a {qualname_of(type(test))}"
            msg = f"{caller()}: {told}: where('x < 3')"
            raise SimkitError(msg)
        _check_known((self.form,))
        return Space(Where(self.form, test, caller()))

    def repeat(self, times: int, *, until: str | None = None, most: int | None = None) -> Space:
        """Each point ``times`` times, with a recorded ``trial`` number and its own random stream.

        Parameters
        ----------
        times
            How many trials; with ``until``, how many at a time.
        until
            A condition on the results of a point's trials, such as ``"sem(z) < 0.01"``: as long as it does not
            hold, the point gets further trials. `mean`, `std` (of the sample), `sem` (standard error of the
            mean), `rel` (that over the magnitude of the mean) and `count` are taken over the trials that are
            done; explored names stand for their values. Quantities count in SI units.
        most
            How many trials a point gets at most; needed with ``until``.

        Returns
        -------
        Space
            Trials of a point stand beside each other.

        Raises
        ------
        SimkitError
            For a number below one, when the space is repeated already, or for what is no condition.

        Examples
        --------
        >>> list(explore(x=[0.5]).repeat(2))
        [{'x': 0.5, 'trial': 0}, {'x': 0.5, 'trial': 1}]
        >>> explore(x=[0.5]).repeat(5, until="sem(z) < 0.01", most=100)
        <Space of 5 points: x, trial; more until sem(z) < 0.01>
        """
        if isinstance(times, bool) or not isinstance(times, (int, np.integer)) or times < 1:
            msg = f"{caller()}: repeat({times!r}): give a whole number of at least 1"
            raise SimkitError(msg)
        if TRIAL in self.names:
            msg = f"{caller()}: the space has trials already; multiply the numbers instead"
            raise SimkitError(msg)
        repeated = Repeat(self.form, int(times))
        if until is None and most is None:
            return Space(repeated)
        return Space(until_enough(repeated, until, most, caller()))

    def take(self, index: Sequence[int] | Index) -> Space:
        """The points at the positions in `index`, in this order.

        Parameters
        ----------
        index
            Positions, whole numbers of shape ``(n,)``.

        Returns
        -------
        Space
            These ``n`` points.

        Raises
        ------
        IndexError
            When points are asked for, for a position that the space does not have.

        Examples
        --------
        >>> list(product(x=[1, 2, 3]).take([2, 0]))
        [{'x': 3}, {'x': 1}]
        """
        _check_known((self.form,))
        return Space(Subset(self.form, np.asarray(index, np.int64)))

    def __len__(self) -> int:
        return len(self.form)

    @overload
    def __getitem__(self, i: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, i: slice) -> Space: ...
    def __getitem__(self, i: SupportsIndex | slice) -> dict[str, Any] | Space:
        n = len(self)
        if isinstance(i, slice):
            return self.take(np.arange(*i.indices(n)))
        try:
            position = operator.index(i)
        except TypeError:
            msg = f"space[{i!r}]: a position is a whole number or a slice; space.take([0, 2]) takes several"
            raise TypeError(msg) from None
        if not -n <= position < n:
            msg = f"point {position} of a space with {n} points"
            raise IndexError(msg)
        values = self._named(np.array([position % n]))
        return {k: v.elements()[0] for k, v in values.items() if v.present is None or v.present[0]}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    def at(self, index: Index) -> dict[str, Values]:
        """The declared values at the positions in `index`, ready to become arguments, and the marks of the runs.

        Parameters
        ----------
        index
            Positions, whole numbers of shape ``(n,)``.

        Returns
        -------
        dict of str to Values
            For each name ``n`` values as declared, and which of them are present.

        Raises
        ------
        IndexError
            For a position that the space does not have.

        Examples
        --------
        >>> product(x=[1, 2, 3]).at(np.array([2, 0]))["x"].elements()
        [3, 1]
        """
        return self.form.at(index)

    def _named(self, index: Index) -> dict[str, Values]:
        """The declared values at these positions, without marks that have no name of a user's."""
        return {name: values for name, values in self.form.at(index).items() if "/" not in name}

    def columns(self, start: int = 0, stop: int | None = None) -> dict[str, Array]:
        """The points ``start`` to ``stop`` as one array per name.

        Parameters
        ----------
        start, stop
            Positions of points, as in a slice; by default all.

        Returns
        -------
        dict of str to ndarray
            Shape ``(stop - start,)`` each, longer for array-valued axes; masked where a sum of spaces
            leaves a name to its normal value.

        Examples
        --------
        >>> product(x=[1, 2], y=[10, 20]).columns(1, 3)
        {'x': array([1, 2]), 'y': array([20, 10])}
        """
        first, last, _ = slice(start, stop).indices(len(self))
        return {k: v.shown() for k, v in self._named(np.arange(first, max(first, last))).items()}

    def to_dataframe(self) -> pd.DataFrame:
        """All points as a table, one row per point.

        Returns
        -------
        DataFrame
            One row per point, one column per name; NaN or NA where a point leaves a name to its normal value.

        Examples
        --------
        >>> product(x=[1, 2], y=["a", "b"]).to_dataframe()
           x  y
        0  1  a
        1  1  b
        2  2  a
        3  2  b
        """
        import pandas as pd

        columns = self._named(np.arange(len(self)))
        table = {k: list(v.array) if v.array.ndim > 1 else v.array for k, v in columns.items()}
        frame = pd.DataFrame(table, index=pd.RangeIndex(len(self)), columns=list(self.names))
        for name, values in columns.items():
            if values.present is not None:
                frame[name] = frame[name].where(values.present)
        return frame

    def __repr__(self) -> str:
        names = ", ".join(self.names) or "no names"
        more = [f"more until {self.form.test}"] if isinstance(self.form, Until) else []
        remarks = "".join(f"; {remark}" for remark in (*more, *self.remarks))
        return f"<Space of {len(self)} point{'s' if len(self) != 1 else ''}: {names}{remarks}>"


def explore(points: Any = None, /, **axes: Any) -> Space:
    """Points at which several names move together.

    Parameters
    ----------
    points
        A mapping of (dotted) names to values, a table (a DataFrame, a structured array) whose rows are
        the points, or a list of points as dictionaries; a point that lacks a name takes its normal value.
    **axes
        One list or array per name, all of the same length.

    Returns
    -------
    Space
        As many points as each list is long: a decorator, and a value.

    Raises
    ------
    SimkitError
        For unequal lengths, a name given twice, or something that is no list of values.

    Examples
    --------
    >>> list(explore(x=[1, 2], y=[10, 20]))
    [{'x': 1, 'y': 10}, {'x': 2, 'y': 20}]
    >>> list(explore([{"x": 1}, {"x": 2, "y": 20}]))
    [{'x': 1}, {'x': 2, 'y': 20}]
    """
    columns = _columns(points)
    columns.update(_axes("explore", axes, columns))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        msg = (
            f"{caller()}: explore() moves its names together, but {sizes}\n"
            "    give lists of one length, or use product() for all combinations"
        )
        raise SimkitError(msg)
    return Space(Zip(columns, next(iter(lengths.values()), 1)))


def product(points: Mapping[str, Any] | None = None, /, **axes: Any) -> Space:
    """All combinations of the given values, the last name fastest.

    Parameters
    ----------
    points
        A mapping for dotted names: ``product({"syn.w": [1, 2]}, dt=[0.1])``.
    **axes
        One list or array per name.

    Returns
    -------
    Space
        As many points as the product of the lists' lengths: a decorator, and a value.

    Raises
    ------
    SimkitError
        For a name given twice, one that can't name a parameter, or something that is no list of values.

    Examples
    --------
    >>> list(product(x=[1, 2], y=["a", "b"]))
    [{'x': 1, 'y': 'a'}, {'x': 1, 'y': 'b'}, {'x': 2, 'y': 'a'}, {'x': 2, 'y': 'b'}]
    >>> @experiment
    ... @product({"cell.tau": [10.0, 20.0]}, dt=[0.1])
    ... def rate(cell, dt): ...
    """
    given = named("product", points, axes, "[1, 2]")
    columns = {name: declared(name, values) for name, values in given.items()}
    parts = tuple(Zip({name: column}, len(column)) for name, column in columns.items())
    return Space(times(parts) if parts else Zip({}, 1))


def named(verb: str, points: Any, axes: Mapping[str, Any], example: str) -> dict[str, Any]:
    """What was given for each name, in a leading mapping and by keyword.

    Parameters
    ----------
    verb, example
        For messages: the function that was called, and how one axis looks there.

    Raises
    ------
    SimkitError
        For a name that can't be explored or is given twice, and where ``points`` is no mapping.
    """
    if points is not None and not isinstance(points, Mapping):
        what = (
            f"{verb} needs its axes: " if callable(points) else f"{verb}() takes no {type(points).__name__}: "
        )
        usage = f"give each axis its name, as in {verb}(x={example}, y={example})"
        raise SimkitError(f"{caller()}: {what}{usage}")
    given = {checked(name): axis for name, axis in (points or {}).items()}
    for name, axis in axes.items():
        if name in given:
            msg = f"{caller()}: {verb}() gives {name!r} twice"
            raise SimkitError(msg)
        given[checked(name)] = axis
    return given


def _axes(verb: str, axes: Mapping[str, Any], taken: Mapping[str, Values]) -> dict[str, Values]:
    for name in axes:
        if name in taken:
            msg = f"{caller()}: {verb}() gives {name!r} twice"
            raise SimkitError(msg)
    return {checked(name): declared(name, given) for name, given in axes.items()}


def checked(name: str) -> str:
    """A name that can be explored.

    Raises
    ------
    SimkitError
        For what can't name a parameter.
    """
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        msg = f"{caller()}: {name!r} cannot name a parameter: use identifiers, joined by dots for groups"
        raise SimkitError(msg)
    if name == TRIAL:
        msg = f"{caller()}: 'trial' is the number that repeat() counts: choose another name, or use repeat()"
        raise SimkitError(msg)
    return name


def _columns(points: Any) -> dict[str, Values]:
    if points is None:
        return {}
    if isinstance(points, Mapping):
        return _axes("explore", points, {})
    labels = labels_of(points)
    if labels is not None:
        return _axes("explore", {label: points[label] for label in labels}, {})
    is_list = isinstance(points, Sequence) and not isinstance(points, str | bytes)
    if is_list and len(points) and all(isinstance(point, Mapping) for point in points):
        return _from_points(points)
    raise SimkitError(f"{caller()}: {_no_points(points, is_list=is_list)}")


def _no_points(points: Any, *, is_list: bool) -> str:
    """What is wrong with an argument of ``explore`` that names nothing."""
    usage = "explore(x=[1, 2]) gives the values of x, explore([{'x': 1}, {'x': 2}]) a list of points"
    if not is_list:
        kind = type(points).__name__
        return f"explore() takes a mapping, a DataFrame or a list of points, not {kind}\n    {usage}"
    if not len(points):
        return f"explore([]) is a list without points, so that nobody knows what is explored\n    {usage}"
    wrong = next(point for point in points if not isinstance(point, Mapping))
    return (
        f"explore() gets a list with {wrong!r} in it, which is no point: it names no parameter\n    {usage}"
    )


def _from_points(points: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    names = dict.fromkeys(chain.from_iterable(points))
    return {checked(name): _column(name, points) for name in names}


def _column(name: str, points: Sequence[Mapping[str, Any]]) -> Values:
    at = [i for i, point in enumerate(points) if name in point]
    column = from_list([points[i][name] for i in at])
    return column if len(at) == len(points) else joined(len(points), [(np.array(at), column)])


def with_axis(space: Space, name: str, values: list[Any]) -> Space:
    """The space with this axis replaced, or multiplied by it where the name is new (fastest).

    Raises
    ------
    SimkitError
        When the name moves together with others, or comes with the runs of another experiment.
    """
    axis = Zip({checked(name): from_list(values)}, len(values))
    feed = next((feed for feed in space.feeds.values() if name in feed.names), None)
    if feed is not None:
        msg = (
            f"--product {name}=…: {name!r} comes with {feed.words}: explore it there, in a command of its own"
        )
        raise SimkitError(msg)
    if name in space.names:
        return Space(_replaced(space.form, name, axis))
    if isinstance(space.form, Until):
        first = attrs.evolve(space.form.first, inner=times((space.form.first.inner, axis)))
        return Space(attrs.evolve(space.form, first=first))
    return Space(times((space.form, axis)) if space.names else axis)


def outline(names: Iterable[str], optional: Collection[str] = (), feeds: Iterable[Upstream] = ()) -> Space:
    """A space of no points that explores these names; those that are optional may be left out by points."""
    nothing = {
        name: Values(objects([]), native=True, present=np.empty(0, bool) if name in optional else None)
        for name in names
    }
    return Space(Zip(nothing, 0, feeds=tuple(feeds)))


def _check_known(forms: Sequence[Form]) -> None:
    """A space whose trials depend on results can't be counted, and so not be combined any more."""
    for form in forms:
        if isinstance(form, Until):
            msg = (
                f"{caller()}: repeat(…, until={form.test!r}) comes last, since nobody knows yet how many trials "
                "there will be\n    combine the spaces first, and repeat the result"
            )
            raise SimkitError(msg)


def with_trials(space: Space, count: int) -> Space:
    """The space with this many trials per point, whatever it declared."""
    return Space(space.form.parts[0] if isinstance(space.form, Repeat | Until) else space.form).repeat(count)


def first_value(space: Space, name: str) -> Any:
    """An example of a name's values, or None."""
    declared_values = (values for known, values in axes(space.form) if known == name and len(values))
    first = next(declared_values, None)
    if first is not None and first.present is None:
        return first.take(np.arange(1)).elements()[0]
    return space[0].get(name) if name in space.names and len(space) else None


def _replaced(form: Form, name: str, axis: Zip) -> Form:
    match form:
        case _ if not form.parts and form.names == (name,):
            return axis
        case _ if name in form.names and (not form.parts or isinstance(form, Subset)):
            others = ", ".join(other for other in form.names if other != name)
            msg = f"--product {name}=…: {name!r} moves together with {others}: use --explore for all of them"
            raise SimkitError(msg)
        case Times():
            return times(tuple(_replaced(part, name, axis) for part in form.parts))
        case Plus():
            return attrs.evolve(
                form, first=_replaced(form.first, name, axis), second=_replaced(form.second, name, axis)
            )
        case Repeat():
            return attrs.evolve(form, inner=_replaced(form.inner, name, axis))
        case Until():
            first = attrs.evolve(form.first, inner=_replaced(form.first.inner, name, axis))
            return attrs.evolve(form, first=first)
        case Where():
            return Where(_replaced(form.inner, name, axis), form.test, form.where)
    return form


def words(form: Form) -> str:
    """How a space could be written, long lists abbreviated: ``explore(x=[1, 2]) * explore(y=[3])``."""
    match form:
        case Times():
            return " * ".join(map(words, form.parts))
        case Plus():
            return f"({words(form.first)} + {words(form.second)})"
        case Repeat():
            return f"({words(form.inner)}).repeat({form.times})"
        case Until():
            return f"({words(form.first.inner)}).repeat({form.first.times}, until={form.test!r}, most={form.most})"
        case Subset():
            return f"{len(form)} points of {words(form.inner)}"
        case Where():
            test = repr(form.test) if isinstance(form.test, str) else getattr(form.test, "__name__", "…")
            return f"({words(form.inner)}).where({test})"
    return next(atoms(form)).words
