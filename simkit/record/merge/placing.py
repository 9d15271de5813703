"""Do trajectories agree so far that they can be one, and which run goes where?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from simkit.collect.captures import Captures
from simkit.collect.code import changes
from simkit.declare.feed import DIGEST
from simkit.declare.forms import TRIAL, Array, Index
from simkit.errors import SimkitError
from simkit.record.merge.inputs import Known, Survey
from simkit.record.recorded import Recorded
from simkit.values.batch import Status
from simkit.values.columns import Column
from simkit.values.compare import keys, matched, mixed, occurrence
from simkit.values.decode import decode


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
    fingerprint
        As a trajectory has it that explores all of these names.
    remarks
        What a user should know, for people.
    """

    explored: tuple[str, ...]
    columns: frozenset[str]
    keys: tuple[str, ...]
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
    _check_feeds(surveys)
    names = list(dict.fromkeys(name for one in surveys for name in one.names))
    for name in names:
        _check_name(name, [one for one in surveys if name in one.names])
    _check_groups(names, surveys)
    columns = frozenset(name for name in names if _becomes_column(name, surveys))
    return _agreed(surveys, names, columns)


def _check_feeds(surveys: Sequence[Survey]) -> None:
    """Runs that were made from another experiment's runs, each from one or from a group, are no other runs."""
    first = surveys[0]
    for other in surveys[1:]:
        mine, theirs = (one.fingerprint.get("feeds", {}) for one in (first, other))
        if mine != theirs:
            name = next(name for name in {**mine, **theirs} if mine.get(name, "") != theirs.get(name, ""))
            told = (_feed_words(feeds, name) for feeds in (mine, theirs))
            _disagree(name, first, next(told), other, next(told))


def _feed_words(feeds: Mapping[str, Any], name: str) -> str:
    if name not in feeds:
        return "no run of another experiment"
    by = feeds[name]
    return "one run" if by is None else f"a group of runs by {', '.join(by) or 'nothing'}"


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
    feeds = surveys[0].fingerprint.get("feeds", {})
    telling = (
        *leaves,
        *varied,
        *(f"{name}.{DIGEST}" for name in feeds),
        *([TRIAL] if TRIAL in declared else []),
    )
    return Agreement(
        leaves,
        columns,
        telling,
        {
            "constants": constants,
            "explored": sorted(declared.union(differing)),
            **_designs(surveys),
            **({"feeds": feeds} if feeds else {}),
            **_captures(surveys),
        },
        tuple(_remarks(surveys, differing, varied)),
    )


def _designs(surveys: Sequence[Survey]) -> dict[str, Any]:
    """The design of sensitivity analysis that the runs belong to, if there is one and the same for all."""
    known = [one.fingerprint.get("designs") for one in surveys]
    return {"designs": known[0]} if known[0] and all(each == known[0] for each in known) else {}


def _captures(surveys: Sequence[Survey]) -> dict[str, Any]:
    """The values that the code of all carried; one that is not the same in all can't be compared any more."""
    known = [one.fingerprint.get("captured", {}) for one in surveys]
    values: dict[str, tuple[str, str]] = {}
    for name, (digest, shown) in (item for each in known for item in each.items()):
        before = values.setdefault(name, (digest, shown))
        if before[0] != digest:
            values[name] = "", shown
    return Captures(values, all(one.fingerprint.get("imported", True) for one in surveys)).recorded()


def _is_set_differently(name: str, surveys: Sequence[Survey]) -> bool:
    """Whether users gave it different values: then it is explored; what follows from that only varies."""
    given = [one.fingerprint["constants"].get(name) for one in surveys]
    if not any(given) or not all(name in one.names for one in surveys):
        return False
    if all(given):
        return len(set(given)) > 1
    return all(one.names[name].constant for one in surveys)


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
        told = other.fingerprint
        carried = Captures(told.get("captured", {}), told.get("imported", True))
        unlike = list(carried.changes(first.fingerprint))
        if unlike:
            yield f"the code of {other.source} carried other values than that of {first.source}: {'; '.join(unlike)}"


def point_keys(recorded: Recorded, survey: Survey, agreed: Agreement) -> list[Array]:
    """One number per run and name that tells points apart, equal for equal values; uint64, shape ``(n,)`` each."""
    return [_keys_of(recorded, survey, name) for name in agreed.keys]


def _keys_of(recorded: Recorded, survey: Survey, name: str) -> Array:
    if name == TRIAL:
        trials = recorded.run_column(TRIAL)
        return np.zeros(survey.n, "u8") if trials is None else trials.astype("u8")
    if name not in survey.names:
        return keys(Column(survey.n, ()))
    if survey.names[name].constant:
        return np.repeat(keys(recorded.constant(name)), survey.n)
    batches = recorded.batches(np.arange(survey.n), [name])
    return np.concatenate([np.empty(0, "u8"), *(keys(batch.parameters[name]) for batch in batches)])


DUPLICATES = ("error", "first", "all")


@attrs.frozen(eq=False)
class Transfer:
    """Rows of one source and where they go, ascending there; its other rows are not taken.

    Attributes
    ----------
    trials
        New trial numbers of some of the target rows, by row.
    checkpoints
        Where runs go that have a checkpoint, by row of the source.
    left
        Done runs that are not taken because an earlier source has them.
    """

    source: Index
    target: Index
    trials: dict[int, int]
    checkpoints: dict[int, int]
    left: int


