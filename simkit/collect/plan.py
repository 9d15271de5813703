"""The checked plan of one experiment: how each value that it needs is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs

from simkit.collect.captures import Captures
from simkit.collect.fields import assembled, inner_comments, is_group_class, is_parameter, leaves, own_doc
from simkit.collect.listener import OpenedFile
from simkit.collect.signatures import MISSING, every_field
from simkit.collect.sources import Sources
from simkit.collect.surroundings import Suspicion
from simkit.declare.annotations import Note, notes
from simkit.declare.reflection import doc_of
from simkit.declare.space import Space
from simkit.declare.tags import Limits, tag_of

NodeKind = Literal["explored", "constant", "derived", "group", "overlay", "fixture", "builtin", "feed"]
BUILTINS = ("run", "rng", "seed", "random_state", "workdir")


@attrs.frozen(eq=False)
class Need:
    """One argument of a call, and the key of the node that gives its value."""

    argument: str
    key: str
    keyword: bool = False


class Supplier(Protocol):
    """Makes an argument from recorded runs of another experiment.

    Attributes
    ----------
    experiment
        The node id of that experiment.
    fixed
        File, runs and digest, where they are the same for all runs.
    """

    experiment: str
    fixed: tuple[Any, ...] | None

    def at(self, place: Mapping[str, Any]) -> Any:
        """The argument of one run, from its file, run or runs, and digest."""

    def all(self) -> Any:
        """The argument that all runs share."""

    def close(self) -> None:
        """Close the files that this process has opened."""


@attrs.frozen(eq=False)
class Node:
    """How one named value is made.

    Attributes
    ----------
    key
        The name; ``neuron@1`` for a definition that a nearer one wraps, ``rng@stimulus`` for the
        experiment's own stream as its provider ``stimulus`` gets it.
    kind
        ``explored`` from the space (``needs`` then names the normal value, where the space may lack it);
        ``constant`` from a default or from outside; ``derived`` by a parameter function; ``group`` by a
        parameter class; ``overlay``, a group with some fields replaced; ``fixture``; ``builtin``; ``feed``, runs
        of another experiment, of which ``value`` says which (and ``needs``, the normal value as above).
    make
        The function or class to call; None for constants, explored values and built-ins.
    varying
        Whether it may differ between runs.
    supplier
        What makes it from the runs of another experiment, once these are chosen.
    origin
        Where it comes from, for people: ``simconf.py:12``, ``--set``.
    """

    key: str
    kind: NodeKind
    make: Callable[..., Any] | None = None
    value: Any = None
    needs: tuple[Need, ...] = ()
    varying: bool = False
    scope: Literal["run", "experiment"] = "run"
    origin: str = ""
    comment: str = ""
    unit: str = ""
    supplier: Supplier | None = None

    @property
    def name(self) -> str:
        """The user's name for it."""
        return self.key.partition("@")[0]

    @property
    def is_outermost(self) -> bool:
        """Whether this is the value that users see under its name."""
        return "@" not in self.key

    @property
    def is_recorded(self) -> bool:
        """Whether it is a value for the record, and so protected: no fixture, no built-in."""
        return self.kind not in ("fixture", "builtin", "feed")

    @property
    def is_parameter(self) -> bool:
        """Whether it is recorded under its name."""
        return self.is_outermost and self.is_recorded

    def bound(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one call to ``make``."""
        positional = [values[need.key] for need in self.needs if not need.keyword]
        return positional, {need.argument: values[need.key] for need in self.needs if need.keyword}

    def called(self, values: Mapping[str, Any]) -> Any:
        """What ``make`` gives with these values; a group is put together of its fields, dotted ones included."""
        assert self.make is not None
        positional, named = self.bound(values)
        return assembled(self.make, **named) if self.kind == "group" else self.make(*positional, **named)

    def leaves(self, value: Any) -> dict[str, Any]:
        """What is recorded for the node's value, by name.

        A group is recorded as its fields. What a function computes and what is explored is one value, unless it is
        of a ``@parameter`` class: an instance of any other class can be read back only as a whole.
        """
        is_whole = self.kind in ("derived", "explored") and not is_parameter(value)
        return {self.name: value} if is_whole else leaves(self.name, value)


@attrs.frozen(eq=False)
class Plan:
    """One experiment, everything it needs, and the points it visits.

    Attributes
    ----------
    nodes
        By key, each after those it needs.
    needs
        The experiment's own arguments.
    path, rootdir
        The file that defines it; the node id is relative to the rootdir.
    code
        The source of each piece of the project's code that the runs reach, by ``file::name``.
    captures
        The values that this code carries with it.
    suspicion
        What this code may leave behind for the next run.
    streams
        The global random generators that this code may draw from.
    generators
        The generator objects that its modules hold, by name.
    isolate
        Whether each run has a process of its own.
    chdir
        Whether each run has its ``workdir`` as the working directory.
    vectorized
        How many runs one call computes at most, 0 as many as pays; None where each run is a call of its own.
    afters
        What is called after the runs, in order: each a plan of its own, without a space.
    strategy
        What chooses the points while the experiment runs; then the space has only the names, without points.
    sources
        The project's files that it needs, as they were when it was collected.
    readings
        The files that this code read while it was imported, by path.
    unequal
        Values of its modules that are others in the owner's process, in words.
    stream_name
        The name by which its random streams derive from the root seed, if not its own.
    over
        The same experiment over other points, its names resolved anew.
    """

    name: str
    node_id: str
    function: Callable[..., Any]
    nodes: Mapping[str, Node]
    needs: tuple[Need, ...]
    space: Space
    path: Path
    rootdir: Path
    module: str
    code: Mapping[str, str]
    limits: Limits = Limits()
    compress: bool = False
    isolate: bool = False
    chdir: bool = False
    vectorized: int | None = None
    streams: frozenset[str] = frozenset()
    generators: Mapping[str, Any] = attrs.field(factory=dict)
    captures: Captures = Captures()
    afters: tuple[Plan, ...] = ()
    strategy: Strategy | None = None
    sources: Sources = Sources()
    readings: Mapping[str, OpenedFile] = attrs.field(factory=dict)
    over: Callable[[Space], Plan] | None = None
    unequal: tuple[str, ...] = ()
    stream_name: str = ""
    suspicion: Suspicion = Suspicion()

    @property
    def stream(self) -> str:
        """The name by which its random streams derive from the root seed: where it was renamed, its first one."""
        return self.stream_name or self.name

    @property
    def doc(self) -> str:
        """The experiment's docstring."""
        return inspect.cleandoc(doc_of(self.function))

    @property
    def parameters(self) -> dict[str, Node]:
        """The nodes that are recorded, by user name."""
        return {node.name: node for node in self.nodes.values() if node.is_parameter}

    @property
    def names(self) -> list[str]:
        """The names of all that the runs, and what is called beside them, ask for."""
        found = (node.name for plan in (self, *self.companions) for node in plan.nodes.values())
        return list(dict.fromkeys(found))

    @property
    def companions(self) -> tuple[Plan, ...]:
        """What is called beside the runs: the strategy, then what follows."""
        return (*([self.strategy.plan] if self.strategy else []), *self.afters)

    @property
    def feeds(self) -> dict[str, Node]:
        """What is made from runs of other experiments, by node key."""
        return {key: node for key, node in self.nodes.items() if node.kind == "feed"}

    @property
    def suppliers(self) -> dict[str, Supplier]:
        """What makes these nodes, by node key, once it is known."""
        return {key: node.supplier for key, node in self.feeds.items() if node.supplier is not None}

    def supplied(self, suppliers: Mapping[str, Supplier]) -> Plan:
        """The same plan, with what makes these nodes, the companions' included."""
        nodes = {
            key: attrs.evolve(node, supplier=suppliers[key], value=node.value.bare)
            if key in suppliers
            else node
            for key, node in self.nodes.items()
        }
        strategy = self.strategy and attrs.evolve(
            self.strategy,
            plan=self.strategy.plan.supplied(suppliers),
            over=_supplying(self.strategy.over, suppliers),
        )
        afters = tuple(after.supplied(suppliers) for after in self.afters)
        return attrs.evolve(self, nodes=nodes, strategy=strategy, afters=afters)

    def with_space(self, space: Space) -> Plan:
        """The same plan over other points."""
        return attrs.evolve(self, space=space)


@attrs.frozen(eq=False)
class Strategy:
    """What chooses an experiment's points while it runs.

    Attributes
    ----------
    plan
        Of the function, without a space.
    over
        The experiment's plan where the names of a space are explored.
    place
        ``file:line`` in the user's code.
    start
        The trajectory that it learns from before it asks for anything.
    """

    plan: Plan
    over: Callable[[Space], Plan]
    place: str
    start: Path | None = None

    @property
    def words(self) -> str:
        """The strategy, and where it stands, for messages."""
        return f"{self.place}: strategy {self.plan.name}"


def _supplying(over: Callable[[Space], Plan], suppliers: Mapping[str, Supplier]) -> Callable[[Space], Plan]:
    return lambda points: over(points).supplied(suppliers)


def ordered(needs: Sequence[Need], nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes within reach, each after those that it needs, in the order of the signatures."""
    found: dict[str, Node] = {}

    def visit(key: str) -> None:
        if key not in found:
            for need in nodes[key].needs:
                visit(need.key)
            found[key] = nodes[key]

    for need in needs:
        visit(need.key)
    return found


def providers_of(nodes: Mapping[str, Node]) -> list[Any]:
    """The user's functions and classes among what makes these nodes."""
    made = (node.make for node in nodes.values() if node.origin)
    return [thing for thing in made if inspect.isfunction(thing) or inspect.isclass(thing)]


def experiment_name(function: Callable[..., Any]) -> str:
    """The name of an experiment, of its trajectories and their files."""
    tag = tag_of(function)
    return (tag and tag.name) or function.__name__.strip("<>")  # of a lambda, too


def node_id(path: Path, function: Callable[..., Any], rootdir: Path) -> str:
    """``folder/file.py::experiment``, with slashes everywhere."""
    return f"{_from(path, rootdir)}::{experiment_name(function)}"


def source_key(path: Path, thing: Any, rootdir: Path) -> str:
    """``folder/file.py::Name``: where a function or class stands in the recorded code, whatever its tag calls it."""
    return f"{_from(path, rootdir)}::{thing.__name__.strip('<>')}"


def _from(path: Path, rootdir: Path) -> str:
    return (path.relative_to(rootdir) if path.is_relative_to(rootdir) else path).as_posix()


def given_by_code(node: Node, plan: Plan) -> dict[str, Any]:
    """What a node gives without computing it, by name: a constant, the defaults of a group's fields.

    Fields that are explored, given from outside, or have providers of their own are left out.
    """
    if node.kind == "constant":
        found = leaves(node.name, node.value)
    elif node.kind == "group":
        asked = {
            name: each for name, each in every_field(node.name, node.make).items() if not each.is_computed
        }
        given = {name: each.default for name, each in asked.items() if each.default is not MISSING}
        found = {leaf: part for name, value in given.items() for leaf, part in leaves(name, value).items()}
    else:
        return {}
    return {leaf: value for leaf, value in found.items() if not _is_replaced(leaf, node.name, plan)}


def _is_replaced(leaf: str, group: str, plan: Plan) -> bool:
    """Whether a group's field, or the group in the group that it belongs to, has a node of its own."""
    parts = leaf[len(group) + 1 :].split(".") if leaf != group else []
    return any(".".join((group, *parts[: i + 1])) in plan.nodes for i in range(len(parts)))


About = tuple[Note, str, bool]  # comment and unit, origin, whether all rows are written before the first run


def column_notes(plan: Plan) -> dict[tuple[str, str], About]:
    """Comments and units of varying parameters and results, by section and name."""
    found: dict[tuple[str, str], About] = {}
    for name, node in plan.parameters.items():
        if node.varying and node.kind != "group":
            partly = any(plan.nodes[need.key].varying for need in node.needs)
            explored = node.kind == "explored" and not partly
            found["parameters", name] = (Note(None, node.comment, node.unit), node.origin, explored)
    for name, note in _result_notes(plan).items():
        found["results", name] = (note, "", False)
    return found


def _result_notes(plan: Plan) -> Mapping[str, Note]:
    """The fields of an annotated return type, or one note on the one result."""
    returned = notes(plan.function).get("return", Note())
    if inspect.isclass(returned.type) and getattr(returned.type, "__annotations__", None):
        return notes(returned.type)
    return {"result": returned}


def group_comments(plan: Plan) -> dict[str, str]:
    """What the code says of parameter groups, and of the groups in them: docstrings, comments of fields."""
    found: dict[str, str] = {}
    for name, node in plan.parameters.items():
        if node.kind == "group":
            found |= {**inner_comments(name, node.make), **({name: node.comment} if node.comment else {})}
        elif node.kind in ("constant", "overlay"):
            kind = type(plan.nodes.get(f"{node.key}@base", node).value)
            about = node.comment or own_doc(kind)
            found |= {name: about, **inner_comments(name, kind)} if is_group_class(kind) and about else {}
    return found
