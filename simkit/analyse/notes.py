"""Remarks, derived values and second names, given to a recorded trajectory afterwards."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import attrs

from simkit.analyse.names import Names
from simkit.analyse.selection import Selection
from simkit.analyse.show import caption_of_derived
from simkit.declare.forms import Index
from simkit.errors import SimkitError, caller, did_you_mean, listed
from simkit.record.recorded import Recorded
from simkit.values.batch import Status
from simkit.values.encode import encode, explain


@attrs.frozen
class Info:
    """What is known of a trajectory as a whole.

    Attributes
    ----------
    root_seed
        All random streams of the runs derive from it.
    sessions
        The circumstances of each session that executed runs: command, versions, host, code. ``sources`` in
        each are the project's files, as digests by path.
    """

    name: str
    node_id: str
    doc: str
    root_seed: int
    created: datetime.datetime
    sessions: tuple[Mapping[str, Any], ...] = attrs.field(repr=lambda sessions: f"({len(sessions)}: …)")
    _recorded: Recorded = attrs.field(repr=False, eq=False)

    def source(self, digest: str) -> str:
        """What a recorded file says, by its digest or the beginning of it.

        Raises
        ------
        SimkitError
            When none is recorded under that digest, or the trajectory is closed.
        """
        return self._recorded.source(digest)


def info(recorded: Recorded) -> Info:
    """The facts of a recorded trajectory."""
    fact = recorded.attributes
    created = datetime.datetime.fromtimestamp(float(fact["created"]), datetime.UTC)
    texts = (str(fact["node_id"]), str(fact["doc"]))
    return Info(recorded.name, *texts, int(fact["root_seed"]), created, tuple(recorded.sessions), recorded)


def error(recorded: Recorded, run: int) -> str:
    """The traceback of a run that is not done, the latest attempt's; empty if there is none."""
    status = recorded.run_column("status", slice(run, run + 1))
    found = recorded.texts("error", run)
    return found[-1] if found and status is not None and status[0] != Status.DONE else ""


def log(recorded: Recorded, run: int) -> str:
    """What a run wrote, the latest attempt's."""
    found = recorded.texts("log", run)
    return found[-1] if found else ""


_SECTIONS = ("parameters", "results", "summary")


def note(
    selection: Selection, text: str | Mapping[str, str], run: int | None, named: Mapping[str, str]
) -> None:
    """Remark something; see `Trajectory.note`."""
    recorded = selection.recorded
    texts = dict(text) if isinstance(text, Mapping) else {"": text} if text else {}
    texts.update(named)
    if not texts or not all(isinstance(remark, str) and remark for remark in texts.values()):
        msg = 'traj.note(): give a text, as in traj.note("first try"), traj.note(z="in mV") or traj.note("odd", run=3)'
        raise SimkitError(msg)
    for name in texts:
        _check_known(recorded, name)
    runs = [selection.number(operator.index(run))] if run is not None else None
    if runs is None and selection.chosen is not None and "" in texts:
        runs = selection.chosen.tolist()  # a selection: a remark on each of its runs
    with recorded.editing() as additions:
        additions.remark(texts, runs)


def _check_known(recorded: Recorded, name: str) -> None:
    names = [known for section in _SECTIONS for known in recorded.names(section)]
    if name and not any(known == name or known.startswith(f"{name}.") for known in names):
        msg = f"traj.note(): {recorded.name} has no {name!r}{did_you_mean(name, names)}\n"
        raise SimkitError(f"{msg}    available: {listed(name, names)}")


def reports(selection: Selection, run: int) -> list[tuple[int, float]]:
    """What a run reported by step, in the order of the steps."""
    number = selection.number(operator.index(run))
    said = {one.step: one.value for one in selection.recorded.reports(number) if not one.waits}
    return sorted((step, value) for step, value in said.items() if value is not None)


def notes(selection: Selection, about: int | str | None) -> list[str]:
    """The remarks on the trajectory, a run, or a name."""
    recorded = selection.recorded
    if about is None:
        return recorded.additions.remarks()
    if isinstance(about, str):
        _check_known(recorded, about)
        on_runs = recorded.additions.remarks_on_runs(about)
        chosen = None if selection.chosen is None else set(selection.chosen.tolist())
        of_runs = [f"run {i}: {text}" for i, text in on_runs if chosen is None or i in chosen]
        return [*recorded.additions.remarks(about), *of_runs]
    run = selection.number(operator.index(about))
    pairs = zip(recorded.note_names(run), recorded.texts("notes", run), strict=True)
    return [f"{name}: {text}" if name else text for name, text in pairs]


