"""What is added to a trajectory after its runs: derived values, remarks, second names.

``summary/NAME``   one value each; ``after`` says which function gave it, ``added`` that it was given by hand
``notes``          ``name`` and ``text`` of remarks on the trajectory (no name), a group or a name
``links/NAME``     a soft link to a recorded name; or a run number; or the numbers of a selection
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.declare.forms import Index
from simkit.errors import SimkitError, shown_path
from simkit.record.catalogue import Slot
from simkit.record.columns.layout import TEXT, append, create_flat
from simkit.record.columns.write import annotate, write_constant, write_single
from simkit.record.facts import clean
from simkit.record.file.store import Store
from simkit.record.format import AFTER, home, names_in, place
from simkit.record.recorded import Recorded
from simkit.values.columns import Column

_SECTIONS = ("parameters", "results", "summary")


def write_summary(root: h5py.Group, name: str, column: Column, note: Note, origin: str) -> Any:
    """Write one derived value; what stood there is replaced."""
    parent, key = home(root, place("summary", name))
    if key in parent:
        del parent[key]
    thing = write_single(parent, key, column)
    annotate(thing, note, origin)
    return thing


def remove_summary(root: h5py.Group, wanted: Callable[[Any], bool]) -> None:
    """Remove the derived values whose attributes pass, and groups that are empty then."""
    if "summary" not in root:
        return
    for name, thing in list(names_in(root["summary"])):
        if wanted(thing.attrs):
            _remove(root, place("summary", name))


def owner_of(root: h5py.Group, name: str) -> str | None:
    """Which function gave a derived value: empty for one that was given by hand, None where there is none."""
    thing = root.get(place("summary", name))
    return None if thing is None else str(thing.attrs.get(AFTER, ""))


def write_remarks(group: h5py.Group, notes: Sequence[tuple[str, str]]) -> None:
    """Add remarks as ``(name, text)``; the name is empty for the trajectory."""
    for key, values in (("name", [clean(n) for n, _ in notes]), ("text", [clean(text) for _, text in notes])):
        dataset = group[key] if key in group else create_flat(group, key, TEXT)
        append(dataset, np.array(values, object))


def read_remarks(group: h5py.Group | None) -> list[tuple[str, str]]:
    """The remarks as ``(name, text)``."""
    if group is None or "name" not in group:
        return []
    return list(zip(group["name"].asstr()[:].tolist(), group["text"].asstr()[:].tolist(), strict=True))


def remarks_on(root: h5py.Group, name: str) -> list[str]:
    """The remarks on a name, those of what followed the runs included."""
    groups = [root.get("notes"), *(state.get("notes") for state in root.get(AFTER, {}).values())]
    return [text for group in groups for known, text in read_remarks(group) if known == name]


def remarks_on_runs(root: h5py.Group, name: str) -> list[tuple[int, str]]:
    """What the runs' own remarks say about a name, by run number."""
    group = root.get("runs/notes")
    if group is None:
        return []
    at = np.flatnonzero(group["name"].asstr()[:] == name)
    runs, texts = group["run"][:], group["text"].asstr()
    return [(int(runs[i]), str(texts[i])) for i in at]


def write_link(root: h5py.Group, name: str, target: str | int | Index) -> None:
    """A second name for a recorded name, a run or a selection; an older one of that name is replaced."""
    parent, key = home(root, f"links/{name.replace('.', '/')}")
    if parent.get(key, getlink=True) is not None:
        del parent[key]
    if isinstance(target, str):
        parent[key] = h5py.SoftLink(f"{root.name}/{_path(root, target)}")
    elif isinstance(target, int):
        parent.create_dataset(key, data=np.int64(target))
    else:
        parent.create_dataset(key, data=np.asarray(target, np.int64))


def _path(root: h5py.Group, name: str) -> str:
    return next(path for section in _SECTIONS if (path := place(section, name)) in root)


def read_links(root: h5py.Group) -> dict[str, str | int | Index]:
    """Every link with the dotted name, the run number or the run numbers that it stands for."""
    return dict(_links(root["links"], root.name, "")) if "links" in root else {}


def _links(group: h5py.Group, base: str, prefix: str) -> Any:
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


