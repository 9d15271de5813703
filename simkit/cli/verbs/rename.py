"""``simkit rename``: what is recorded under one name goes on under another."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import attrs

from simkit.analyse.open import recorded_at
from simkit.cli.verbs.words import add_json
from simkit.collect.config import Settings, find_rootdir, load_settings
from simkit.errors import SimkitError, listed, shown_path
from simkit.record.catalogue import Slot, experiments
from simkit.record.recorded import Recorded
from simkit.record.rename import rename_experiment, rename_value


@attrs.frozen
class Named:
    """A trajectory, and the names in it."""

    slot: Slot
    node_id: str
    names: tuple[str, ...]


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit rename``."""
    top = argparse.ArgumentParser(
        prog="simkit rename",
        description="Write another name into trajectories, so that the code that was renamed continues them: of an "
        "experiment (FILE::NAME, or a FILE.py that was moved), of a parameter or result, or a group of them.",
    )
    top.add_argument("old", metavar="OLD", help="the recorded name: sim_a.py::f, sim_a.py, f, neuron.tau, z")
    top.add_argument("new", metavar="NEW", help="the name that it has in the code now")
    top.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        help="only these trajectories; by default all in the results that have it",
    )
    add_json(top)
    return top


def main(options: argparse.Namespace) -> int:
    """Rename, and say what is called how now."""
    settings = load_settings(find_rootdir([]))
    known = [_known(slot) for slot in _slots(options.files, settings)]
    if options.old == options.new:
        raise SimkitError(f"{options.old} is its name already")
    if _is_path(options.old):
        todo = _experiments(known, options.old, options.new)
    else:
        todo = _values(known, options.old, options.new)
    for each, old, new in todo:
        if "::" in new:
            path = rename_experiment(each.slot, new, durable=settings.durable)
        else:
            rename_value(each.slot, old, new, durable=settings.durable)
            path = each.slot.path
        if options.json:
            options.json.emit("renamed", file=path.absolute(), old=old, new=new)
        else:
            print(f"{shown_path(path)}: {old} is {new} now")
    return 0


def _is_path(name: str) -> bool:
    return "::" in name or name.endswith(".py")


def _slots(files: Sequence[str], settings: Settings) -> Iterator[Slot]:
    """The trajectories that were named, or all of the results."""
    for file in files:
        if Path(file).is_file():
            yield from (Slot(Path(file), group) for group in experiments(Path(file)))
        else:
            with closing(recorded_at(file, codecs=False)) as recorded:
                yield Slot(recorded.path, recorded.name)
    for path in () if files else sorted(settings.results.glob("*.h5")):
        try:
            yield from (Slot(path, group) for group in experiments(path))
        except SimkitError:  # no trajectory, or a damaged one
            continue


def _known(slot: Slot) -> Named:
    with closing(Recorded.open(slot.path, slot.group)) as recorded:
        names = tuple(name for section in ("parameters", "results") for name in recorded.names(section))
        return Named(slot, str(recorded.attributes["node_id"]), names)


Todo = list[tuple[Named, str, str]]


def _experiments(known: Sequence[Named], old: str, new: str) -> Todo:
    """Trajectories of an experiment, or of all in a file that was moved."""
    if not _is_path(new) or ("::" in old) != ("::" in new):
        shape = "FILE::NAME" if "::" in old else "FILE.py"
        raise SimkitError(f"simkit rename {old} {new}: write {shape} for the new name, too")
    todo = [
        (each, each.node_id, new + each.node_id[len(old) :])
        for each in known
        if each.node_id == old or each.node_id.startswith(f"{old}::")
    ]
    if not todo:
        ids = listed(old, {each.node_id for each in known})
        raise SimkitError(f"no trajectory of {old}\n    recorded: {ids}")
    return todo


def _values(known: Sequence[Named], old: str, new: str) -> Todo:
    """Trajectories with a parameter or result, or a group, of this name; else of an experiment that is called so."""
    having = [each for each in known if any(name == old or name.startswith(f"{old}.") for name in each.names)]
    called = [each for each in known if each.node_id.rpartition("::")[2] == old]
    ids = sorted({each.node_id for each in having})
    if having and called:
        raise SimkitError(
            f"{old} is an experiment, and a name in {', '.join(ids)}: write {called[0].node_id} for the experiment, "
            "or the trajectories behind the names"
        )
    if called:
        return [(each, each.node_id, f"{each.node_id.rpartition('::')[0]}::{new}") for each in called]
    if len(ids) > 1:
        raise SimkitError(
            f"{old} is recorded of {', '.join(ids)}: write the trajectories that are meant behind the names, as in\n"
            f"    simkit rename {old} {new} {shown_path(having[0].slot.path)}"
        )
    if not having:
        names = {name for each in known for name in each.names} | {each.node_id for each in known}
        raise SimkitError(f"nothing is recorded as {old!r}\n    recorded: {listed(old, names)}")
    if not all(part.isidentifier() for part in new.split(".")):
        raise SimkitError(f"{new!r} is no name for a parameter or result: use identifiers, joined by dots")
    return [(each, old, new) for each in having]
