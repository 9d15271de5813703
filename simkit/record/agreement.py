"""Do trajectories agree so far that they can be one, and what becomes of what differs?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from simkit.collect.code import changes
from simkit.declare.forms import TRIAL
from simkit.errors import SimkitError
from simkit.record.survey import Known, Survey


@attrs.frozen
class Agreement:
    """What the merged trajectory has in common.

    Attributes
    ----------
    explored
        All explored columns: the sources', and the constants that differ between them.
    columns
        Constants of a source that are columns in the merged file.
    keys
        The names that tell points apart, with ``trial`` where it is used.
    plain
        Those of them that are one kind of number everywhere.
    fingerprint
        As a trajectory has it that explores all of these names.
    remarks
        What a user should know, for people.
    """

    explored: tuple[str, ...]
    columns: frozenset[str]
    keys: tuple[str, ...]
    plain: frozenset[str]
    fingerprint: dict[str, Any]
    remarks: tuple[str, ...]


def agreement(surveys: Sequence[Survey]) -> Agreement:
    """Compare all sources.

    Raises
    ------
    SimkitError
        For different experiments, and for names whose type, unit or kind differs; both sides are named.
    """
    first = surveys[0]
    for other in surveys[1:]:
        if other.node_id != first.node_id:
            msg = (
                f"{other.source} is of {other.node_id}, but {first.source} of {first.node_id}\n"
                "    only trajectories of one experiment can be merged"
            )
            raise SimkitError(msg)
    names = list(dict.fromkeys(name for one in surveys for name in one.names))
    for name in names:
        _check_name(name, [one for one in surveys if name in one.names])
    _check_groups(names, surveys)
    columns = frozenset(name for name in names if _becomes_column(name, surveys))
    return _agreed(surveys, names, columns)


def _check_name(name: str, having: Sequence[Survey]) -> None:
    """Section, type and unit of a name in each source that has it, compared with the first."""
    one = having[0]
    mine = one.names[name]
    for other in having[1:]:
        theirs = other.names[name]
        if theirs.section != mine.section:
            _disagree(name, one, f"a {mine.section[:-1]}", other, f"a {theirs.section[:-1]}")
        unlike = mine.types and theirs.types and mine.types.isdisjoint(theirs.types)
        if unlike and not _is_mixed_by_the_code(mine, one, other):
            _disagree(name, one, _words(mine), other, _words(theirs))
        if mine.unit != theirs.unit:
            _disagree(name, one, f"in {mine.unit or 'no unit'}", other, f"in {theirs.unit or 'no unit'}")
    typed = next((one for one in having if one.names[name].types), None)
    if typed is not None and typed is not one:
        _check_name(name, having[having.index(typed) :])


def _is_mixed_by_the_code(mine: Known, one: Survey, other: Survey) -> bool:
    """Whether a result has several types within one trajectory, of which each file happens to hold some."""
    return mine.section == "results" and bool(one.code) and not changes(one.code, other.code)


def _words(known: Known) -> str:
    return " or ".join(sorted(known.types))


def _disagree(name: str, one: Survey, this: str, other: Survey, that: str) -> None:
    msg = (
        f"{name} is {this} in {one.source}, but {that} in {other.source}\n"
        "    make the code agree and record one of them again: simkit --fresh"
    )
    raise SimkitError(msg)


def _check_groups(names: Sequence[str], surveys: Sequence[Survey]) -> None:
    """A name is either a leaf or a group, in all sources together."""
    known = set(names)
    for name in names:
        holder = name.rpartition(".")[0]
        while holder:
            if holder in known:
                one = next(s for s in surveys if holder in s.names)
                other = next(s for s in surveys if name in s.names)
                _disagree(holder, one, "a value", other, f"a group, through {name}")
            holder = holder.rpartition(".")[0]


def _becomes_column(name: str, surveys: Sequence[Survey]) -> bool:
    known = [one.names.get(name) for one in surveys]
    constants = {one.digest for one in known if one is not None}
    is_parameter = any(one is not None and one.section == "parameters" for one in known)
    return is_parameter and (len(constants) > 1 or None in known)


def _agreed(surveys: Sequence[Survey], names: Sequence[str], columns: frozenset[str]) -> Agreement:
    given = [one.fingerprint["constants"] for one in surveys]
    differing = [name for name in names if name in columns and _is_set_differently(name, surveys)]
    declared = {name for one in surveys for name in one.fingerprint["explored"]}
    leaves = tuple(dict.fromkeys([*(name for one in surveys for name in one.explored), *differing]))
    constants = {
        name: value
        for name, value in given[0].items()
        if name not in leaves and name not in declared and all(each.get(name) == value for each in given)
    }
    varied = [
        name for name in names if name in columns and name not in leaves and any(name in g for g in given)
    ]
    keys = (*leaves, *varied, *([TRIAL] if TRIAL in declared else []))
    return Agreement(
        leaves,
        columns,
        keys,
        frozenset(name for name in keys if _is_plain(name, surveys)),
        {"constants": constants, "explored": sorted(declared.union(differing))},
        tuple(_remarks(surveys, differing, varied)),
    )


def _is_set_differently(name: str, surveys: Sequence[Survey]) -> bool:
    """Whether users gave it different values: then it is explored; what follows from that only varies."""
    given = [one.fingerprint["constants"].get(name) for one in surveys]
    if not any(given) or not all(name in one.names for one in surveys):
        return False
    if all(given):
        return len(set(given)) > 1
    return all(one.names[name].constant for one in surveys)


def _is_plain(name: str, surveys: Sequence[Survey]) -> bool:
    """Whether it is the same kind of number in every source."""
    kinds = {one.names[name].plain if name in one.names else "" for one in surveys}
    return name == TRIAL or (len(kinds) == 1 and "" not in kinds)


def _remarks(surveys: Sequence[Survey], differing: Sequence[str], varied: Sequence[str]) -> Iterator[str]:
    if differing:
        yield f"{', '.join(differing)}: different in the files, so explored in the merged one"
    if varied:
        yield f"{', '.join(varied)}: not the same in all files, so a column in the merged one"
    first = surveys[0]
    for other in surveys[1:]:
        changed = changes(first.code, other.code)
        if changed:
            yield f"{other.source} was made by other code than {first.source}: {'; '.join(changed)}"
