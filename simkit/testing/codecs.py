"""Is every value of a codec kept as it is? For tests of your own: the suite that simkit's codecs pass."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np

from simkit.analyse.trajectory import Trajectory
from simkit.declare.plugins import OWN, Codec
from simkit.declare.snapshot import snapshot
from simkit.declare.space import explore
from simkit.study.session import run
from simkit.values.compare import digest
from simkit.values.decode import ABSENT, as_array, decode
from simkit.values.encode import encode, explain
from simkit.values.instances import among, revived
from simkit.values.results import take_apart

__all__ = ["CHECKS", "Examples", "check_codec", "equal"]

Equal: TypeAlias = Callable[[Any, Any], bool]


def equal(one: Any, other: Any) -> bool:
    """Whether two values have the same type and the same content, bit for bit, all the way down.

    Arrays are compared by type, shape and bits, containers item by item, other objects by their attributes,
    or by ``==`` where they have none.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and one.dtype != object:
        same = one.dtype == other.dtype and one.shape == other.shape
        return same and bool(one.tobytes() == other.tobytes())
    if isinstance(one, (float, complex)):
        return np.asarray(one).tobytes() == np.asarray(other).tobytes()
    parts = _parts(one)
    if parts is None:
        return bool(one == other)
    return len(parts) == len(_parts(other) or ()) and all(map(equal, parts, _parts(other) or ()))


def _parts(value: Any) -> list[Any] | None:
    """What a container or an instance consists of, in order; None where that is not known."""
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, np.ndarray):
        return [value.shape, *value.ravel()]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names = [*getattr(value, "__dict__", {}), *(name for name in slots if hasattr(value, name))]
    return [(name, getattr(value, name)) for name in names] if names else None


@attrs.frozen(eq=False)
class Examples:
    """Values of one codec, and when one has come back as it was.

    Parameters
    ----------
    values
        Two or more values that may stand under one name in different runs; the more they differ, the better.
    equal
        Whether a value that was read is the one that was written.
    classes
        Classes by which recorded instances are put together, as in ``simkit.open(path, classes=[…])``.
    """

    values: Sequence[Any]
    equal: Equal = equal
    classes: Iterable[type] = ()

    def back(self, values: Iterable[Any]) -> list[Any]:
        """What was read, with instances put together by their classes."""
        find = among(self.classes)
        return [revived(value, find) for value in values]

    def expect(self, got: Sequence[Any], wanted: Sequence[Any], where: str) -> None:
        """Each value has come back, or an AssertionError names the first that has not."""
        assert len(got) == len(wanted), f"{where}: of {len(wanted)} values {len(got)} came back"
        for i, (one, other) in enumerate(zip(self.back(got), wanted, strict=True)):
            assert self.equal(one, other), f"{where}: value {i} came back as {one!r} instead of {other!r}"


def comes_back(examples: Examples) -> None:
    """Values of several runs come back from one column, and each from a column of its own."""
    values = examples.values
    examples.expect(decode(encode(values)), values, "in one column")
    for value in values:
        examples.expect(decode(encode([value])), [value], "alone in a column")


def is_kept_as_it_was_returned(examples: Examples) -> None:
    """What a run returns is taken apart at once, and written later."""
    values = [*examples.values, list(examples.values)]
    held = [snapshot(value, take_apart) for value in values]
    examples.expect(decode(encode(held)), values, "taken apart in the run")


def comes_back_nested(examples: Examples) -> None:
    """Values may stand in lists, tuples and dictionaries."""
    nested = [{"v": value, "more": [value, {"two words": (value,)}]} for value in examples.values]
    examples.expect(decode(encode(nested)), nested, "nested in containers")


def stands_among_others(examples: Examples) -> None:
    """Other runs may have values of other types under the same name, or none."""
    wanted = [1, *examples.values, "x", None]
    n = 2 * len(wanted)
    column = encode(wanted).spread(n, np.arange(1, n, 2))
    got = decode(column)
    examples.expect(got[1::2], wanted, "among values of other types")
    assert got[::2] == [ABSENT] * len(wanted), "where runs lack the name there is a value"
    assert column.present().tolist() == [False, True] * len(wanted), (
        "it is not known which runs lack the name"
    )


