"""``simkit show``: what is recorded in a file, as a whole, of one run, or of its sessions."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simkit.analyse.open import recorded_at
from simkit.analyse.selection import Selection
from simkit.analyse.show import caption_of, caption_of_derived, glanced
from simkit.analyse.tables import dataframe, default_names
from simkit.analyse.trajectory import Trajectory
from simkit.cli.verbs.words import add_file, add_json, aligned, experiments_at, facts_of, replay_line
from simkit.errors import SimkitError, shown_path, visible
from simkit.inform.events import Events
from simkit.inform.progress import briefly, counted, duration, rule, size
from simkit.record.catalogue import writer_in
from simkit.record.file.store import left_log
from simkit.record.inspection import unasked
from simkit.record.recorded import Recorded
from simkit.values.decode import ABSENT

_WIDTH = 11


def show_provenance(file: str, name: str | None) -> int:
    """Print the sessions of a file's experiments."""
    for recorded in experiments_at(file, name, codecs=False):
        print(rule(str(recorded.attributes["node_id"])))
        for number, facts in enumerate(recorded.sessions, 1):
            print("\n".join(_session(number, facts, recorded)))
        print(f"the sources again:  simkit restore {shown_path(recorded.path)} DIR")
    return 0


def _session(number: int, facts: Mapping[str, Any], recorded: Recorded) -> Iterator[str]:
    yield f"session {number}   {_times(facts)}"
    for title, text in _lines(facts):
        first, *more = text.splitlines()
        yield f"    {title:<{_WIDTH}} {first}"
        yield from (f"    {'':<{_WIDTH}} {line}" for line in more)
    title = "sources"
    for path, digest in facts["sources"].items():
        yield f"    {title:<{_WIDTH}} {path}   {size(len(recorded.source_bytes(digest)))}   {digest[:12]}"
        title = ""
    yield ""


def _times(facts: Mapping[str, Any]) -> str:
    started = datetime.datetime.fromtimestamp(facts["started"]).astimezone()
    text = f"{started:%Y-%m-%d %H:%M:%S %Z}"
    if "ended" not in facts:
        return f"{text}, no end: it was killed, is still running, or an older simkit made it"
    return f"{text}, {duration(facts['ended'] - facts['started'])}: {facts['outcome']}"


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and text of each fact that there is."""
    texts = {
        "command": facts["command"],
        "reason": facts.get("reason"),
        "seed": facts.get("root_seed"),
        "workers": f"{facts['workers']} ({facts['engine']})",
        "printed": facts.get("printed"),
        "changed": facts.get("changed"),
        "machine": _machine(facts),
        "environment": _pairs(facts.get("environment", {})),
        "simkit": f"{facts['simkit']}, Python {facts['python']}",
        "Brian2": " on ".join(str(facts[key]) for key in ("brian2_codegen", "brian2_device") if key in facts),
        "packages": _wrapped([f"{name} {version}" for name, version in facts["packages"].items()]),
        "git": _git(facts),
        "Sumatra": facts.get("sumatra"),
        "missing": facts.get("problems"),
    }
    return ((title, str(text)) for title, text in texts.items() if text)


def _machine(facts: Mapping[str, Any]) -> str:
    who = f"{facts['user']}@{facts['host']}" if "user" in facts else str(facts["host"])
    memory = [size(facts["memory"])] if "memory" in facts else []
    cpu = [str(facts["cpu"])] if "cpu" in facts else []
    return ", ".join([who, *cpu, counted(facts["cores"], "core"), *memory]) + f"\n{facts['platform']}"


def _pairs(mapping: Mapping[str, str]) -> str:
    return _wrapped([f"{name}={value}" for name, value in mapping.items()])


def _wrapped(words: list[str], width: int = 80) -> str:
    """Words with commas, in lines of a readable length."""
    lines = [""]
    for word in words:
        joint = ", " if lines[-1] else ""
        if lines[-1] and len(lines[-1]) + len(joint + word) > width:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += joint + word
    return "\n".join(lines)


def _git(facts: Mapping[str, Any]) -> str:
    git = facts.get("git")
    if not git:
        return ""
    head = f"commit {git['commit'][:12]}" if git["commit"] else "no commit yet"
    place = f"on {git['branch']}" if git["branch"] else "on no branch"
    tags = [f"tagged {', '.join(git['tags'])}"] if git.get("tags") else []
    lines = [", ".join([f"{head} {place}", *tags, "with changes" if git["dirty"] else "clean"])]
    lines += [f"remote {git['remote']}"] if git.get("remote") else []
    lines += [f"snapshot {git['snapshot'][:12]} in {git['snapshot_ref']}"] if git.get("snapshot") else []
    lines += [f"{marks.replace('.', ' ')} {path}" for path, marks in git.get("changed", {}).items()]
    lines += [f"?? {path}" for path in git.get("untracked", [])[:10]]
    hidden = len(git.get("untracked", [])) - 10 + git.get("untracked_more", 0)
    lines += [f"… and {counted(hidden, 'more untracked file')}"] if hidden > 0 else []
    lines += [f"submodule {path}: {about}" for path, about in git.get("submodules", {}).items()]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit show``."""
    top = argparse.ArgumentParser(prog="simkit show", description="What is recorded in a trajectory file.")
    add_file(top)
    top.add_argument("--run", metavar="N", type=int, help="one run: parameters, results, log, traceback")
    top.add_argument(
        "--provenance", action="store_true", help="each session: machine, packages, git, sources, command"
    )
    add_json(top)
    return top