def write_outcome(
    root: h5py.Group,
    after: str,
    facts: Mapping[str, Any],
    values: Mapping[str, tuple[Column, Note]],
    parameters: Mapping[str, tuple[Any, Note, str]],
    notes: Sequence[tuple[str, str]],
) -> None:
    """Replace what an ``@after`` gave when it was called before."""
    remove_summary(root, lambda attributes: attributes.get(AFTER) == after)
    for name, (column, note) in values.items():
        write_summary(root, name, column, note, str(facts["function"])).attrs[AFTER] = after
    _write_parameters(root, after, parameters)
    state = _write_state(root, after, facts)
    if notes:
        write_remarks(state.create_group("notes"), notes)


def failed_of_others(root: h5py.Group, living: Collection[str]) -> list[str]:
    """Functions that failed when they were called last, and are no more."""
    states = root.get(AFTER, {})
    return [name for name in states if name not in living and states[name].attrs["status"] != "done"]


def forget(root: h5py.Group, afters: Iterable[str]) -> None:
    """Remove all that is known of these functions."""
    for after in afters:
        remove_summary(root, lambda attributes, after=after: attributes.get(AFTER) == after)  # type: ignore[misc]
        _write_parameters(root, after, {})
        del root[AFTER][after]


def _write_parameters(root: h5py.Group, after: str, parameters: Mapping[str, tuple[Any, Note, str]]) -> None:
    """Record what only what follows the runs asked for; ``after`` lists who did."""
    for name, thing in list(names_in(root["parameters"])):
        askers = str(thing.attrs.get(AFTER, "")).split()
        if after in askers:
            askers.remove(after)
            thing.attrs[AFTER] = " ".join(askers)
            if not askers:
                _remove(root, place("parameters", name))
    for name, constant in parameters.items():
        there = root.get(place("parameters", name))
        if there is None or AFTER in there.attrs:
            askers = [] if there is None else str(there.attrs[AFTER]).split()
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


def read_state(root: h5py.Group, name: str) -> dict[str, Any]:
    """The facts of the last call; empty if there was none."""
    state = root.get(f"{AFTER}/{name}")
    if state is None:
        return {}
    texts = {key: thing.asstr()[()] for key, thing in state.items() if isinstance(thing, h5py.Dataset)}
    return {**dict(state.attrs), **texts}


def open_for_editing(path: Path, name: str | None = None) -> Recorded:
    """Open one experiment of a file for reading and additions; nobody else writes it meanwhile.

    Raises
    ------
    SimkitError
        When it is no trajectory file, when several experiments are in it and none is named, or when
        somebody else is writing it.
    """
    seen = Recorded.open(path, name)  # before a file is made or a log replayed where none should be
    seen.close()
    store = Store(path)
    return Recorded(path, store.file, seen.name, store)


def editing(recorded: Recorded) -> AbstractContextManager[Any]:
    """The experiment's group to write into; committed at the end, or as it was before if that fails.

    Raises
    ------
    SimkitError
        When the file is open for reading only.
    StorageFailed
        When the disk is full; the file is closed then.
    """
    if recorded.store is None:
        where = shown_path(recorded.path)
        advice = recorded.advice or f'simkit.open("{where}", mode="r+") opens it for additions'
        msg = f"{where} is open for reading only: {advice}"
        raise SimkitError(msg)
    return _editing(recorded, recorded.store)


@contextmanager
def _editing(recorded: Recorded, store: Store) -> Iterator[Any]:
    try:
        yield recorded.root
        store.commit()
    except BaseException:
        if isinstance(recorded.release, weakref.finalize):
            recorded.release.detach()
        store.close(failed=True)
        raise
    finally:
        recorded.__dict__.pop("sections", None)  # what was read before the change


@contextmanager
def writing(slot: Slot, *, durable: bool) -> Iterator[Any]:
    """The group of a recorded experiment to write into; committed at the end, or left as it was if that fails."""
    store = Store(slot.path, durable=durable)
    failed = True
    try:
        yield store.file[slot.group]
        failed = False
    finally:
        store.close(failed=failed)


def state_of_summary(recorded: Recorded) -> str:
    """What to know of the derived values before using them, or nothing."""
    states = {name: read_state(recorded.root, name) for name in recorded.root.get(AFTER, {})}
    failed = [name for name, state in states.items() if state["status"] != "done"]
    if failed:
        return f"after {', '.join(failed)} failed: traj.error({failed[0]!r}) tells why"
    old = [name for name, state in states.items() if state["runs"] != recorded.digest]
    return f"after {', '.join(old)}: older than the newest runs" if old else ""