def add(recorded: Recorded, values: Mapping[str, Any]) -> None:
    """Add derived values; see `Trajectory.add`."""
    where = caller()
    with_problem = (refusal(recorded, name, values) or explain(value, name) for name, value in values.items())
    problem = next((text for text in with_problem if text), None)
    if problem:
        msg = f"{where}: traj.add(): {problem}"
        raise SimkitError(msg)
    columns = {name: encode([value]) for name, value in values.items()}
    with recorded.editing() as additions:
        for name, column in columns.items():
            additions.derive(name, column, where)


def refusal(
    recorded: Recorded, name: Any, others: Collection[str], by: str = "", living: Collection[str] = ()
) -> str:
    """Why a derived value can't have this name, or nothing.

    Parameters
    ----------
    others
        The names that are given together with it.
    by
        The function that gives it; empty by hand. Each may replace its own.
    living
        The functions that there are; what others left may be replaced too.
    """
    plain = isinstance(name, str) and name.isprintable() and {"/", "@"}.isdisjoint(name)
    if not plain or not all(name.split(".")):
        return f"{name!r} cannot name a derived value: use identifiers, joined by dots for groups"
    for section in ("parameters", "results"):
        if name in recorded.names(section) and not (by and name == "result"):
            return (
                f"{name!r} is a recorded {section[:-1]}, and recorded values cannot be changed: "
                f"give what is derived from it another name, such as '{name}_derived'"
            )
    additions = recorded.additions
    owner = additions.owner(name)
    if owner and owner != by and (not by or owner in living):
        return f"{name!r} is given by @after {owner}: give it another name"
    if owner == "" and by:
        return f"{name!r} was added by hand: give it another name"
    kept = [known for known in recorded.names("summary") if not by or additions.owner(known) != by]
    other = next((o for o in (*kept, *others) if o.startswith(f"{name}.") or name.startswith(f"{o}.")), None)
    if other is None:
        return ""
    group, leaf = sorted((name, other), key=len)
    return f"{group!r} is a value and, through {leaf!r}, a group: a name is one of them"


def summary(selection: Selection) -> Names:
    """The derived values, by natural naming."""
    remark = selection.recorded.warning_of_summary
    about = f"summary ({remark})" if remark else "summary"
    caption = partial(caption_of_derived, selection.recorded)
    return Names(selection.names_in("summary"), selection.derived, about, caption=caption)


def error_of(recorded: Recorded, after: str) -> str:
    """Why what followed the runs failed; empty if it did not."""
    additions = recorded.additions
    if after not in (known := additions.followers()):
        msg = f"traj.error({after!r}): no @after of that name was called\n    called: {listed(after, known)}"
        raise SimkitError(msg)
    return str(additions.state(after)["error"])


def link(selection: Selection, name: str, target: Any, run: int | None) -> None:
    """Give something a second name; see `Trajectory.link`.

    Parameters
    ----------
    target
        A recorded name or a selection; None stands for the selection itself, where it is not the whole.
    """
    known = selection.recorded.additions.links()
    clash = next((o for o in known if o.startswith(f"{name}.") or name.startswith(f"{o}.")), None)
    if not all(part.isidentifier() for part in name.split(".")) or clash:
        why = f"{clash!r} is a link already" if clash else "use identifiers, joined by dots for groups"
        msg = f"traj.link(): {name!r} cannot name a link: {why}"
        raise SimkitError(msg)
    meant = _meant(selection, target, run)
    with selection.recorded.editing() as additions:
        additions.link(name, meant)


def _meant(selection: Selection, target: Any, run: int | None) -> str | int | Index:
    """A name, a run number or run numbers."""
    if target is not None and run is not None:
        msg = "traj.link(): give either run=… or what else is meant, not both"
        raise SimkitError(msg)
    if run is not None:
        return selection.number(operator.index(run))
    if isinstance(target, str):
        return selection.known(target)
    chosen = target if target is not None or selection.chosen is None else selection
    if isinstance(chosen, Selection) and _is_same(chosen.recorded, selection.recorded):
        return chosen.runs
    msg = (
        'traj.link(): a link stands for a run, as in traj.link("best", run=3), for a selection of the same '
        'file, traj.link("fast", traj.where("seconds < 1")), or for a name, traj.link("rate", "spikes.rate")'
    )
    raise SimkitError(msg)


def _is_same(one: Recorded, other: Recorded) -> bool:
    return (one.path, one.name) == (other.path, other.name)
