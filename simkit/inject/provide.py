"""How each value that a run receives is made, shared and protected."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import GeneratorType, TracebackType
from typing import Any

import attrs
import numpy as np

from simkit.collect.fields import Namespace, group_fields, is_parameter, leaf_notes
from simkit.collect.plan import Node, Plan
from simkit.collect.problems import check_storable
from simkit.collect.signatures import changes_others
from simkit.collect.surroundings import kept
from simkit.declare.annotations import Note
from simkit.declare.feed import DIGEST, column
from simkit.declare.plugins import OWN
from simkit.declare.reflection import is_a
from simkit.errors import ProviderFailed, SimkitError, location
from simkit.inject.contact import user_traceback
from simkit.inject.generators import global_streams, seeded, stream_of
from simkit.inject.leftovers import run_folder
from simkit.inject.lineage import Lineage
from simkit.inject.seeds import RANDOM_STATE, shared_seed, small_seed
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode
from simkit.values.instances import Stored, loaded, revived, stored_parts
from simkit.values.registry import is_mutable

_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))


def protected(value: Any) -> Any:
    """The value with its arrays read-only; a group's array fields too."""
    if is_a(value, np.ndarray) and value.flags.writeable:
        view = value.view()
        view.flags.writeable = False
        return view
    if is_parameter(value):
        for name, field in group_fields(value).items():
            shielded = protected(field)
            if shielded is not field:
                object.__setattr__(value, name, shielded)
    return value


def is_copied(value: Any) -> bool:
    """Whether each function gets a copy of its own: of what can be changed in place, and of what holds such values.

    Arrays are read-only instead, unless they hold objects or a mask.
    """
    kind = type(value)
    if kind in _PLAIN:
        return False
    if kind in OWN.by_type:
        return is_mutable(kind)
    if is_a(value, np.ndarray) and not is_a(value, np.ma.MaskedArray):
        return bool(value.dtype.hasobject)
    if is_a(value, tuple, frozenset):
        return _holds_mutable(value)
    if kind is Stored:
        return _holds_mutable(stored_parts(value).fields.values())
    if is_parameter(value):
        return any(map(is_copied, group_fields(value).values()))
    return kind in (list, dict) or is_mutable(kind)


def _holds_mutable(items: Iterable[Any]) -> bool:
    return any(is_a(item, np.ndarray) or is_copied(item) for item in items)


def given(value: Any) -> Any:
    """What to pass for a parameter's value."""
    return protected(_copied(value)) if is_copied(value) else value


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - a user's class may refuse; its codec makes another one all the same
        return revived(decode(encode([value]))[0], loaded)


Constant = tuple[Any, Note, str]  # value, comment and unit, origin
_PARAMETERS = ("constant", "derived", "group", "overlay")


