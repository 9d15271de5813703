"""``simkit list``: which trajectories there are, how far each is, and which one would be continued."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from simkit.analyse.stages import Supply
from simkit.cli.verbs.words import add_json, aligned, facts_of
from simkit.collect.collection import collect
from simkit.collect.config import Settings, find_rootdir, load_settings
from simkit.collect.targets import Target
from simkit.errors import Damaged, NothingToRun, SimkitError, listed, refused, shown_path, visible
from simkit.inform.events import Events
from simkit.inform.progress import briefly, counted, cut, size
from simkit.record.catalogue import bytes_of, experiments, writer_in
from simkit.record.damage import alterations
from simkit.record.file.store import left_log
from simkit.record.inspection import unasked
from simkit.record.recorded import Recorded
from simkit.resume.continuing import matched_slot
from simkit.study.supply import supplied
from simkit.values.batch import tally
from simkit.values.decode import decode

_ELSEWHERE = ("__pycache__", "node_modules", "site-packages")  # and what begins with a dot
_WIDEST = 60  # characters of the constants in a line


@attrs.frozen
class Line:
    """What is told of one trajectory.

    Attributes
    ----------
    name
        The experiment's group in the file.
    digests
        Of the constants by name: where they differ, the values do.
    values
        The constants as they are shown, by name.
    counts
        How many runs have each status.
    session
        When the last session ended, for people.
    call
        The Python call that made it, empty where the command did.
    """

    path: Path
    name: str
    node_id: str
    digests: Mapping[str, str]
    values: Mapping[str, str]
    counts: Mapping[str, int]
    session: str
    call: str = ""
    facts: Mapping[str, Any] = attrs.field(factory=dict)  # for programs


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit list``."""
    top = argparse.ArgumentParser(
        prog="simkit list",
        description="The trajectories below the rootdir: runs done, failed and pending, the constants that tell "
        "those of one experiment apart, size, last session, and which one simkit would continue.",
    )
    top.add_argument(
        "places",
        metavar="NAME|FILE|FOLDER",
        nargs="*",
        help="only these: the name of an experiment, a file, or a folder; by default the rootdir",
    )
    add_json(top)
    return top


@unasked()
def main(options: argparse.Namespace) -> int:
    """Print the trajectories that there are; the exit code tells of files that can't be read."""
    settings = load_settings(find_rootdir([]))
    problems: list[SimkitError] = []
    lines = _lines(_wanted_files(options.places, settings, problems), problems)
    lines = _named(lines, [place for place in options.places if not os.path.exists(place)])
    recorded = {line.path for line in lines}
    for place in filter(os.path.isfile, options.places):
        if not problems and Path(os.path.abspath(place)) not in recorded:
            problems.append(SimkitError(f"{shown_path(place)}: no trajectory of simkit's"))
    if not lines and not problems:
        msg = (
            f"no trajectory below {shown_path(settings.rootdir)}: run simkit first, or give a file or folder"
        )
        raise NothingToRun(msg)
    if options.json:
        _emit_lines(lines, settings, options.json)
    else:
        _print_lines(lines, settings)
    for problem in problems:
        if options.json:
            options.json.emit("error", where="", message=str(problem))
        else:
            print(visible(f"simkit: {problem}"), file=sys.stderr)
    return problems[0].exit_code if problems else 0


def _wanted_files(places: Sequence[str], settings: Settings, problems: list[SimkitError]) -> list[Path]:
    """The HDF5 files at these places; below the rootdir where there are none, or names of experiments."""
    folders = [Path(place) for place in places if os.path.exists(place)]
    if len(folders) < len(places) or not places:
        folders += [settings.rootdir, settings.results]
    paths: dict[Path, Path] = {}
    for folder in folders:
        for path in [folder] if folder.is_file() else _files_below(folder, problems):
            paths.setdefault(Path(os.path.realpath(path)), path)
    return list(paths.values())


def _files_below(folder: Path, problems: list[SimkitError]) -> Iterator[Path]:
    def closed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            problems.append(SimkitError(f"{refused(error)}: what is recorded there is not known"))

    for place, inner, files in os.walk(folder, onerror=closed):
        masters = {f"{name.removesuffix('.h5')}.shards" for name in files if name.endswith(".h5")}
        inner[:] = sorted(n for n in inner if n[0] != "." and n not in _ELSEWHERE and n not in masters)
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".h5") and name[0] != ".")


def _lines(paths: Iterable[Path], problems: list[SimkitError]) -> list[Line]:
    """What is recorded in files; those of other programs are passed over, damaged or closed ones are problems."""
    lines: list[Line] = []
    for path in paths:
        try:
            names = experiments(path)
        except Damaged as error:
            problems.append(error)
            continue
        except SimkitError as error:
            problems.extend([] if os.access(path, os.R_OK) else [error])
            continue
        for name in names:
            try:
                with alterations([path]), closing(Recorded.open(path, name)) as recorded:
                    lines.append(_line(recorded))
            except SimkitError as error:
                problems.append(error)
    return lines


def _line(recorded: Recorded) -> Line:
    digests = json.loads(recorded.attributes["fingerprint"])["constants"]
    status = recorded.run_column("status")
    return Line(
        recorded.path,
        recorded.name,
        str(recorded.attributes["node_id"]),
        digests,
        {name: _shown(recorded, name) for name in digests},
        {} if status is None else tally(status),
        _last_session(recorded),
        _call(recorded),
        facts_of(recorded),
    )


