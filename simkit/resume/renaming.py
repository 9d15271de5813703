"""Is what is recorded the same study under other names: of the experiment, its file, parameters or results?"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from itertools import zip_longest
from typing import Any

import attrs

from simkit.collect.config import Settings
from simkit.collect.plan import Plan
from simkit.collect.syntax import bare, parsed
from simkit.errors import shown_path
from simkit.record.catalogue import Slot, newest_of_each, node_id_of, opened
from simkit.record.format import RENAMED
from simkit.record.recorded import Recorded

Use = tuple[str, str, str]  # a kind of place in the code, and the names that stand there before and now
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@attrs.frozen
class Renaming:
    """Recorded names, and what the present code calls them.

    Attributes
    ----------
    experiment
        Its node ids before and now, where it has another one.
    names
        Those of parameters and results, in the order in which they are given.
    """

    experiment: tuple[str, str] | None
    names: tuple[tuple[str, str], ...]

    def commands(self, slot: Slot) -> list[str]:
        """What to type for the trajectory to be continued."""
        pairs = [*self.names, *([self.experiment] if self.experiment else [])]
        return [shlex.join(["simkit", "rename", old, new, shown_path(slot.path)]) for old, new in pairs]

    def words(self) -> str:
        """``sim_a.py::f is called sim_a.py::g now``."""
        pairs = [*([self.experiment] if self.experiment else []), *self.names]
        return "; ".join(f"{old} is called {new} now" for old, new in pairs)


def recognised(
    plan: Plan, recorded: Recorded, now: Mapping[str, Any], valued: Collection[str]
) -> Renaming | None:
    """How the present code calls the recorded study; None where it is the same, or more than names differs.

    Parameters
    ----------
    now
        The plan's fingerprint.
    valued
        The pieces of code whose defaults are parameters.
    """
    before, old_id = _code(recorded), str(recorded.attributes["node_id"])
    uses = _uses(before, plan, old_id, valued)
    if uses is None:
        return None
    called = {old: new for _, old, new in uses}
    parameters = _parameters(plan, recorded, now, called)
    results = recorded.names("results")
    said = {(old, new) for kind, old, new in uses if kind in ("text", "keyword", "field")}
    renamed = tuple(sorted((old, new) for old, new in said if old in results and new not in results))
    experiment = None if old_id == plan.node_id else (old_id, plan.node_id)
    if parameters is None or not (parameters or renamed or experiment):
        return None
    names = (*parameters, *renamed)
    pairs = [*names, *([experiment] if experiment else [])]
    return Renaming(experiment, names) if _are_explained(uses, pairs, before, plan) else None


def is_same_but_for_names(plan: Plan, recorded: Recorded, valued: Collection[str]) -> bool:
    """Whether the recorded code is the present one but for the names that `simkit rename` gave since."""
    pairs = [(old, new) for old, new in json.loads(recorded.attributes.get(RENAMED, "[]"))]
    if not pairs:
        return False
    before = _code(recorded)
    old_id = next((old for old, _ in pairs if old in before), plan.node_id)
    uses = _uses(before, plan, old_id, valued)
    return uses is not None and _are_explained(uses, pairs, before, plan)


def newest_recognised(
    plan: Plan, settings: Settings, now: Mapping[str, Any], valued: Collection[str]
) -> tuple[Slot, Renaming] | None:
    """The trajectory of an experiment that is gone, and whose code is that of this one."""
    for slot in newest_of_each(settings.results, settings.output):
        node_id = node_id_of(slot)
        recorded = None if node_id and not _is_gone(node_id, plan) else opened(slot)
        if recorded is None:
            continue
        with closing(recorded):
            if not _is_gone(str(recorded.attributes["node_id"]), plan):
                continue
            renaming = recognised(plan, recorded, now, valued)
        if renaming is not None:
            return slot, renaming
    return None


def _is_gone(node_id: str, plan: Plan) -> bool:
    """Whether the project has no such function any more; of what was typed in nobody knows."""
    file, _, name = node_id.partition("::")
    path = plan.rootdir / file
    return (
        node_id != plan.node_id
        and file.endswith(".py")
        and not (path.is_file() and name in parsed(path).defined)
    )


def _code(recorded: Recorded) -> Mapping[str, str]:
    sessions = recorded.sessions
    code: Mapping[str, str] = sessions[-1].get("code", {}) if sessions else {}
    return code


def _parameters(
    plan: Plan, recorded: Recorded, now: Mapping[str, Any], called: Mapping[str, str]
) -> list[tuple[str, str]] | None:
    """The parameters with another name; None where some came or went."""
    known = json.loads(recorded.attributes["fingerprint"])
    tops = {name.partition(".")[0] for name in recorded.names("parameters")}
    tops_now = {name.partition(".")[0] for name in plan.parameters}
    groups = {old: called.get(old, "") for old in sorted(tops - tops_now)}
    if {*groups.values()} != tops_now - tops:
        return None
    names = {
        _top_renamed(name, groups) for name in (*known["constants"], *known["explored"]) if "@" not in name
    }
    names_now = {name for name in (*now["constants"], *now["explored"]) if "@" not in name}
    fields = {
        old: ".".join([old.partition(".")[0], *(called.get(part, part) for part in old.split(".")[1:])])
        for old in sorted(names - names_now)
    }
    if {*fields.values()} != names_now - names:
        return None
    return [*groups.items(), *fields.items()]


def _top_renamed(name: str, groups: Mapping[str, str]) -> str:
    top, dot, rest = name.partition(".")
    return f"{groups.get(top, top)}{dot}{rest}"


def _are_explained(
    uses: Collection[Use], pairs: Collection[tuple[str, str]], before: Mapping[str, str], plan: Plan
) -> bool:
    """Whether all names that differ are these, functions' own, or those of other pieces of the code."""
    parts = {part for old, new in pairs for part in zip_longest(_parts(old), _parts(new))}
    units, units_now = ({key.rpartition("::")[2] for key in code} for code in (before, plan.code))
    return all(
        kind == "local" or (old, new) in parts or (kind == "free" and old in units and new in units_now)
        for kind, old, new in uses
    )


