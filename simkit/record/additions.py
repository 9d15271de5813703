"""What is added to a trajectory after its runs: derived values, remarks, second names.

``summary/NAME``   one value each; ``after`` says which function gave it, ``added`` that it was given by hand
``notes``          ``name`` and ``text`` of remarks on the trajectory (no name), a group or a name
``links/NAME``     a soft link to a recorded name; or a run number; or the numbers of a selection
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.declare.forms import Index
from simkit.inject.provide import Constant
from simkit.record.columns.rows import TEXT, append, create_flat
from simkit.record.columns.write import annotate, write_constant, write_single
from simkit.record.facts import amend_session, clean, session_groups, write_notes
from simkit.record.format import ADDED, AFTER, home, names_in, place
from simkit.record.inspection import Texts
from simkit.values.columns import Column

_SECTIONS = ("parameters", "results", "summary")
Target: TypeAlias = str | int | Index  # a recorded name, a run number, or run numbers


class Additions:
    """What was added to one trajectory, read, and written where its file is open for that.

    Parameters
    ----------
    root
        The experiment's group.
    """

    def __init__(self, root: h5py.Group) -> None:
        self._root = root

    # Derived values

    def derive(self, name: str, column: Column, where: str) -> None:
        """Add one derived value by hand, a column of one row; what stood under that name is replaced."""
        _write_summary(self._root, name, column, Note(), f"added at {where}").attrs[ADDED] = True

    def owner(self, name: str) -> str | None:
        """The ``@after`` that gave a derived value: empty for one given by hand, None where there is no such value."""
        value = self._root.get(place("summary", name))
        return None if value is None else str(value.attrs.get(AFTER, ""))

    # Remarks

    def remark(self, texts: Mapping[str, str], runs: Iterable[int] | None = None) -> None:
        """Add remarks by the name that they are on, empty for none; on runs by number, or on the trajectory."""
        if runs is None:
            _write_remarks(self._root.require_group("notes"), list(texts.items()))
        else:
            write_notes(self._root["runs"], [(run, *remark) for run in runs for remark in texts.items()])

    def remarks(self, name: str = "") -> list[str]:
        """The remarks on a name, or on the trajectory, those of what followed the runs included."""
        groups = [self._root.get("notes"), *(state.get("notes") for state in self._states.values())]
        return [text for group in groups for known, text in _read_remarks(group) if known == name]

    def remarks_on_runs(self, name: str) -> list[tuple[int, str]]:
        """What remarks on runs say about a name, with the run numbers."""
        group = self._root.get("runs/notes")
        if group is None:
            return []
        entries = np.flatnonzero(Texts(group["name"])[:] == name)
        runs, texts = group["run"][:][entries], Texts(group["text"])[entries]
        return [(int(run), str(text)) for run, text in zip(runs, texts, strict=True)]

    # Second names

    def link(self, name: str, target: Target) -> None:
        """Give a recorded name, a run or a selection a second name; an older link of that name is replaced."""
        parent, key = home(self._root, f"links/{name.replace('.', '/')}")
        if parent.get(key, getlink=True) is not None:
            del parent[key]
        if isinstance(target, str):
            path = next(path for section in _SECTIONS if (path := place(section, target)) in self._root)
            parent[key] = h5py.SoftLink(f"{self._root.name}/{path}")
        else:
            parent.create_dataset(key, data=np.asarray(target, np.int64))

    def links(self) -> dict[str, Target]:
        """Each link, and what it stands for."""
        links = self._root.get("links")
        return {} if links is None else dict(_links(links, self._root.name, ""))

    # What followed the runs

    @property
    def _states(self) -> Any:
        return self._root.get(AFTER, {})

    def followers(self) -> list[str]:
        """The names of each ``@after`` that was called."""
        return list(self._states)

    def state(self, after: str) -> dict[str, Any]:
        """The facts of the last call of an ``@after``; empty if there was none."""
        if after not in self._states:
            return {}
        state = self._states[after]
        texts = {key: part.asstr()[()] for key, part in state.items() if isinstance(part, h5py.Dataset)}
        return {**dict(state.attrs), **texts}

    def failed(self, living: Collection[str]) -> list[str]:
        """Each ``@after`` that failed when it was called last, and is not among these any more."""
        return [
            name for name in self.followers() if name not in living and self.state(name)["status"] != "done"
        ]

    def warning(self, digest: str) -> str:
        """What to know of the derived values before using them, or nothing.

        Parameters
        ----------
        digest
            Of the runs as they are now.
        """
        states = {name: self.state(name) for name in self.followers()}
        failed = [name for name, state in states.items() if state["status"] != "done"]
        words = {name: f"{state.get('role', 'after')} {name}" for name, state in states.items()}
        if failed:
            told = ", ".join(words[name] for name in failed)
            return f"{told} failed: traj.error({failed[0]!r}) tells why"
        old = [words[name] for name, state in states.items() if state["runs"] != digest]
        return f"{', '.join(old)}: older than the newest runs" if old else ""

    def amend_session(self, facts: Mapping[str, Any]) -> None:
        """Add facts to the last session."""
        amend_session(session_groups(self._root)[-1], facts)

    def write_outcome(
        self,
        after: str,
        facts: Mapping[str, Any],
        values: Mapping[str, tuple[Column, Note]],
        parameters: Mapping[str, Constant],
        notes: Sequence[tuple[str, str]],
    ) -> None:
        """Replace what an ``@after`` gave when it was called before."""
        root = self._root
        _remove_summary(root, after)
        for name, (column, note) in values.items():
            _write_summary(root, name, column, note, str(facts["function"])).attrs[AFTER] = after
        _write_parameters(root, after, parameters)
        state = _write_state(root, after, facts)
        if notes:
            _write_remarks(state.create_group("notes"), notes)

    def forget(self, afters: Iterable[str]) -> None:
        """Remove all that is known of each such ``@after``."""
        for after in afters:
            _remove_summary(self._root, after)
            _write_parameters(self._root, after, {})
            del self._states[after]


def _write_summary(root: h5py.Group, name: str, column: Column, note: Note, origin: str) -> Any:
    """Write one derived value; what stood there is replaced."""
    parent, key = home(root, place("summary", name))
    if key in parent:
        del parent[key]
    value = write_single(parent, key, column)
    annotate(value, note, origin)
    return value


def _remove_summary(root: h5py.Group, after: str) -> None:
    """Remove the derived values that an ``@after`` gave, and groups that are empty then."""
    for name, value in list(names_in(root["summary"])) if "summary" in root else ():
        if value.attrs.get(AFTER) == after:
            _remove(root, place("summary", name))


def _write_remarks(group: h5py.Group, notes: Sequence[tuple[str, str]]) -> None:
    """Add remarks as ``(name, text)``; the name is empty for the trajectory."""
    for key, values in (("name", [clean(n) for n, _ in notes]), ("text", [clean(text) for _, text in notes])):
        dataset = group[key] if key in group else create_flat(group, key, TEXT)
        append(dataset, np.array(values, object))


def _read_remarks(group: h5py.Group | None) -> list[tuple[str, str]]:
    """The remarks as ``(name, text)``."""
    if group is None or "name" not in group:
        return []
    return list(zip(Texts(group["name"])[:].tolist(), Texts(group["text"])[:].tolist(), strict=True))


def _links(group: h5py.Group, base: str, prefix: str) -> Iterator[tuple[str, Target]]:
    for key in group:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.SoftLink):
            _, _, path = link.path.removeprefix(f"{base}/").partition("/")
            yield prefix + key, path.replace("/", ".")
        elif isinstance(group[key], h5py.Group):
            yield from _links(group[key], base, f"{prefix}{key}.")
        else:
            value = group[key][()]
            yield prefix + key, value if isinstance(value, np.ndarray) else int(value)


def _write_parameters(root: h5py.Group, after: str, parameters: Mapping[str, Constant]) -> None:
    """Record what only what follows the runs asked for; ``after`` lists who did."""
    for name, parameter in list(names_in(root["parameters"])):
        askers = str(parameter.attrs.get(AFTER, "")).split()
        if after in askers:
            askers.remove(after)
            parameter.attrs[AFTER] = " ".join(askers)
            if not askers:
                _remove(root, place("parameters", name))
    for name, constant in parameters.items():
        parameter = root.get(place("parameters", name))
        if parameter is None or AFTER in parameter.attrs:
            askers = [] if parameter is None else str(parameter.attrs[AFTER]).split()
            write_constant(root, name, *constant)
            root[place("parameters", name)].attrs[AFTER] = " ".join([*askers, after])


def _remove(root: h5py.Group, path: str) -> None:
    """Remove what stands at a path, and the groups that are empty then."""
    while "/" in path:
        parent, _, key = path.rpartition("/")
        del root[parent][key]
        if len(root[parent]):
            return
        path = parent


def _write_state(root: h5py.Group, name: str, facts: Mapping[str, Any]) -> h5py.Group:
    """What is known of the last call of an ``@after``: short facts as attributes, long ones as text."""
    states, _ = home(root, f"{AFTER}/{name}")
    if name in states:
        del states[name]
    state = states.create_group(name, track_order=True)
    for key, value in facts.items():
        if isinstance(value, str) and len(value) > 1000:
            state.create_dataset(key, data=value, dtype=TEXT)
        else:
            state.attrs[key] = value
    return state