@unasked()
def main(options: argparse.Namespace) -> int:
    """Print what the options ask for."""
    if options.json:
        return emit(options, options.json)
    if options.provenance:
        return show_provenance(options.file, options.name)
    return show(options.file, options.name, options.run)


def show(file: str, name: str | None, run: int | None) -> int:
    """Print a file's experiments, or one run of one."""
    if run is not None:
        with Trajectory(recorded_at(file, name)) as trajectory:
            print(one_run(trajectory, run))
        return 0
    path: Path | None = None
    for recorded in experiments_at(file, name):
        head, _, last = str(Trajectory(recorded)).rpartition("\n")
        table = first_rows(Selection(recorded))
        print("\n".join([head, *(["", visible(table)] if table else []), last]))
        path = recorded.path
    if path is not None and (writer := writer_in(path)):
        print(f"{writer} is writing it: this is how far it is now")
    if path is not None and (log := left_log(path)):
        print(log)
    return 0


def emit(options: argparse.Namespace, events: Events) -> int:
    """The same as objects."""
    if options.run is not None:
        with Trajectory(recorded_at(options.file, options.name)) as trajectory:
            events.emit("run", **run_facts(trajectory, options.run))
        return 0
    for recorded in experiments_at(options.file, options.name, codecs=not options.provenance):
        if options.provenance:
            for number, facts in enumerate(recorded.sessions, 1):
                events.emit(
                    "session", file=recorded.path.absolute(), name=recorded.name, number=number, facts=facts
                )
            continue
        names = {section: _captions(recorded, section) for section in ("parameters", "results", "summary")}
        events.emit("contents", **facts_of(recorded), doc=str(recorded.attributes.get("doc", "")), **names)
    return 0


def _captions(recorded: Recorded, section: str) -> list[dict[str, Any]]:
    caption = caption_of_derived if section == "summary" else caption_of
    captions = {name: caption(recorded, name) for name in recorded.names(section)}
    return [
        {
            "name": name,
            "constant": caption.value.startswith("= "),
            "text": caption.value.removeprefix("= "),
            "unit": caption.unit,
            "comment": caption.comment,
            "explored": caption.explored,
        }
        for name, caption in captions.items()
    ]


