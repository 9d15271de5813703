"""What can be wrong with a closure, said so that a beginner can mend it."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from simkit.collect.config import Outside
from simkit.collect.fields import group_fields, is_group
from simkit.collect.plan import Node, Plan
from simkit.collect.signatures import NoField, Provider, Requester, every_field
from simkit.declare.annotations import Note, notes
from simkit.declare.feed import Upstream
from simkit.declare.forms import Values
from simkit.declare.reflection import declared_fields, is_a, tuple_fields
from simkit.errors import SimkitError, did_you_mean, listed, location, paragraphs, shown_path
from simkit.values.encode import explain
from simkit.values.results import ONE, is_one_result


def _chain(chain: Sequence[Requester]) -> str:
    return "requested by " + ", which is requested by ".join(str(asker) for asker in reversed(chain))


def unknown(
    name: str, chain: Sequence[Requester], available: Iterable[str], *, explored: bool, dropped: bool = False
) -> SimkitError:
    """An argument that nothing provides; ``dropped``: a space that is replaced would have."""
    asker = chain[-1]
    what = (
        "some points do not explore it, and nothing else gives its value"
        if explored
        else "nothing provides it"
    )
    names = [n for n in available if n != name]
    return SimkitError(
        paragraphs(
            [
                f"{asker.where}: {asker.words} needs {name!r}, but {what}{did_you_mean(name, names)}",
                _chain(chain),
                f"available: {listed(name, names)}",
                "the declared space explores it, and the one that replaces it does not: add it there, or "
                "replace single axes (--product)"
                if dropped
                else f"give the argument a default, explore it, or write a @parameter or @fixture named {name!r}",
            ]
        )
    )


def cycle(name: str, chain: Sequence[Requester]) -> SimkitError:
    """Providers that need each other."""
    start = next(i for i, asker in enumerate(chain) if asker.key == name)
    ring = [str(asker) for asker in chain[start:]] + [name]
    return SimkitError(
        paragraphs(
            [
                f"{chain[-1].where}: {name!r} needs itself",
                " → ".join(ring),
                "break the circle: one of them must not ask for the next",
            ]
        )
    )


def unused(name: str, asker: Requester, used: Iterable[str], fields: Iterable[str]) -> SimkitError:
    """An explored name that nothing asks for."""
    names = [n for n in used if n not in ("run", "rng", "workdir")]
    near, known = "", list(fields)
    if name in known:
        needed = name.partition(".")[0]  # the group, which this experiment does not ask for
    else:
        needed, near = name, did_you_mean(name, [*names, *known])
    return SimkitError(
        paragraphs(
            [
                f"{asker.where}: {name!r} is explored, but nothing in {asker.words} uses it{near}",
                f"used: {listed(name, names)}",
                f"add {needed!r} to the arguments of the experiment or of a provider that it needs",
            ]
        )
    )


def unused_outside(name: str, source: str, used: Iterable[str], experiments: Sequence[str]) -> SimkitError:
    """A name from outside that no collected experiment asks for."""
    names = list(dict.fromkeys(used))
    which = experiments[0] if len(experiments) == 1 else f"none of the {len(experiments)} experiments"
    what = f"{which} does not use" if len(experiments) == 1 else f"{which} uses"
    return SimkitError(
        f"{source}: {what} {name!r}{did_you_mean(name, names)}\n    parameters: {listed(name, names)}"
    )


def set_explored(name: str, source: str) -> SimkitError:
    """``--set`` of an explored name."""
    value = source.partition("=")[2] or "…"
    return SimkitError(
        f"{source}: {name!r} is explored, so it has no single value\n"
        f"    replace its axis: --product {name}={value}, or keep only some points: --where '{name} == {value}'"
    )


def fed_and_provided(name: str, feed: Upstream, where: str) -> SimkitError:
    """A name that another experiment explores, and that has a value of its own in this one."""
    return SimkitError(
        paragraphs(
            [
                f"{where}: {name!r} is explored by {feed.words} and comes with them, but has a value of its own here",
                f"the value that each of those runs had is {feed.argument}.{name} too",
                f"give one of the two {name!r} another name, or let both come from one provider in a simconf.py",
            ]
        )
    )


def two_values(name: str, known: Node, asker: Requester, other: Any) -> SimkitError:
    """One name with two values."""
    first = f"{known.value!r} ({known.origin})" if known.kind == "constant" else f"provided by {known.origin}"
    second = (
        f"provided at {other.where}" if isinstance(other, Provider) else f"{other!r} (default of {asker})"
    )
    return SimkitError(
        paragraphs(
            [
                f"{asker.where}: {name!r} has two values in one experiment",
                first,
                second,
                "a name has one value: give one of them another name, remove one default, or make a group",
                f"with a @parameter class, so that they are two fields such as first.{name} and second.{name}",
            ]
        )
    )


def shared_needs_varying(
    provider: Provider, key: str, nodes: Mapping[str, Node], chain: Sequence[Requester]
) -> SimkitError:
    """An experiment-scoped fixture that needs what differs between runs."""
    way = [key]
    while nodes[way[-1]].kind not in ("explored", "builtin", "feed"):
        step = next((need.key for need in nodes[way[-1]].needs if nodes[need.key].varying), None)
        if step is None:
            break
        way.append(step)
    last = nodes[way[-1]]
    why = "is explored" if last.kind == "explored" else "is made for every run"
    what = f"{provider.where}: fixture {provider.name!r} is shared by all runs (scope='experiment')"
    return SimkitError(
        paragraphs(
            [
                f"{what}, but needs {last.name!r}, which {why}",
                " → ".join([provider.name, *(nodes[k].name for k in way)]),
                _chain(chain[:-1]) if len(chain) > 1 else "",
                f"make it @fixture (scope='run'), or do not let it need {last.name!r}",
            ]
        ).replace("\n    \n", "\n")
    )


def unknown_field(
    group: str, where: str, name: str, missing: NoField, outside: Mapping[str, Any]
) -> SimkitError:
    """A dotted name whose group has no such field.

    Parameters
    ----------
    where
        What gives the group, and where that stands.
    """
    full = f"{group}.{name}"
    source = f"{outside[full].source}: " if full in outside else ""
    return SimkitError(f"{source}{group + missing.group!r} ({where}) has {missing.words}")


def no_value(provider: Provider, name: str, chain: Sequence[Requester]) -> SimkitError:
    """A group's field without a default that nothing gives."""
    full = f"{provider.name}.{name}"
    return SimkitError(
        paragraphs(
            [
                f"{provider.where}: {full} has no value",
                _chain(chain),
                f"give the field a default, explore it: product({{{full!r}: […]}}), or --set {full}=…",
            ]
        )
    )


