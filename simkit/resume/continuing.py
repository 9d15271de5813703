"""Which trajectory does a session write: one that it continues, or the next one?"""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.collect.code import changes, globals_of, graph_of, reached
from simkit.collect.config import Settings
from simkit.collect.graph import project_file
from simkit.collect.plan import Plan, given_by_code, providers_of, source_key
from simkit.declare.feed import DIGEST
from simkit.declare.forms import TRIAL, Array, atoms
from simkit.declare.reflection import shown
from simkit.declare.space import outline
from simkit.errors import NothingToRun, SimkitError, Unstorable, shown_path
from simkit.record.catalogue import Slot, discard, existing, following, is_empty, opened
from simkit.record.damage import alterations, damage_of, listing
from simkit.record.format import PART_OF, STREAM
from simkit.record.readings import differences, in_words
from simkit.record.recorded import Recorded
from simkit.resume.points import Points, continued_points, failed_only, fresh_points, points_of_set
from simkit.resume.renaming import Renaming, is_same_but_for_names, newest_recognised, recognised
from simkit.values.batch import Restored, Status
from simkit.values.compare import digest
from simkit.values.decode import decode
from simkit.values.instances import loaded, revived


def fingerprint(plan: Plan) -> dict[str, Any]:
    """What must agree for runs to belong to one trajectory, the code aside."""
    constants = {name: _digest(value) for name, value in _constants(plan)}
    feeds = {name: feed.by if feed.by is None else list(feed.by) for name, feed in plan.space.feeds.items()}
    designs = [dict(atom.design) for atom in atoms(plan.space.form) if atom.design]
    return {
        "constants": constants,
        "explored": sorted(plan.space.names),
        **({"designs": designs} if designs else {}),
        **({"feeds": feeds} if feeds else {}),
        **plan.captures.recorded(),
    }


def _constants(plan: Plan) -> Iterator[tuple[str, Any]]:
    """The values that are the same in all runs and are not computed, by name; of groups those of each field."""
    for node in plan.nodes.values():
        key = node.key if node.kind == "group" else node.name
        for leaf, value in given_by_code(node, plan).items():
            yield key + leaf[len(node.name) :], value
        if node.supplier is not None and node.supplier.fixed is not None:
            yield node.value.recorded[-1], node.supplier.fixed[-1]


def _digest(value: Any) -> str:
    try:
        return digest(value)
    except Unstorable:
        return shown(value)


@attrs.frozen
class Mismatch:
    """How a recorded trajectory differs from the plan; empty means that it can be continued."""

    other: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    captured: tuple[str, ...] = ()  # values that the code carries
    inputs: tuple[str, ...] = ()  # files that the runs read

    @property
    def is_bridgeable(self) -> bool:
        """Whether the trajectory can be continued all the same: its points and seeds are of the same kind."""
        return not self.other

    @property
    def distance(self) -> tuple[bool, int]:
        """How far the trajectory is from the plan: other points and seeds are farther than any value or code."""
        return not self.is_bridgeable, len(self.words)

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def words(self) -> list[str]:
        """All differences, for people."""
        return [*self.other, *self.constants, *self.inputs, *self.code, *self.captured]


def difference(plan: Plan, recorded: Recorded, seed: int | None) -> Mismatch:
    """Compare the plan with what is recorded."""
    if recorded.attributes["node_id"] != plan.node_id:
        return Mismatch((f"it belongs to {recorded.attributes['node_id']}",))
    if PART_OF in recorded.attributes:
        return Mismatch((f"it is only a part of {recorded.attributes[PART_OF]}",))
    known, now = json.loads(recorded.attributes["fingerprint"]), fingerprint(plan)
    if known["explored"] != now["explored"]:
        words = f"explored {', '.join(known['explored']) or 'nothing'}, now {', '.join(now['explored']) or 'nothing'}"
        return Mismatch((words,))
    if known.get("designs") != now.get("designs"):
        return Mismatch(("another design of sensitivity analysis: other ranges, seed or method",))
    if known.get("feeds") != now.get("feeds"):
        return Mismatch((_other_runs(known.get("feeds", {}), now.get("feeds", {})),))
    root = int(recorded.attributes["root_seed"])
    other = (f"seed {root}, now {seed}",) if seed is not None and seed != root else ()
    changed = tuple(_changed_constants(plan, recorded, known["constants"], now["constants"]))
    inputs = tuple(in_words(*each) for each in differences(recorded.inputs, plan.rootdir))
    code = tuple(changes(recorded.code, plan.code, _valued(plan)))
    code = () if code and is_same_but_for_names(plan, recorded, _valued(plan)) else code
    captured = tuple(plan.captures.changes(known, {words.partition(" ")[0] for words in code}))
    return Mismatch(other, changed, code, captured, inputs)