def shared_values(plan: Plan, root: int, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The parameters that do not vary, by node key.

    Parameters
    ----------
    known
        Values that need not be computed again.

    Raises
    ------
    ProviderFailed
        When one can't be computed or recorded; the message holds the user's traceback.
    """
    values: dict[str, Any] = dict(known or {})
    with kept(), ExitStack() as teardown:
        for key in _wanted(plan, values):
            node = plan.nodes[key]
            value = make_shared(node, plan, values, root, teardown)
            if node.kind in ("derived", "overlay") and node.is_outermost:
                check_storable(node.name, value, node.origin)
            values[key] = value
    return {key: value for key, value in values.items() if plan.nodes[key].kind in _PARAMETERS}


def _wanted(plan: Plan, known: Mapping[str, Any]) -> list[str]:
    """The parameters that do not vary and are not known, and what they need, in order."""
    wanted: set[str] = set()
    for key, node in reversed(list(plan.nodes.items())):
        parameter = node.kind in _PARAMETERS and not node.varying
        if (parameter or key in wanted) and key not in known:
            wanted |= {key, *(need.key for need in node.needs)}
    return [key for key in plan.nodes if key in wanted and key not in known]


def make_shared(node: Node, plan: Plan, values: Mapping[str, Any], root: int, teardown: ExitStack) -> Any:
    """One value that all runs share."""
    if node.kind == "constant":
        return protected(node.value)
    if node.kind == "builtin":
        return _stream(node, plan, values, root)
    if node.kind == "feed":
        assert node.supplier is not None  # these runs are chosen before anything is computed
        teardown.callback(node.supplier.close)
        return node.supplier.all()
    try:
        passed = arguments(node, plan, values)
        own = [stream_of(name, generator) for name, generator in plan.generators.items()]
        with seeded([*global_streams(), *own], shared_seed(root, plan.stream, node.key)), Lineage():
            value = node.called(passed)
            return entered(value, teardown, node) if node.kind == "fixture" else protected(value)
    except SimkitError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises
        what = "fixture" if node.kind == "fixture" else "parameter"
        headline = f"{node.origin}: {what} {node.name!r} failed, and all runs of {plan.name} need it"
        raise ProviderFailed(f"{headline}\n{user_traceback(error)}") from None


def _stream(node: Node, plan: Plan, values: Mapping[str, Any], root: int) -> Any:
    provider = node.key.partition("@")[2]
    if node.name == "rng":
        return np.random.default_rng(values[node.needs[0].key])
    if node.name == RANDOM_STATE:
        return small_seed(values[node.needs[0].key])
    return shared_seed(root, plan.stream, provider)


def arguments(node: Node, plan: Plan, values: Mapping[str, Any]) -> dict[str, Any]:
    """What one call needs, by key: parameters protected, fixtures as they are."""
    return {
        need.key: given(values[need.key]) if plan.nodes[need.key].is_recorded else values[need.key]
        for need in node.needs
    }


def entered(made: Any, teardown: ExitStack, node: Node) -> Any:
    """A fixture's value; a generator is resumed after its ``yield`` when the stack closes."""
    if not is_a(made, GeneratorType):
        return made
    try:
        value = next(made)
    except StopIteration:
        msg = f"{location(node.make)}: fixture {node.name!r} did not yield a value"
        raise SimkitError(msg) from None
    teardown.callback(_finish, made, node)
    return value


def _finish(generator: Any, node: Node) -> None:
    try:
        next(generator)
    except StopIteration:
        return
    generator.close()
    msg = f"{location(node.make)}: fixture {node.name!r} yields more than once"
    raise SimkitError(msg)


def constants(plan: Plan, values: Mapping[str, Any]) -> dict[str, Constant]:
    """What is recorded once: value, comment and unit, and origin by name; groups as their fields."""
    recorded: dict[str, Constant] = {}
    for name, node in plan.parameters.items():
        if node.kind != "constant" and ("." in name or (node.varying and not has_fixed_fields(node, plan))):
            continue
        whole = _at_first_point(node, plan, values) if node.varying else values[name]
        for leaf, value in node.leaves(whole).items():
            if not _varies(leaf, plan):
                recorded[leaf] = (value, *_about(leaf, whole, node, plan))
    for key, supplier in plan.suppliers.items():
        if supplier.fixed is not None and plan.nodes[key].is_outermost:
            note, origin = Note(), plan.nodes[key].origin
            fed = zip(plan.nodes[key].value.recorded, supplier.fixed, strict=True)
            recorded.update({leaf: (value, note, origin) for leaf, value in fed})
    return recorded


def _varies(leaf: str, plan: Plan) -> bool:
    """Whether a group's field, or the group in the group that it belongs to, differs between points."""
    parts = leaf.split(".")
    above = (plan.nodes.get(".".join(parts[: i + 1])) for i in range(len(parts)))
    return any(node is not None and node.varying and node.kind in ("explored", "derived") for node in above)


def _about(leaf: str, whole: Any, node: Node, plan: Plan) -> tuple[Note, str]:
    """Comment and unit of what is recorded for a node, and where it comes from."""
    own = plan.nodes.get(leaf, node)
    said = leaf_notes(node.name, whole).get(leaf, Note())
    if (said.comment or said.unit) or (leaf != node.name and own is node):
        return said, own.origin
    return Note(None, own.comment, own.unit), own.origin


def reserved(plan: Plan, fixed: Mapping[str, Constant]) -> tuple[str, ...]:
    """The names that no result may take: of parameters, and of the fields that are recorded for groups."""
    fed = [leaf for node in plan.feeds.values() for leaf in node.value.recorded]
    return tuple(dict.fromkeys((*plan.parameters, *fixed, *fed)))


def has_fixed_fields(node: Node, plan: Plan) -> bool:
    """Whether a varying group's fields, those with varying nodes of their own aside, are the same at every point."""
    needs = list(node.needs)
    group = node.make
    if node.kind == "overlay":
        base = plan.nodes[needs.pop(0).key]
        group = base.value if base.kind == "constant" else None
    if node.kind not in ("group", "overlay") or group is None:
        return False
    varying = [need for need in needs if plan.nodes[need.key].varying]
    return all(_is_apart(group, plan.nodes[need.key], plan) for need in varying) and not any(
        changes_others(group, need.argument) for need in varying if group is not Namespace
    )


def _is_apart(group: Any, field: Node, plan: Plan) -> bool:
    """Whether what varies of a group's field is recorded without the group."""
    is_computed = field.kind == "derived" and group is Namespace
    return is_computed or field.kind == "explored" or has_fixed_fields(field, plan)


def is_recorded_per_run(node: Node, plan: Plan) -> bool:
    """Whether each run records the value that it computed."""
    group = plan.nodes.get(node.name.rpartition(".")[0])
    while group is not None and has_fixed_fields(group, plan) and "." in group.name:
        group = plan.nodes.get(group.name.rpartition(".")[0])
    is_part = "." in node.name and (group is None or not has_fixed_fields(group, plan))
    if not node.varying or is_part:
        return False
    if node.kind == "explored":
        return bool(node.needs) and "." not in node.name
    return node.kind == "derived" or (node.kind in ("group", "overlay") and not has_fixed_fields(node, plan))


def _at_first_point(node: Node, plan: Plan, values: Mapping[str, Any]) -> Any:
    """A group at the first point: its fields that are not explored are the same at every point."""
    first = {name: v.elements()[0] for name, v in plan.space.at(np.array([0])).items()}
    present = plan.space[0]

    def value(key: str) -> Any:
        if key in present:
            return first[key]
        made = plan.nodes[key]
        if made.varying and made.kind in ("group", "overlay"):
            return made.called({need.key: value(need.key) for need in made.needs})
        return values.get(key, values.get(f"{key}@normal"))

    return value(node.key)


_OF_SEED: Mapping[str, Callable[[Any], Any]] = {"rng": np.random.default_rng, RANDOM_STATE: small_seed}
Environment = dict[str, Any]


@attrs.frozen(eq=False)
class Step:
    """Makes one value of a run from those before it."""

    key: str
    make: Callable[[Environment, ExitStack], Any]


def compiled(plan: Plan) -> list[Step]:
    """The steps of every run; none where the space, constants and built-ins are enough."""
    makers = ((node, _maker(node, plan)) for node in plan.nodes.values() if node.varying)
    steps = [Step(node.key, make) for node, make in makers if make is not None]
    moved = Step("workdir", lambda _, teardown: _moved(plan, teardown))
    return [moved, *(step for step in steps if step.key != "workdir")] if plan.chdir else steps


def _maker(node: Node, plan: Plan) -> Callable[[Environment, ExitStack], Any] | None:
    match node.kind:
        case "explored":
            return _or_normal(node) if node.needs else None
        case "feed":
            return _from_runs(node)
        case "fixture":
            return lambda environment, teardown: entered(_called(node, plan, environment), teardown, node)
        case "derived" | "group" | "overlay":
            return lambda environment, _: protected(_called(node, plan, environment))
    if node.name == "workdir":
        return lambda environment, teardown: own_folder(plan, teardown)
    if node.name in _OF_SEED and plan.nodes["seed"].kind != "builtin":
        made = _OF_SEED[node.name]
        return lambda environment, _: made(environment["seed"])
    return None


def _called(node: Node, plan: Plan, environment: Environment) -> Any:
    return node.called(arguments(node, plan, environment))


def _from_runs(node: Node) -> Callable[[Environment, ExitStack], Any]:
    key, supplier, leaves_of = node.key, node.supplier, node.value.leaves
    assert supplier is not None  # runs of another experiment are chosen before any run is executed

    def value(environment: Environment, _: ExitStack) -> Any:
        place = {leaf: environment[column(key, leaf)] for leaf in leaves_of}
        return environment[node.needs[0].key] if place[DIGEST] is ABSENT else supplier.at(place)

    return value


def _or_normal(node: Node) -> Callable[[Environment, ExitStack], Any]:
    key, normal = node.key, node.needs[0].key

    def value(environment: Environment, _: ExitStack) -> Any:
        explored = environment[key]
        return environment[normal] if explored is ABSENT else explored

    return value


def _moved(plan: Plan, teardown: ExitStack) -> Path:
    """A run's folder, which is the working directory until the run is over."""
    folder = own_folder(plan, teardown)
    teardown.callback(os.chdir, os.getcwd())
    os.chdir(folder)
    return folder


def own_folder(plan: Plan, teardown: ExitStack) -> Path:
    """A fresh folder, removed when the stack closes, unless the run has failed."""
    folder, mark = run_folder(plan.name)

    def leave(kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            shutil.rmtree(folder, ignore_errors=True)
        if mark is not None:
            mark.unlink(missing_ok=True)

    teardown.push(leave)
    return folder