def _shown(recorded: Recorded, name: str) -> str:
    if name not in recorded.names("parameters"):
        return "(not recorded)"
    return briefly(decode(recorded.constant(name))[0], 20, 3) if recorded.is_constant(name) else "(varies)"


def _last_session(recorded: Recorded) -> str:
    sessions = recorded.sessions
    if not sessions:
        return ""
    facts = sessions[-1]
    moment = datetime.datetime.fromtimestamp(facts.get("ended", facts["started"])).astimezone()
    return f"{moment:%Y-%m-%d %H:%M}" + ("" if "ended" in facts else ", no end")


def _call(recorded: Recorded) -> str:
    sessions = recorded.sessions
    command = str(sessions[-1].get("command", "")) if sessions else ""
    return command if command.startswith("simkit.") else ""


def _named(lines: list[Line], names: Sequence[str]) -> list[Line]:
    """Those of experiments with these names; all where none is given.

    Raises
    ------
    SimkitError
        For a name that no experiment has.
    """
    known = {line.node_id.partition("::")[2] for line in lines}
    for name in names:
        if name not in known:
            msg = f"no file, folder or recorded experiment {name!r}\n    experiments: {listed(name, known)}"
            raise SimkitError(msg)
    return [line for line in lines if not names or line.node_id.partition("::")[2] in names]


def _print_lines(lines: Sequence[Line], settings: Settings) -> None:
    """Those of each experiment together, with what simkit would do with it."""
    node_ids = sorted({line.node_id for line in lines})
    plans, unknown = _collected(settings)
    for node_id in node_ids:
        mine = [line for line in lines if line.node_id == node_id]
        call = next((line.call for line in mine if line.call), "")
        absent = f"made in Python, where {call} goes on with it" if call else "it is not in the project now"
        continued, why = plans.get(node_id, (None, "" if unknown else absent))
        print(node_id)
        for row in aligned([_row(line, mine, continued) for line in mine]):
            print(f"    {row}")
        for path in dict.fromkeys(line.path for line in mine):
            if not writer_in(path) and (log := left_log(path)):
                print(f"    {log}")
        if why:
            print(f"    {why}")
        print()
    done = sum(line.counts.get("done", 0) for line in lines)
    total = sum(sum(line.counts.values()) for line in lines)
    print(
        f"{len(lines)} {'trajectory' if len(lines) == 1 else 'trajectories'}, {done} of {counted(total, 'run')} done"
    )
    if unknown:
        print(f"which ones simkit would continue is not known: {unknown}")


def _emit_lines(lines: Sequence[Line], settings: Settings, events: Events) -> None:
    """An object for each trajectory."""
    plans, unknown = _collected(settings)
    for line in lines:
        place, why = plans.get(line.node_id, (None, ""))
        here = None if line.node_id not in plans else place == (line.path.resolve(), line.name)
        events.emit("trajectory", **line.facts, constants=line.values, continued=here, remark=why or None)
    if unknown:
        events.emit("error", where="", message=unknown)


def _row(line: Line, mine: Sequence[Line], continued: tuple[Path, str] | None) -> list[str]:
    """The words of a line among those of the same experiment."""
    several = sum(other.path == line.path for other in mine) > 1
    file = f"{shown_path(line.path)}{f'::{line.name}' if several else ''}"
    names = [name for name in line.digests if len({other.digests.get(name) for other in mine}) > 1]
    constants = cut(" ".join(f"{name}={line.values[name]}" for name in names), _WIDEST)
    nbytes = bytes_of(line.path)
    here = continued is not None and continued == (line.path.resolve(), line.name)
    mark = "simkit continues it" if here else ""
    if writer := writer_in(line.path):
        mark = f"{writer} is writing it"
    order = sorted(line.counts, key="pending".__eq__)
    runs = ", ".join(f"{line.counts[word]} {word}" for word in order) or "no runs"
    return [file, runs, constants, size(nbytes), line.session, mark]


def _collected(settings: Settings) -> tuple[dict[str, tuple[tuple[Path, str] | None, str]], str]:
    """By node id, file and group that would be continued, or why none would; and why nothing is known of them."""
    wanted = attrs.evolve(settings, targets=[Target(settings.rootdir)])
    try:
        items, problems = collect(wanted)
    except NothingToRun:
        return {}, ""
    except SimkitError as error:
        return {}, str(error)
    told: dict[str, tuple[tuple[Path, str] | None, str]] = {}
    for plan in (item.plan for item in items):
        try:
            match = matched_slot(supplied(plan, Supply(wanted)), wanted)
        except SimkitError as error:
            told[plan.node_id] = (None, str(error).partition("\n")[0])
            continue
        if match.recorded is not None:
            match.recorded.close()
        place = None if match.slot is None else (match.slot.path.resolve(), match.slot.group)
        differences = "" if match.nearest is None else "; ".join(match.nearest[1].words)
        told[plan.node_id] = (place, f"simkit begins the next one: {differences}" if differences else "")
    return told, "\n".join(str(problem.error) for problem in problems)