def can_be_taken_in_any_order(examples: Examples) -> None:
    """Chosen runs have the values of these runs."""
    index = [*reversed(range(len(examples.values))), 0]
    wanted = [examples.values[i] for i in index]
    examples.expect(decode(encode(examples.values).take(np.array(index))), wanted, "taken in another order")
    assert decode(encode(examples.values).take(np.empty(0, np.int64))) == []


def can_be_read_as_an_array(examples: Examples) -> None:
    """A column is an array with a row per run, whatever it holds."""
    column = encode(examples.values)
    assert len(as_array(column)) == column.n == len(examples.values)
    assert len(as_array(column.spread(2 * column.n, np.arange(column.n)))) == 2 * column.n
    assert column.nbytes >= 0


def has_a_digest(examples: Examples) -> None:
    """A value has the digest of what comes back: by this, points are recognised when a study goes on."""
    for value in examples.values:
        assert explain(value, "z") is None, f"{value!r} can not be stored: {explain(value, 'z')}"
        (again,) = examples.back(decode(encode([value])))
        assert digest(again) == digest(value), f"{value!r} is not recognised when it is read again"


def is_told_apart(examples: Examples) -> None:
    """Values have one digest exactly if they are equal."""
    for i, one in enumerate(examples.values):
        for other in examples.values[i + 1 :]:
            alike = examples.equal(one, other)
            assert (digest(one) == digest(other)) == alike, f"{one!r} and {other!r}: equal is {alike}"


def is_kept_by_a_study(examples: Examples) -> None:
    """Explored, constant and returned in two sessions, the second of which finds the runs of the first."""
    values, calls = list(examples.values), []

    def experiment(value: Any, constant: Any) -> dict[str, Any]:
        calls.append(value)
        return {"same": value, "nested": [value, {"in": constant}]}

    with tempfile.TemporaryDirectory() as folder:
        for n in (1, len(values)):
            space = explore(value=values[:n])
            options = {"output": Path(folder) / "kept.h5", "set": {"constant": values[0]}, "check": True}
            with run(experiment, space, **options) as trajectory:  # type: ignore[arg-type]
                _expect_runs(trajectory, examples, n)
    assert len(calls) == len(values), f"{len(calls)} runs for {len(values)} points: they were not recognised"


def _expect_runs(trajectory: Trajectory, examples: Examples, n: int) -> None:
    values = list(examples.values)[:n]
    examples.expect([row.value for row in trajectory.runs], values, "explored in a study")
    examples.expect([row.same for row in trajectory.runs], values, "returned in a study")
    nested = [[value, {"in": values[0]}] for value in values]
    examples.expect([row.nested for row in trajectory.runs], nested, "returned nested in a study")
    examples.expect([trajectory.parameters.constant], values[:1], "a constant of a study")


CHECKS: tuple[Callable[[Examples], None], ...] = (
    comes_back,
    is_kept_as_it_was_returned,
    comes_back_nested,
    stands_among_others,
    can_be_taken_in_any_order,
    can_be_read_as_an_array,
    has_a_digest,
    is_told_apart,
    is_kept_by_a_study,
)


def check_codec(
    values: Sequence[Any], codec: Codec | None = None, *, equal: Equal = equal, classes: Iterable[type] = ()
) -> None:
    """Check that a codec keeps values as they are: in memory, in containers, in files, when a study goes on.

    Parameters
    ----------
    values
        Two or more values that differ in what the codec keeps.
    codec
        Known while the checks run; None where a ``simconf.py`` or a plug-in has made it known.
    equal
        ``equal(one, other)``: whether a value has come back as it was; by default the same type and the same
        attributes, bit for bit.
    classes
        Classes by which recorded instances are put together, as in ``simkit.open(path, classes=[…])``.

    Raises
    ------
    AssertionError
        At the first value that does not come back as it was: which one, and where it stood.

    Examples
    --------
    In a test of your own::

        def test_spikes_are_kept():
            check_codec([Spikes([1.0, 2.0], "soma"), Spikes([], "axon")], spikes_codec)
    """
    examples = Examples(values, equal, classes)
    with _known(codec):
        for check in CHECKS:
            check(examples)


@contextmanager
def _known(codec: Codec | None) -> Iterator[None]:
    """A codec that is known for a while."""
    before = dict(OWN.by_type), dict(OWN.by_name)
    if codec is not None:
        OWN.add(codec)
    try:
        yield
    finally:
        OWN.by_type, OWN.by_name = before