def check_names(where: str, explored: Sequence[str], outside: Mapping[str, Any]) -> None:
    """A name is either a leaf or a group."""
    names = [*explored, *outside]
    for name in names:
        inner = next((n for n in explored if n.startswith(name + ".")), None)
        if inner is not None:
            msg = (
                f"{where}: {name!r} is given as a whole, and {inner!r} as a part of it\n"
                "    a name is either a leaf or a group: explore the group or its fields"
            )
            raise SimkitError(msg)


def check_storable(name: str, value: Any, origin: str) -> None:
    """A parameter must have a form in the file."""
    if is_group(value):
        for field, inner in group_fields(value).items():
            check_storable(f"{name}.{field}", inner, origin)
        return
    problem = explain(value, name)
    if problem is not None:
        msg = (
            f"{origin}: parameter {problem}\n"
            "    what can't be recorded is no parameter: provide it with a @fixture, or give a name or a number "
            "that the experiment turns into it"
        )
        raise SimkitError(msg)


def check_is_group(where: str, node: Node, full: str) -> None:
    """A dotted name needs a group: the fields of anything else can't be replaced."""
    if node.kind in ("fixture", "builtin", "explored", "feed") or (
        node.kind == "constant" and not is_group(node.value)
    ):
        origin = f" ({node.origin})" if node.origin else ""
        msg = (
            f"{where}: {full!r} names a field of {node.name!r}, which is no group{origin}\n"
            f"    make {node.name!r} a @parameter class, or give it as a whole"
        )
        raise SimkitError(msg)


def check_given_group(provider: Provider | None, given: Outside) -> None:
    """What comes from outside for a group is a group: nothing else has the fields that are asked for."""
    if provider is None or not provider.is_group or is_group(given.value):
        return
    fields = list(every_field(provider.name, provider.thing))
    example = f"{fields[0]}={given.source.partition('=')[2] or '…'}" if fields else provider.name
    msg = (
        f"{given.source}: {provider.name!r} is a group ({provider.where}): give its fields, as in {example}\n"
        f"    fields: {', '.join(fields)}"
    )
    raise SimkitError(msg)


