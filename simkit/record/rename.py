"""Give what is recorded another name: an experiment, a parameter or a result, a group of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

import h5py

from simkit.errors import SimkitError, shown_path
from simkit.record.catalogue import Slot
from simkit.record.file.locks import readers_of
from simkit.record.file.store import Store, left_log
from simkit.record.format import AFTER, MASK, RENAMED, STREAM, home, is_column, place

_SECTIONS = ("parameters", "results", "summary")


def rename_value(slot: Slot, old: str, new: str, *, durable: bool) -> None:
    """Give a parameter or result, or a group of them, another name.

    Raises
    ------
    SimkitError
        Where there is none of that name, or the new one is taken.
    """
    with _editing(slot, durable=durable) as root:
        sections = [section for section in _SECTIONS if place(section, old) in root]
        if not sections:
            raise SimkitError(f"{shown_path(slot.path)}: there is no parameter or result {old!r}")
        if taken := _taken(root, new):
            msg = f"{shown_path(slot.path)}: {old!r} can't be called {new!r}: {taken!r} is recorded there"
            raise SimkitError(msg)
        if "checkpoint" in root["runs"] and len(root["runs/checkpoint"]) and sections != ["parameters"]:
            msg = f"{shown_path(slot.path)}: runs are to go on from checkpoints that know {old!r}: finish them first"
            raise SimkitError(msg)
        for section in sections:
            _move(root, place(section, old), place(section, new))
            _retarget(root.get("links"), *(f"{root.name}/{place(section, name)}/" for name in (old, new)))
        _rename_in_facts(root, old, new)
        _rename_in_notes(root, old, new)
        _remember(root, old, new)


def rename_experiment(slot: Slot, node_id: str, *, durable: bool) -> Path:
    """Give an experiment another node id, and its trajectory that name; where it is then.

    Its random streams stay those of its first name: further runs draw what they would have drawn.

    Raises
    ------
    SimkitError
        Where another process has the file open, or its shards are files of their own.
    """
    name, shards = node_id.partition("::")[2], slot.path.with_suffix(".shards")
    readers = readers_of(slot.path)
    if shards.exists() or readers:
        why = (
            f"it is made of {shown_path(shards)}: merge it first"
            if not readers
            else f"{readers[0]} has it open"
        )
        raise SimkitError(f"{shown_path(slot.path)} can't be renamed: {why}")
    with _editing(slot, durable=durable) as root:
        old_id, file = str(root.attrs["node_id"]), root.file
        root.attrs["node_id"] = node_id
        if STREAM not in root.attrs:
            root.attrs[STREAM] = old_id.partition("::")[2]
        _remember(root, old_id, node_id)
        group = _free_group(file, slot.group, name)
        if group != slot.group:
            _retarget(root.get("links"), f"/{slot.group}/", f"/{group}/")
            file.move(slot.group, group)
    return _moved(slot.path, old_id.partition("::")[2], name)


@contextmanager
def _editing(slot: Slot, *, durable: bool) -> Iterator[h5py.Group]:
    """An experiment's group, to change it as a whole or not at all."""
    store, failed = Store(slot.path, durable=durable), True
    try:
        yield store.file[slot.group]
        failed = False
    finally:
        store.close(failed=failed)


def _free_group(file: h5py.File, group: str, name: str) -> str:
    """The group's new name; that of a second trajectory in a file keeps its number, where it is free."""
    match = re.fullmatch(r".+-(\d+)", group)
    wanted = f"{name}-{match[1]}" if match else name
    names = chain([wanted], (f"{name}-{number:03d}" for number in count(2)))
    return next(each for each in names if each not in file or each == group)


def _moved(path: Path, old: str, name: str) -> Path:
    """Give a numbered file its experiment's new name; where it is then."""
    match = re.fullmatch(rf"{re.escape(old)}-(\d+)", path.stem)
    if match is None or old == name or left_log(path):
        return path
    numbers = chain([match[1]], (f"{number:03d}" for number in count(1)))
    there = next(new for n in numbers if not (new := path.with_name(f"{name}-{n}{path.suffix}")).exists())
    return path.rename(there)