def _valued(plan: Plan) -> set[str]:
    """The pieces of code whose defaults are parameters: the experiment and its providers."""
    things = [plan.function, *providers_of(plan.nodes)]
    places = [(project_file(globals_of(one)), one) for one in things if hasattr(one, "__qualname__")]
    return {source_key(path, one, plan.rootdir) for path, one in places if path is not None}


def _other_runs(known: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How the points come from runs of other experiments in another way."""

    def words(feeds: Mapping[str, Any]) -> str:
        each = (
            name if by is None else f"{name} by {', '.join(by) or 'nothing'}" for name, by in feeds.items()
        )
        return "; ".join(each) or "no other experiment's runs"

    return f"each of {words(known)}, now {words(now)}"


def _changed_constants(
    plan: Plan, recorded: Recorded, known: Mapping[str, str], now: Mapping[str, str]
) -> list[str]:
    words, values = [], dict(_constants(plan))
    for name in {**known, **now}:
        if known.get(name) == now.get(name):
            continue
        before = "not set"
        if name in recorded.names("parameters"):
            is_one = recorded.is_constant(name)
            before = _shown(decode(recorded.constant(name))[0]) if is_one else "not the same in all runs"
        if (group := name.removesuffix(f".{DIGEST}")) != name and group in plan.feeds:
            words.append(f"{name} changed: {plan.feeds[group].origin} hold something else")
            continue
        after = _shown(values[name]) if name in values else "not set"
        words.append(f"{name} was {before}, now {after}")
    return words


def other_constants(plan: Plan, recorded: Recorded) -> list[str]:
    """The constants of a plan that a trajectory, of whichever experiment, has with other values, for people."""
    known, now = json.loads(recorded.attributes["fingerprint"])["constants"], fingerprint(plan)["constants"]
    both = [name for name in recorded.names("parameters") if name in {*now} & {*known} - {*recorded.explored}]
    same = {name: known[name] for name in both if recorded.is_constant(name)}
    return _changed_constants(plan, recorded, same, {name: now[name] for name in both})


def _shown(value: Any) -> str:
    """A value on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


_WIDEST = 60  # characters of a value
_QUICKLY_CHECKED = 4 << 30  # bytes of a file that are compared with their checksums whenever it is continued
_WORTH_ASKING = 60.0  # seconds of recorded runs that a changed line of code does not silently set aside


@attrs.frozen(eq=False)
class Continuation:
    """Where the runs go.

    Attributes
    ----------
    slot
        The file and the group in it.
    root
        The root seed.
    stream
        The name by which random streams derive from it, if not the experiment's own.
    points
        The plan's points in the order of the file.
    known
        Constant parameters that were computed before, by node key.
    status
        The recorded runs' status; None for a new trajectory.
    checkpoints
        What interrupted runs go on from.
    changed
        What differs from the sessions before, where it is continued all the same.
    remarks
        Why nothing older is continued, for people.
    damage
        What of the file was damaged, and is computed again, for people.
    is_set
        Whether it is a set of shards, and the slot its master.
    """

    slot: Slot
    root: int
    points: Points
    known: dict[str, Any]
    status: Array | None = None
    checkpoints: dict[int, Restored] = attrs.field(factory=dict)
    changed: Mismatch = Mismatch()
    remarks: tuple[str, ...] = ()
    damage: str = ""
    is_set: bool = False
    stream: str = ""


def fitted(plan: Plan, recorded: Recorded) -> Plan:
    """The plan of an experiment whose strategy chooses the points, over the names that were explored so far."""
    if plan.strategy is None or recorded.attributes["node_id"] != plan.node_id:
        return plan
    known = json.loads(recorded.attributes["fingerprint"])
    names = {*recorded.explored, *known["explored"]} - {TRIAL}
    try:
        return plan.strategy.over(outline(sorted(names), names & known["constants"].keys()))
    except SimkitError:  # the code has other names by now
        return plan


@attrs.frozen(eq=False)
class Match:
    """What the recorded trajectories of an experiment are to its plan.

    Attributes
    ----------
    recorded
        The one that is continued, open, with its slot and how it differs all the same.
    nearest
        Else the one that differs least, how, and the seconds of its done runs.
    empty
        One of which no run is done.
    """

    recorded: Recorded | None = None
    slot: Slot | None = None
    mismatch: Mismatch = Mismatch()
    nearest: tuple[Slot, Mismatch, float] | None = None
    empty: Slot | None = None


def matched_slot(plan: Plan, settings: Settings) -> Match:
    """Compare the plan with each trajectory, the newest first; the first that is the same is continued.

    Where a difference is no obstacle, since it was asked for, the one that differs least is.

    Raises
    ------
    SimkitError
        Where a trajectory of the experiment can't be read.
    """
    empty: Slot | None = None
    nearest: tuple[Slot, Mismatch, float] | None = None
    slots = existing(settings.results, plan.name, settings.output)
    for slot in () if settings.fresh else slots:
        with alterations([slot.path]):
            recorded = opened(slot)
            if recorded is None or recorded.attributes["node_id"] != plan.node_id:
                if recorded is not None:
                    recorded.close()
                continue
            found = _difference(plan, recorded, settings)
            if not found:
                return Match(recorded, slot)
            with closing(recorded):
                if recorded.shards is None and is_empty(recorded):
                    empty = empty or slot
                if nearest is None or found.distance < nearest[1].distance:
                    nearest = (slot, found, _seconds(recorded))
    is_asked_for = settings.only_failed or settings.on_change == "into"
    if nearest is not None and nearest[1].is_bridgeable and is_asked_for:
        return Match(nearest[0].open(), *nearest[:2])
    return Match(nearest=nearest, empty=empty)


def decide(plan: Plan, settings: Settings) -> Continuation:
    """Continue the newest trajectory that matches, or begin the next one.

    Raises
    ------
    SimkitError
        When code or constants changed and the configuration says to stop, or more than a minute of recorded
        runs would be set aside; the message holds the commands to go on either way.
    """
    if settings.into is not None:
        return _into(plan, settings, settings.into)
    match = matched_slot(plan, settings)
    if match.recorded is not None and match.slot is not None:
        return _continued(plan, match.slot, match.recorded, settings, match.mismatch)
    differing = match.nearest
    if differing is not None and differing[0] == match.empty:
        differing = None  # nothing is set aside
    elif renamed := None if settings.fresh or settings.shard else _renamed(plan, settings, match):
        return _beside(plan, settings, match, *renamed)
    if differing is not None:
        _check_change(*differing, settings)
    return _next(plan, settings, match.empty, differing)


def _renamed(plan: Plan, settings: Settings, match: Match) -> tuple[Slot, Renaming] | None:
    """The trajectory that would be continued if some names were not others by now."""
    now, valued = fingerprint(plan), _valued(plan)
    if match.nearest is None:
        return newest_recognised(plan, settings, now, valued) if match.empty is None else None
    with closing(match.nearest[0].open()) as recorded:
        renaming = recognised(plan, recorded, now, valued)
    return None if renaming is None else (match.nearest[0], renaming)


def _beside(plan: Plan, settings: Settings, match: Match, slot: Slot, renaming: Renaming) -> Continuation:
    """Begin the next trajectory beside one that only has other names; stop where more than a minute is at stake."""
    with closing(slot.open()) as recorded:
        seconds = _seconds(recorded)
    lines = [
        f"{shown_path(slot.path)} is not continued: {renaming.words()}",
        *(f"    keep its done runs and go on:  {command}" for command in renaming.commands(slot)),
    ]
    if settings.on_change == "stop" or (settings.on_change is None and seconds > _WORTH_ASKING):
        raise SimkitError("\n".join([*lines, _ways(slot, settings)[1]]))
    return attrs.evolve(_next(plan, settings, match.empty, None), remarks=("\n".join(lines),))


def _next(
    plan: Plan, settings: Settings, empty: Slot | None, differing: tuple[Slot, Mismatch, float] | None
) -> Continuation:
    if settings.only_failed:
        msg = f"--lf: no trajectory of {plan.node_id} is recorded that could be continued"
        raise NothingToRun(msg)
    is_set = settings.shard is not None
    slot = following(settings.results, plan.name, settings.output, shards=is_set)
    if empty is not None and settings.output is None and not is_set and discard(empty):
        slot = empty
    remarks = () if differing is None else _remarks(plan, *differing[:2], settings)
    return Continuation(
        slot, _root(plan, settings), fresh_points(plan.space), {}, remarks=remarks, is_set=is_set
    )


def _root(plan: Plan, settings: Settings) -> int:
    if settings.seed is not None:
        return settings.seed
    return settings.root if settings.root is not None else secrets.randbits(32)


def named_match(plan: Plan, settings: Settings, path: Path) -> Match:
    """The trajectory that ``--into`` names."""
    slot = next((s for s in existing(path.parent, plan.name, path)), None)
    recorded = Recorded.open(path) if slot is None else slot.open()
    with alterations([path]):
        found = _difference(plan, recorded, settings)
    if not found.is_bridgeable:
        recorded.close()
        msg = f"--into {shown_path(path)}: these are other runs: {'; '.join(found.words)}"
        raise SimkitError(msg)
    return Match(recorded, Slot(path, recorded.name), found)


def _into(plan: Plan, settings: Settings, path: Path) -> Continuation:
    match = named_match(plan, settings, path)
    assert match.recorded is not None
    assert match.slot is not None
    return _continued(plan, match.slot, match.recorded, settings, match.mismatch)


def _difference(plan: Plan, recorded: Recorded, settings: Settings) -> Mismatch:
    return _of_form(recorded, settings) or difference(fitted(plan, recorded), recorded, settings.seed)


def _seconds(recorded: Recorded) -> float:
    status, seconds = recorded.run_column("status"), recorded.run_column("seconds")
    assert status is not None
    assert seconds is not None
    return float(np.nansum(seconds[status == Status.DONE]))


def _check_change(slot: Slot, found: Mismatch, seconds: float, settings: Settings) -> None:
    modules = [words for words in found.inputs if words.partition(" ")[0].endswith(".py")]
    is_all = len(modules) == len(found.inputs) and not (found.constants or found.other)
    only_code = bool(modules or found.code) and is_all  # values that the code carries may follow from it
    stops = settings.on_change == "stop" or (
        settings.on_change is None and only_code and seconds > _WORTH_ASKING
    )
    if stops and found.is_bridgeable:
        raise SimkitError("\n".join([_remark(slot, found), *_ways(slot, settings)]))


def _remark(slot: Slot, found: Mismatch) -> str:
    return f"{shown_path(slot.path)} is not continued: {'; '.join(found.words)}"


def _remarks(plan: Plan, slot: Slot, found: Mismatch, settings: Settings) -> tuple[str, ...]:
    """Why it is not continued, and what would; a script is not told what it gave itself, such as another lambda."""
    function = plan.function
    is_made = "<" in function.__qualname__ or function.__code__.co_filename == "<string>"  # by exec
    if not settings.is_typed and (is_made or not (found.code or found.inputs)):
        return ()
    return ("\n".join([_remark(slot, found), *_ways(slot, settings)[: found.is_bridgeable]]),)


def _ways(slot: Slot, settings: Settings) -> tuple[str, str]:
    """How to go on with the recorded runs, and how anew."""
    path = shown_path(slot.path)
    keep, anew = f"into={path!r}", "fresh=True"
    if settings.is_typed:
        keep = shlex.join(["simkit", "--into", path, *settings.shaping])
        anew = shlex.join(["simkit", "--fresh", *settings.shaping])
    return f"    keep its done runs and go on:  {keep}", f"    begin the next trajectory:     {anew}"


def _continued(
    plan: Plan, slot: Slot, recorded: Recorded, settings: Settings, found: Mismatch
) -> Continuation:
    with alterations([slot.path]), closing(recorded):
        return _going_on(fitted(plan, recorded), slot, recorded, settings, found)


def _going_on(
    plan: Plan, slot: Slot, recorded: Recorded, settings: Settings, found: Mismatch
) -> Continuation:
    if damage := "" if settings.replay else mended(slot, settings):
        with closing(slot.open()) as whole:
            return attrs.evolve(_going_on(plan, slot, whole, settings, found), damage=damage)
    if recorded.shards is not None:
        points, known = (
            points_of_set(plan, recorded, settings, found.constants),
            _computed(plan, recorded, found),
        )
        root = int(recorded.attributes["root_seed"])
        return Continuation(slot, root, points, known, changed=found, is_set=True)
    points = continued_points(plan, recorded)
    status = recorded.run_column("status")
    assert status is not None
    points = failed_only(points, status) if settings.only_failed else points
    known = _computed(plan, recorded, found)
    checkpoints = {} if found else recorded.checkpoints()
    return Continuation(
        slot, int(recorded.attributes["root_seed"]), points, known, status, checkpoints, found,
        stream=str(recorded.attributes.get(STREAM, "")),
    )  # fmt: skip


def _of_form(recorded: Recorded, settings: Settings) -> Mismatch:
    """One file has one writer: tasks that each make a shard go on in a set of shards only."""
    if settings.shard is None or recorded.shards is not None:
        return Mismatch()
    return Mismatch(("it is one plain file, which shards can't share",))


def mended(slot: Slot, settings: Settings) -> str:
    """Write a damaged file anew, so that what can't be read is computed again; what was done, for people."""
    if settings.into is None and slot.path.stat().st_size > _QUICKLY_CHECKED:
        return ""
    damage = damage_of(slot.path)
    if not damage.places:
        return ""
    from simkit.record.salvage import salvage  # few files are damaged: each command would read it for nothing

    salvaged = salvage(slot.path, damage)
    lost = damage.runs(slot.group)
    words = f"{shown_path(slot.path)} was damaged: "
    again = f"what was recorded of {listing(lost.tolist())} can't be read, and is computed again"
    words += again if len(lost) else "no run is lost"
    if salvaged.dropped:
        words += f"; lost are {', '.join(salvaged.dropped)}"
    return f"{words}\n    the damaged file is kept as {shown_path(salvaged.original)}"


def _computed(plan: Plan, recorded: Recorded, found: Mismatch) -> dict[str, Any]:
    """Derived constants, read back where their own code and inputs are the same."""
    names = [words.partition(" ")[0] for words in (*found.code, *found.constants)]
    changed = {*names, *(name[: dot.start()] for name in names for dot in re.finditer(r"\.", name))}
    known = {}
    graph = graph_of(providers_of(plan.nodes), [plan.path], plan.rootdir)
    for name, node in plan.parameters.items():
        if node.kind != "derived" or node.varying or name not in recorded.names("parameters"):
            continue
        upstream = _upstream(plan, name)
        fed = [plan.feeds[key].value.recorded[-1] for key in upstream & plan.feeds.keys()]
        things = [plan.nodes[key].make for key in upstream if plan.nodes[key].kind != "constant"]
        code = reached(graph, [thing for thing in things if hasattr(thing, "__qualname__")]).code
        unknown = found.captured or found.inputs
        if recorded.is_constant(name) and not unknown and changed.isdisjoint((*code, *upstream, *fed)):
            known[name] = revived(decode(recorded.constant(name))[0], loaded)
    return known


def _upstream(plan: Plan, key: str) -> set[str]:
    """A node and all that it needs."""
    return {key}.union(*(_upstream(plan, need.key) for need in plan.nodes[key].needs))