def check_axis(where: str, name: str, values: Values) -> None:
    """Each explored value must have a form in the file."""
    if values.array.dtype != object:
        return
    for element in values.elements():
        check_storable(name, element, f"{where}: explored")


def check_result_names(plan: Plan) -> None:
    """What the annotation of the experiment calls its results must not be the name of a parameter."""
    returned = notes(plan.function).get("return", Note()).type
    name = next((name for name in _told_results(returned) if name in plan.parameters), None)
    if name is not None:
        told = getattr(returned, "__name__", str(returned))
        msg = (
            f"{location(plan.function)}: {plan.name} returns {told}, and its result {name!r} has a parameter's name\n"
            f"    give it another name, such as {name + '_end'!r}"
        )
        raise SimkitError(msg)


def check_vectorized(plan: Plan) -> None:
    """What one call computes many runs with can't be made for each of them."""
    if plan.vectorized is None:
        return
    nodes = (plan.nodes[need.key] for need in plan.needs)
    single = [
        f"fixture {node.name!r} ({node.origin})" if node.kind == "fixture" else repr(node.name)
        for node in nodes
        if node.varying
        and (node.kind in ("fixture", "feed") or (node.kind == "builtin" and node.name in _SINGLE))
    ]
    if single:
        what = "one call computes many runs, and it asks for what each run has of its own"
        msg = paragraphs(
            [
                f"{location(plan.function)}: {plan.name} is vectorized: {what}: {', '.join(single)}",
                "for random numbers ask for 'seed', an array with a seed for each run; a fixture can have",
                'scope="experiment"; or leave out vectorized, and each run is a call of its own',
            ]
        )
        raise SimkitError(msg)


_SINGLE = ("rng", "workdir")


def _told_results(returned: Any) -> Sequence[str]:
    """The names of the results, as far as an annotation tells."""
    if typing.is_typeddict(returned):
        return list(returned.__annotations__)
    if not is_a(returned, type) or issubclass(returned, (Mapping, type(None))):
        return ()
    if (fields := declared_fields(returned)) is not None:
        return [field.name for field in fields]
    if (names := tuple_fields(returned)) is not None:
        return names
    return [ONE] if is_one_result(returned) and returned not in (object, typing.Any) else ()


def how_to_explore(plan: Plan) -> str:
    """How the first parameter of an experiment would be explored: ``@product(x=[…])``, or a field of a group."""
    nodes = [(need.argument, plan.nodes[need.key]) for need in plan.needs]
    for argument, node in nodes:
        group = node.make if node.kind == "group" else node.value
        if node.kind == "group" or (node.kind == "constant" and is_group(group)):
            return f'explore with @product({{"{next(iter(every_field(argument, group)), argument)}": […]}})'
        if node.kind in ("constant", "derived"):
            return f"explore with @product({argument}=[…])"
    return f"to explore, give it an argument: @product(x=[…]) and def {plan.name}(x, …)"


_MARKED = re.compile(r"^\s*@(?:simkit\.)?experiment\b", re.MULTILINE)
_DEFINED = re.compile(r"(?:\A|^(?!@).*\n)def (\w+)", re.MULTILINE)  # without a decorator
_MOST_FILES = 200  # that are looked into


def nearly_experiments(paths: Sequence[Path], patterns: Sequence[str]) -> list[str]:
    """What may have been meant: an experiment in a file of another name, a function without its decorator."""
    misnamed, unmarked = list[str](), list[str]()
    for path in paths[:_MOST_FILES]:
        try:
            text = path.read_text("utf-8", errors="replace")
        except OSError:
            continue
        shown, is_collected = shown_path(path), any(fnmatch(path.name, pattern) for pattern in patterns)
        if _MARKED.search(text) and not is_collected:
            cure = f"call it sim_{path.name}, or type simkit {shown}"
            misnamed.append(f"{shown} has an @experiment, but is named otherwise: {cure}")
        elif is_collected and (match := _DEFINED.search(text)):
            unmarked.append(
                f"{shown} has no @experiment: write it above the function to run, such as {match[1]}"
            )
    return (misnamed or unmarked)[:5]