def _parts(name: str) -> list[str]:
    """The words that code has for a name: those of a group and its field, or of an experiment without its file."""
    return [name.partition("::")[2]] if "::" in name else [name, *name.split(".")]


def _uses(before: Mapping[str, str], plan: Plan, old_id: str, valued: Collection[str]) -> set[Use] | None:
    """The names that differ between two versions of the code; None where more than names does."""
    if old_id not in before or plan.node_id not in plan.code:
        return None
    file, file_now = old_id.partition("::")[0], plan.node_id.partition("::")[0]
    matched, uses, called = {old_id: plan.node_id}, set[Use](), dict[str, str]()
    waiting = [old_id]
    while waiting:
        old = waiting.pop()
        new = matched[old]
        pairs = _differing_names(before[old], plan.code[new], defaults=new not in valued)
        if pairs is None:
            return None
        uses |= pairs
        called.update({one: other for kind, one, other in pairs if kind != "text"})
        for key in before.keys() - matched.keys():
            place, _, name = key.rpartition("::")
            places = (place, file_now) if place == file else (place,)
            keys = (f"{p}::{n}" for p in places for n in (called.get(name, name), name))
            there = next((k for k in keys if k in plan.code and k not in matched.values()), None)
            if there is not None:
                matched[key] = there
                waiting.append(key)
        if not waiting and (left := _left(before, plan.code, matched, valued)):
            matched.update(left)
            waiting += left
    whole = len(matched) == len(before) == len(plan.code)
    return uses if whole else None


def _left(
    before: Mapping[str, str], now: Mapping[str, str], matched: Mapping[str, str], valued: Collection[str]
) -> dict[str, str]:
    """A piece of code that none is the same as by its name and file, and one that is the same but for these."""
    for old in sorted(before.keys() - matched.keys()):
        for new in sorted(now.keys() - {*matched.values()}):
            own = ("free", old.rpartition("::")[2], new.rpartition("::")[2])
            names = _differing_names(before[old], now[new], defaults=new not in valued)
            if names is not None and (own in names or own[1] == own[2]):
                return {old: new}
    return {}


def _differing_names(before: str, now: str, *, defaults: bool) -> set[Use] | None:
    """The names that differ between two versions of a piece of code, if nothing else does.

    Each name is another one everywhere or nowhere, and no two become one.
    """
    one, other = bare(before, defaults=defaults), bare(now, defaults=defaults)
    if one is None or other is None:
        return set() if before == now else None
    uses = list(_pairs(one, other))
    if None in uses:
        return None
    pairs = {use for use in uses if use is not None}
    for kinds in (("name",), ("attribute",), ("keyword",), ("text",)):
        same_kind = {use for use in pairs if use[0] in kinds}
        if len({old for _, old, _ in same_kind}) != len(same_kind) or len(
            {new for *_, new in same_kind}
        ) != len(same_kind):
            return None
    own = _bound(one)
    is_class = isinstance(one.body[0], ast.ClassDef) if one.body else False
    local = "field" if is_class else "local"
    differing = {use for use in pairs if use[1] != use[2]}
    return {
        ((local if old in own else "free") if kind == "name" else kind, old, new)
        for kind, old, new in differing
    }


def _pairs(one: Any, other: Any, kind: str = "") -> Iterator[Use | None]:
    """Each name of one tree with that at the same place of the other; None where the trees differ."""
    if isinstance(one, ast.AST) and type(one) is type(other):
        for field in one._fields:
            yield from _pairs(getattr(one, field, None), getattr(other, field, None), _kind(one, field))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for mine, theirs in zip(one, other, strict=True):
            yield from _pairs(mine, theirs, kind)
    elif kind and isinstance(one, str) and isinstance(other, str):
        yield kind, one, other
    elif type(one) is not type(other) or one != other:
        yield None


def _kind(node: ast.AST, field: str) -> str:
    """Which kind of name a field of a node is, if any."""
    if isinstance(node, ast.Constant):
        return "text" if field == "value" and isinstance(node.value, str) else ""
    if isinstance(node, ast.Attribute):
        return "attribute" if field == "attr" else ""
    if isinstance(node, ast.keyword):
        return "keyword" if field == "arg" else ""
    return (
        "name"
        if field in ("id", "arg", "name", "names", "asname", "rest") and not isinstance(node, ast.alias)
        else ""
    )


def _bound(tree: ast.Module) -> set[str]:
    """The names that a piece of code gives values itself, its own name aside."""
    top = tree.body[0] if tree.body else None
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names |= {node.name for node in ast.walk(tree) if isinstance(node, _DEFINES) and node is not top}
    declared = (name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)
    return names - {*declared} if isinstance(top, _DEFINES) else set()