def _taken(root: h5py.Group, new: str) -> str:
    """The recorded name that stands where a new one shall: itself, or a leaf among its groups."""
    parts = new.split(".")
    for section in ("parameters", "results"):
        if place(section, new) in root:
            return new
        for stop in range(1, len(parts)):
            outer = ".".join(parts[:stop])
            if place(section, outer) in root and is_column(root[place(section, outer)]):
                return outer
    return ""


def _move(root: h5py.Group, old: str, new: str) -> None:
    """Move a column or group with its mask; names that stood behind it stay behind it."""
    (before, key), (after, name) = (home(root, path) for path in (old, new))
    keys = list(before)
    behind = keys[keys.index(key) + 1 :] if before == after else []
    for end in ("", MASK):
        if key + end in before:
            before.move(key + end, f"{after.name}/{name}{end}")
    for each in behind:
        if each != key + MASK:
            before.move(each, f"{each}.moved")
            before.move(f"{each}.moved", each)
    while before != root and not len(before) and before.name.count("/") > root.name.count("/") + 1:
        before, key = before.parent, before.name.rpartition("/")[2]
        del before[key]


def _rename_in_facts(root: h5py.Group, old: str, new: str) -> None:
    """Rename in what tells how this trajectory is compared with the code."""
    known = json.loads(root.attrs["fingerprint"])
    known["constants"] = {_renamed(name, old, new): digest for name, digest in known["constants"].items()}
    known["explored"] = sorted(_renamed(name, old, new) for name in known["explored"])
    for key in {"designs", "feeds"} & known.keys():
        known[key] = _replaced(known[key], old, new)
    root.attrs["fingerprint"] = json.dumps(known)
    if "explored" in root.attrs:
        explored = json.loads(root.attrs["explored"])
        root.attrs["explored"] = json.dumps([_renamed(name, old, new) for name in explored])


def _renamed(name: str, old: str, new: str) -> str:
    if name == old or name.startswith(f"{old}."):
        return new + name[len(old) :]
    return name


def _replaced(value: Any, old: str, new: str) -> Any:
    """Nested lists and tables with a name replaced wherever it stands."""
    if isinstance(value, dict):
        return {_renamed(key, old, new): _replaced(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, old, new) for one in value]
    return _renamed(value, old, new) if isinstance(value, str) else value


def _retarget(links: h5py.Group | None, old: str, new: str) -> None:
    """Let second names point to where what they stand for is now."""
    if links is None:
        return
    for key in list(links):
        link = links.get(key, getlink=True)
        if isinstance(link, h5py.SoftLink):
            if f"{link.path}/".startswith(old):
                del links[key]
                links[key] = h5py.SoftLink((new + f"{link.path}/"[len(old) :]).rstrip("/"))
        elif isinstance(links[key], h5py.Group):
            _retarget(links[key], old, new)


def _rename_in_notes(root: h5py.Group, old: str, new: str) -> None:
    """Rename in what remarks are on."""
    states = root.get(AFTER, {})
    for notes in (
        root.get("notes"),
        root["runs"].get("notes"),
        *(states[key].get("notes") for key in states),
    ):
        if notes is not None and "name" in notes:
            names = notes["name"].asstr()[:].tolist()
            for number, name in enumerate(names):
                if _renamed(name, old, new) != name:
                    notes["name"][number] = _renamed(name, old, new)


def _remember(root: h5py.Group, old: str, new: str) -> None:
    """Note the renaming: the sessions before it have the code with the old name."""
    pairs = json.loads(root.attrs.get(RENAMED, "[]"))
    root.attrs[RENAMED] = json.dumps([*pairs, [old, new]])