class Places:
    """The merged trajectory's points so far.

    Parameters
    ----------
    duplicates
        What becomes of runs that are done in two sources: ``error``, ``first``, ``all``.
    """

    def __init__(self, agreed: Agreement, duplicates: str) -> None:
        self.agreed, self.duplicates = agreed, duplicates
        self.status: Array = np.empty(0, "u1")
        self.keys: list[Array] = [np.empty(0, "u8") for _ in agreed.keys]
        self.taken: list[tuple[Survey, Transfer]] = []

    @property
    def n(self) -> int:
        """How many runs there are."""
        return len(self.status)

    def place(self, survey: Survey, recorded: Recorded) -> Transfer:
        """Find the places of one more source's runs.

        A run that is done replaces the same run that is not; what nobody has yet comes at the end.

        Raises
        ------
        SimkitError
            For a run that is done here and in an earlier source, if duplicates are errors.
        """
        theirs = point_keys(recorded, survey, self.agreed)
        found = matched(self.keys, theirs, self.n, survey.n)
        known, status = found >= 0, survey.status
        there = np.where(known, self.status[found] if self.n else 0, Status.PENDING)
        both = (status == Status.DONE) & (there == Status.DONE)
        if both.any() and self.duplicates == "error":
            self._refuse(survey, recorded, both, found)
        better = known & _is_better(status, there)
        again = np.zeros(survey.n, bool)
        if self.duplicates == "all":
            again = known & (status != Status.PENDING) & (there != Status.PENDING)
            better &= ~again
        new = np.flatnonzero(~known | again)
        trials = self._new_trials(theirs, np.flatnonzero(again))
        source = np.concatenate([np.flatnonzero(better), new])
        target = np.concatenate([found[better], self.n + np.arange(len(new))])
        if (np.diff(target) < 0).any():
            order = np.argsort(target)
            source, target = source[order], target[order]
        found[new] = self.n + np.arange(len(new))
        vault = {int(run): int(found[int(run)]) for run in recorded.root.get("runs/checkpoint", ())}
        numbers = {int(found[run]): number for run, number in trials.items()}
        placement = Transfer(source, target, numbers, vault, int((both & ~again).sum()))
        self._take(survey, placement, theirs, len(new))
        return placement

    def _take(self, survey: Survey, placement: Transfer, theirs: Sequence[Array], new: int) -> None:
        self.taken.append((survey, placement))
        if new:
            self.status = np.concatenate([self.status, np.zeros(new, "u1")])
        self.status[placement.target] = survey.status[placement.source]
        if not new:
            return
        fresh = placement.source[len(placement.source) - new :]  # the last targets are the new ones
        for i, key in enumerate(theirs):
            mine = key[fresh]
            if self.agreed.keys[i] == TRIAL and placement.trials:
                rows = placement.target[len(placement.target) - new :].tolist()
                mine = np.array(
                    [placement.trials.get(row, old) for row, old in zip(rows, mine, strict=True)], "u8"
                )
            self.keys[i] = np.concatenate([self.keys[i], mine])

    def _new_trials(self, theirs: Sequence[Array], again: Index) -> dict[int, int]:
        """Trial numbers that go on after the highest of the same point, by row of the source."""
        if TRIAL not in self.agreed.keys or not len(again):
            return {}
        at = self.agreed.keys.index(TRIAL)
        sides = [[key for i, key in enumerate(side) if i != at] for side in (self.keys, theirs)]
        points = np.concatenate([mixed(sides[0], self.n), mixed(sides[1], len(theirs[at]))])
        numbers = np.concatenate([self.keys[at], theirs[at]]).astype("i8")
        codes = np.unique(points, return_inverse=True)[1].reshape(-1)
        highest = np.zeros(int(codes.max()) + 1, "i8")
        np.maximum.at(highest, codes, numbers)
        mine = codes[self.n + again]
        fresh = highest[mine] + 1 + occurrence(mine)
        return dict(zip(again.tolist(), fresh.tolist(), strict=True))

    def _refuse(self, survey: Survey, recorded: Recorded, both: Array, found: Index) -> None:
        run = int(np.flatnonzero(both)[0])
        holder, place = next(
            (one, placed) for one, placed in reversed(self.taken) if found[run] in placed.target
        )
        theirs = int(place.source[np.flatnonzero(place.target == found[run])[0]])
        count = int(both.sum())
        more = f" ({count} such runs)" if count > 1 else ""
        values = "  ".join(
            f"{name}={_plain(value)!r:.60}" for name, value in _point(recorded, self.agreed, run).items()
        )
        msg = (
            f"run {run} of {survey.source} is done in {holder.source} too, as run {theirs}{more}\n"
            f"    {values}\n"
            '    keep the first of each:        --duplicates first   (duplicates="first")\n'
            '    keep both, as further trials:  --duplicates all     (duplicates="all")'
        )
        raise SimkitError(msg)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_better(status: Array, there: Array) -> Array:
    """Done before attempted before pending."""
    done = (status == Status.DONE) & (there != Status.DONE)
    return np.asarray(done | ((status != Status.PENDING) & (there == Status.PENDING)))


def _point(recorded: Recorded, agreed: Agreement, run: int) -> dict[str, Any]:
    found = {}
    for name in agreed.keys:
        if name == TRIAL:
            trials = recorded.run_column(TRIAL, slice(run, run + 1))
            found[name] = 0 if trials is None else int(trials[0])
        elif name in recorded.names("parameters"):
            found[name] = decode(recorded.rows(name, np.array([run])))[0]
    return found
