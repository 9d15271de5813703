"""Natural naming: dotted names as attributes, and runs by number."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from simkit.analyse.selection import Selection, Unknown, holder_of, inside
from simkit.analyse.show import Caption, aligned, caption_of_run, glanced
from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError, caller, did_you_mean, listed, visible
from simkit.record.recorded import Recorded
from simkit.values.batch import WORDS
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, Absent


class Names:
    """User names as attributes and items; groups nest.

    ``traj.parameters.neuron.tau``, ``traj.parameters["neuron.tau"]``, ``list(traj.parameters)``. Values are
    read when they are touched. ``dict(…)`` and ``….to_dict()`` give all values by full name (unless the user's own
    names are ``keys`` or ``to_dict``); results that a run does not have are left out.

    Parameters
    ----------
    names
        The full names; a set or dictionary where they are many.
    get
        Gives the value of a full name.
    about
        What these names are of: ``parameters``, ``run 3``.
    prefix
        Only the names below it, such as ``neuron.``.
    caption
        Says a full name's value in a few words, for people.
    has
        Whether a full name has a value here.
    why
        Why one may be missing, for people.
    """

    __slots__ = ("__about", "__caption", "__get", "__has", "__names", "__prefix", "__why")

    def __init__(
        self,
        names: Collection[str],
        get: Callable[[str], Any],
        about: str,
        prefix: str = "",
        caption: Callable[[str], Caption] = Caption,
        has: Callable[[str], bool] = bool,
        why: Callable[[], str] = str,
    ) -> None:
        put = object.__setattr__  # the user's names can't be assigned to: see below
        put(self, "_Names__names", names)
        put(self, "_Names__get", get)
        put(self, "_Names__about", about)
        put(self, "_Names__prefix", prefix)
        put(self, "_Names__caption", caption)
        put(self, "_Names__has", has)
        put(self, "_Names__why", why)

    def __setattr__(self, name: str, value: Any) -> None:
        raise unchangeable(self.__prefix + name)

    def __setitem__(self, name: str, value: Any) -> None:
        raise unchangeable(self.__prefix + name)

    def __copy__(self) -> Names:
        return self  # it can't change

    def __deepcopy__(self, _: object) -> Names:
        return self

    def __reduce__(self) -> Any:
        msg = f"{self.__title()} reads its values from the file: pickle the values, or the file's path"
        raise TypeError(msg)

    def __full(self) -> list[str]:
        """The full names below this prefix."""
        return [name for name in self.__names if name.startswith(self.__prefix)]

    def __below(self) -> list[str]:
        """The same, as they are called from here."""
        return [name[len(self.__prefix) :] for name in self.__full()]

    def __here(self) -> list[str]:
        """The next parts of the names below this prefix."""
        return list(dict.fromkeys(name.partition(".")[0] for name in self.__below()))

    def __find(self, name: str) -> Any:
        full = self.__prefix + name
        if full in self.__names:
            return self.__get(full)
        if any(known.startswith(full + ".") for known in self.__names):
            more = (self.__caption, self.__has, self.__why)
            return Names(self.__names, self.__get, self.__about, full + ".", *more)
        if holder_of(full, self.__names):  # a key of a recorded dictionary, a column of a table
            return self.__get(full)
        names = self.__below()
        hint = did_you_mean(name, names)
        msg = f"{self.__about} has no {full!r}{hint}{self.__why()}\n    available: {listed(name, names)}"
        raise LookupError(msg)

    def __dict(self) -> dict[str, Any]:
        """The values by name, as it is from here, those that are absent aside."""
        return {name: self[name] for name in self.__keys()}

    def __keys(self) -> list[str]:
        return [name for name in self.__below() if self.__has(self.__prefix + name)]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and (name.startswith("_Names__") or name not in self.__here()):
            raise AttributeError(name)  # Python and notebooks ask for many such names
        if name in ("keys", "to_dict") and name not in self.__here():
            return self.__keys if name == "keys" else self.__dict
        try:
            return self.__find(name)
        except LookupError as error:
            # Named, so that Python does not add a guess of its own to the one in the message.
            raise AttributeError(*error.args, name="", obj=self) from None

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            msg = f"{self.__about}: {name!r} is no name\n    available: {listed('', self.__below())}"
            raise Unknown(msg)
        try:
            return self.__find(name)
        except LookupError as error:
            raise Unknown(*error.args) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.__here())

    def __len__(self) -> int:
        return len(self.__here())

    def __contains__(self, name: object) -> bool:
        full = f"{self.__prefix}{name}"
        return isinstance(name, str) and (
            full in self.__names or any(known.startswith(full + ".") for known in self.__names)
        )

    def __dir__(self) -> list[str]:
        return self.__here()

    def _ipython_key_completions_(self) -> list[str]:
        return self.__below()

    def __title(self) -> str:
        return f"{self.__about} {self.__prefix[:-1]}".strip()

    def __repr__(self) -> str:
        lines = aligned(self.__below(), lambda name: self.__caption(self.__prefix + name))
        return visible("\n".join([f"<{self.__title()}{'' if lines else ': nothing'}>", *lines]))

    def _repr_html_(self) -> str:
        from simkit.analyse.show import page, tree

        return page(self.__title(), tree(self.__below(), lambda name: self.__caption(self.__prefix + name)))


def unchangeable(name: str) -> SimkitError:
    """Somebody tried to assign to a name."""
    return SimkitError(
        f"{caller()}: {name!r}: recorded values cannot be changed\n"
        '    traj.add(…) adds derived values, with a file opened by simkit.open(…, mode="r+")'
    )


_COLUMN_ROWS = 1024
_BLOCK_BYTES = 1 << 20
_SHAREABLE = (bool, int, float, complex, str, bytes, type(None), np.generic, Absent)


class Rows:
    """Reads values by run number; keeps one block per name."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.blocks: dict[str, tuple[range, list[Any]]] = {}
        self.constants: dict[str, Column] = {}
        self.sizes: dict[str, int] = {}  # of blocks, in rows: to ask for it looks at all of a name's types

    @cached_property
    def names(self) -> dict[str, None]:
        """The names that a run has, parameters first; recorded ones never change."""
        return dict.fromkeys([*self.recorded.names("parameters"), *self.recorded.names("results")])

    def run(self, run: int) -> Names:
        """A run's values by natural naming."""
        return Names(
            self.names,
            lambda name: self._value_or_error(name, run),
            f"run {run}",
            caption=lambda name: caption_of_run(self.recorded, name, glanced(lambda: self.value(name, run))),
            has=lambda name: self.value(name, run) is not ABSENT,
            why=lambda: self._status_of(run),
        )

    def _status_of(self, run: int) -> str:
        """What became of a run that is not done, for people; empty for one that is."""
        status = WORDS[int(np.asarray(self.recorded.run_column("status", slice(run, run + 1)))[0])]
        if status == "done":
            return ""
        why = f"; traj.error({run}) tells why" if status != "pending" else ""
        return f": its status is {status}{why}"

    def _value_or_error(self, name: str, run: int) -> Any:
        holder = holder_of(name, self.names)
        value = self.value(holder, run)
        if value is ABSENT:
            why = self._status_of(run) or ": its status is done, and it gave none"
            msg = f"run {run} has no {holder!r}{why}"
            raise LookupError(msg)
        return inside(value, name, holder)

    def value(self, name: str, run: int) -> Any:
        """The value, or `ABSENT`; what can be changed is the caller's own."""
        kept = self.blocks.get(name)
        if kept is not None and run in kept[0]:
            return self._own(kept[1][run - kept[0].start], name, run)
        if name in self.constants:
            return self.recorded.values(self.constants[name])[0]
        if self.recorded.is_constant(name):
            self.constants[name] = self.recorded.constant(name)
        else:
            self.blocks[name] = self._block(name, run)
        return self.value(name, run)

    def _own(self, value: Any, name: str, run: int) -> Any:
        """A value that nobody else has; one that can't be copied is read anew."""
        try:
            return value if isinstance(value, _SHAREABLE) else copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - objects of the user's own types may raise anything
            return self.recorded.values(self.recorded.column(name, slice(run, run + 1)))[0]

    def _block(self, name: str, run: int) -> tuple[range, list[Any]]:
        """The run and its neighbours: about a megabyte."""
        if name not in self.sizes:
            self.sizes[name] = max(1, min(_COLUMN_ROWS, _BLOCK_BYTES // self.recorded.row_bytes(name)))
        size = self.sizes[name]
        start = run - run % size
        rows = range(start, min(start + size, len(self.recorded)))
        if self.recorded.shards is not None:  # of one file, so that a broken one costs no run of another
            stretch = self.recorded.shards.stretches[self.recorded.shards.position(run)]
            rows = range(max(rows.start, stretch.first), min(rows.stop, stretch.stop))
        return rows, self.recorded.values(self.recorded.column(name, slice(rows.start, rows.stop)))


_BLOCK = 4096


class Runs(Sequence[Names]):
    """The runs in order; ``runs[3].z`` is a value, ``runs[2:5]`` some of them."""

    def __init__(self, rows: Rows, index: Index | range) -> None:
        self._rows, self._index = rows, index

    if not TYPE_CHECKING:  # a type checker shall go on to complain

        def __getattr__(self, name: str) -> Any:
            is_known = name[0] != "_" and name in self.selection
            hint = f": a column is traj[{name!r}], a run's value traj.runs[3].{name}" if is_known else ""
            msg = f"'Runs' object has no attribute {name!r}{hint}"
            raise AttributeError(msg)

    @property
    def selection(self) -> Selection:
        """The same runs for the verbs of a trajectory."""
        return Selection(self._rows.recorded, np.asarray(self._index))

    @property
    def index(self) -> Index:  # type: ignore[override]  # a run's place among them is its place in this array
        """The run numbers, shape ``(n,)``."""
        return np.asarray(self._index, np.int64)

    @property
    def trial(self) -> Array:
        """The trial numbers, shape ``(n,)``; 0 where points are not repeated."""
        has_trials = self.selection.has_run_column("trial")
        return self.selection.of_runs("trial") if has_trials else np.zeros(len(self), np.int64)

    @property
    def status(self) -> Array:
        """What became of each run, as words, shape ``(n,)``."""
        return self.selection.of_runs("status")

    @property
    def seconds(self) -> Array:
        """How long each run took, in seconds, shape ``(n,)``; NaN where it did not run."""
        return self.selection.of_runs("seconds")

    def items(self) -> Iterator[tuple[int, Names]]:
        """Each run's number in the file, and the run."""
        # In blocks, so that a million runs are never listed.
        for start in range(0, len(self), _BLOCK):
            for run in map(int, self._index[start : start + _BLOCK]):
                yield run, self._rows.run(run)

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, i: int) -> Names: ...
    @overload
    def __getitem__(self, i: slice | Sequence[int] | Array) -> Runs: ...
    def __getitem__(self, i: int | slice | Sequence[int] | Array) -> Names | Runs:
        if isinstance(i, slice):
            return Runs(self._rows, self._index[i])
        if isinstance(i, (list, np.ndarray)):
            return Runs(self._rows, np.asarray(self._index)[i])
        if not isinstance(i, (int, np.integer)):
            msg = f"runs[{i!r}]: runs are numbered, as in runs[3] and runs[2:5]; columns have names, as in traj['z']"
            raise TypeError(msg)
        if not -len(self) <= i < len(self):
            msg = f"run {i} of a trajectory with {len(self)} runs"
            raise IndexError(msg)
        return self._rows.run(int(self._index[i]))

    def __iter__(self) -> Iterator[Names]:
        return (run for _, run in self.items())

    def __repr__(self) -> str:
        return f"<{len(self)} runs of {self._rows.recorded.name}>"