def run_facts(trajectory: Trajectory, run: int) -> dict[str, Any]:
    """What is known of one run."""
    _check_number(trajectory, run)
    info = trajectory.info
    values = {
        section: {
            name: value
            for name in trajectory.names(section)
            if (value := _raw(trajectory, run, name)) is not ABSENT
        }
        for section in ("parameters", "results")
    }
    seconds = float(trajectory.seconds[run])
    return {
        "file": trajectory.path.absolute(),
        "name": trajectory.name,
        "experiment": info.node_id,
        "run": run,
        "status": str(trajectory.status[run]),
        "seconds": None if np.isnan(seconds) else seconds,
        **values,
        "notes": list(trajectory.notes(run)),
        "log": trajectory.log(run),
        "error": trajectory.error(run),
        "replay": replay_line(trajectory.path, trajectory.name, info.node_id, info.sessions, run),
    }


def _check_number(trajectory: Trajectory, run: int) -> None:
    if not 0 <= run < len(trajectory):
        msg = f"--run {run}: the runs of {trajectory.name} are numbered 0 to {len(trajectory) - 1}"
        raise SimkitError(msg)


_ROWS, _COLUMNS, _CELL = 5, 8, 24  # of the beginning of a table


def first_rows(selection: Selection) -> str:
    """The beginning of the table of what differs between runs; empty where nothing does."""
    names = default_names(selection)
    constant = [name for name in names if selection.recorded.is_constant(name)]
    n = len(selection)
    if len(constant) == len(names) or not n:
        return ""
    unfinished = bool((selection.of_runs("status") != "done").any())
    rows = dataframe(selection.at(selection.runs[:_ROWS]), None, info=("status",) if unfinished else ())
    rows = rows.drop(columns=constant)
    table = rows.to_string(max_cols=_COLUMNS, max_colwidth=_CELL)
    more = f"\n… {n - _ROWS} more" if n > _ROWS else ""
    return "\n".join(f"  {line}".rstrip() for line in f"{table}{more}".splitlines())


def one_run(trajectory: Trajectory, run: int) -> str:
    """One run: parameters, results, notes, log, traceback, and the command that replays it."""
    _check_number(trajectory, run)
    status, seconds = trajectory.status[run], trajectory.seconds[run]
    took = "" if np.isnan(seconds) else f"   seconds: {seconds:.3g}"
    lines = [rule(f"{trajectory.info.node_id}[{run}]"), f"status: {status}{took}"]
    for title, names in (
        ("parameters", trajectory.names("parameters")),
        ("results", trajectory.names("results")),
    ):
        values = {name: value for name in names if (value := _value(trajectory, run, name)) is not None}
        if values:
            lines += ["", title, *(f"    {line}" for line in aligned(list(values.items())))]
    texts = (
        ("notes", "\n".join(trajectory.notes(run))),
        ("programs", "\n".join(map(str, trajectory.commands(run)))),
        ("files", "\n".join(_files(trajectory, run))),
        ("log", trajectory.log(run)),
        ("error", trajectory.error(run)),
    )
    for title, text in texts:
        if text:
            lines += ["", title, *("    " + line for line in text.rstrip().splitlines())]
    info = trajectory.info
    replay = replay_line(trajectory.path, trajectory.name, info.node_id, info.sessions, run)
    return "\n".join([*lines, "", f"replay: {replay}"])


def _files(trajectory: Trajectory, run: int) -> list[str]:
    files = trajectory.files(run)
    return [f"{name}   {size(files.size(name))}" for name in files]


def _value(trajectory: Trajectory, run: int, name: str) -> str | None:
    value = _raw(trajectory, run, name)
    return None if value is ABSENT else briefly(value)


def _raw(trajectory: Trajectory, run: int, name: str) -> Any:
    try:
        return glanced(lambda: trajectory.runs[run][name])
    except KeyError:
        return ABSENT
