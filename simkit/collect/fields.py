"""What is a group of parameters, and how are its fields read and replaced?

A group is an instance of a ``@parameter`` class, of a dataclass or of an attrs class; its fields may be groups, too.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from types import NoneType, SimpleNamespace
from typing import Any, Final

import attrs

from simkit.collect.conversion import unwrapped
from simkit.declare.annotations import Note, notes
from simkit.declare.reflection import declared_fields, doc_of, is_a, own_attributes
from simkit.declare.tags import tag_of
from simkit.errors import SimkitError, did_you_mean, listed
from simkit.values.compare import same
from simkit.values.instances import BASES
from simkit.values.registry import codec_of

NOTHING: Final = attrs.NOTHING


@attrs.frozen(eq=False)
class Member:
    """One field of a group's class.

    Attributes
    ----------
    argument
        What the class's constructor calls it; empty where it takes no such argument.
    default
        `NOTHING` where there is none; None where it is computed from other fields.
    is_computed
        Whether its default is computed from other fields.
    """

    name: str
    argument: str
    default: Any
    is_computed: bool = False


class Namespace(SimpleNamespace):
    """A group without a class: what providers such as ``@parameter(name="model.synaptic")`` make together."""

    def __setattr__(self, name: str, value: Any) -> None:
        msg = f"{name!r}: parameters cannot be changed"
        raise AttributeError(msg)


def is_parameter_class(kind: Any) -> bool:
    """Whether a class is marked with ``@parameter``."""
    tag = tag_of(kind)
    return is_a(kind, type) and tag is not None and tag.kind == "parameter"


def is_group_class(kind: Any) -> bool:
    """Whether the instances of a class are groups: not those that have a codec of their own, or no fields."""
    if is_parameter_class(kind) or kind is Namespace:
        return True
    if not is_a(kind, type) or issubclass(kind, tuple(BASES)):
        return False
    if declared_fields(kind) is None:
        return False
    codec = codec_of(kind)
    return codec is not None and codec.name == "class" and bool(members(kind))


def is_group(value: Any) -> bool:
    """Whether a value is a group; an instance that has attributes besides its fields would lose them."""
    if not is_group_class(type(value)):
        return False
    return is_parameter(value) or {*own_attributes(value)} <= {*group_fields(value)}


def is_parameter(value: Any) -> bool:
    """Whether a value is an instance of a ``@parameter`` class, or a group without a class."""
    return is_parameter_class(type(value)) or type(value) is Namespace


def group_class(annotation: Any) -> Any:
    """The class of the groups that an annotation names, ``Model | None`` included; None where there is none."""
    kind = unwrapped(annotation)
    kinds = [each for each in map(unwrapped, typing.get_args(kind)) if each is not NoneType]
    if len(kinds) == 1 and NoneType in typing.get_args(kind):
        kind = kinds[0]
    return kind if is_group_class(kind) else None


def members(kind: type) -> dict[str, Member]:
    """The fields of a group's class by name, in order."""
    fields = declared_fields(kind) or ()
    return {
        each.name: _of_attrs(each) if is_a(each, attrs.Attribute) else _of_dataclass(each) for each in fields
    }


def _of_attrs(field: Any) -> Member:
    argument = (field.alias or field.name) if field.init else ""
    if getattr(field.default, "takes_self", False):
        return Member(field.name, argument, None, is_computed=True)
    is_factory = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
    return Member(field.name, argument, field.default.factory() if is_factory else field.default)


def _of_dataclass(field: Any) -> Member:
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    else:
        default = NOTHING if field.default is dataclasses.MISSING else field.default
    return Member(field.name, field.name if field.init else "", default, is_computed=not field.init)


def group_fields(group: Any) -> dict[str, Any]:
    """A group's values by field."""
    if type(group) is Namespace:
        return dict(vars(group))
    return {name: getattr(group, name) for name in members(type(group)) if hasattr(group, name)}


def fields_depend(kind: Any) -> bool:
    """Whether some fields of a group are computed from others when it is made."""
    if kind is Namespace:
        return False
    hooks = ("__attrs_post_init__", "__post_init__", "__attrs_pre_init__")
    is_made_by_hand = not is_parameter_class(kind) and not _has_plain_init(kind)
    computed = any(member.is_computed for member in members(kind).values())
    return is_made_by_hand or computed or any(hasattr(kind, hook) for hook in hooks)


def _has_plain_init(kind: Any) -> bool:
    """Whether the class's constructor was written by attrs or by `dataclasses`."""
    code = getattr(vars(kind).get("__init__"), "__code__", None)
    return code is not None and code.co_filename.startswith("<")


def leaves(name: str, value: Any) -> dict[str, Any]:
    """What is recorded for a parameter: itself, or the fields of a group by dotted name, nested ones too."""
    if not is_group(value):
        return {name: value}
    found: dict[str, Any] = {}
    for field, inner in group_fields(value).items():
        found.update(leaves(f"{name}.{field}", inner))
    return found


def leaf_notes(name: str, value: Any) -> dict[str, Note]:
    """The comments and units of a group's leaves, and of the groups in it."""
    if not is_group(value):
        return {}
    known = notes(type(value))
    found: dict[str, Note] = {}
    for field, inner in group_fields(value).items():
        found[f"{name}.{field}"] = known.get(field, Note())
        found.update(leaf_notes(f"{name}.{field}", inner))
    return found


def inner_comments(name: str, kind: Any, above: tuple[Any, ...] = ()) -> dict[str, str]:
    """What the code says of the groups within a group, by dotted name: the field's comment, else the class's."""
    found: dict[str, str] = {}
    for field, about in notes(kind).items():
        inner = group_class(about.type)
        if inner in (None, kind, *above):
            continue
        full = f"{name}.{field}"
        found[full] = about.comment or own_doc(inner)
        found.update(inner_comments(full, inner, (*above, kind)))
    return {full: comment for full, comment in found.items() if comment}


def own_doc(group: type) -> str:
    """A class's own docstring; what attrs and `dataclasses` write there is none."""
    doc = doc_of(group)
    written = doc.startswith(("Method generated by attrs", f"{group.__name__}("))
    return "" if written else doc.strip()


def by_field(replaced: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values by dotted name, as those of each field: ``""`` is the whole field, the rest are parts of it."""
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in replaced.items():
        field, _, rest = name.partition(".")
        grouped.setdefault(field, {})[rest] = value
    return grouped


def assembled(kind: Any, /, **given: Any) -> Any:
    """An instance of a group's class with these fields, dotted names included; the others have their defaults."""
    if kind is Namespace:
        return Namespace(**{name: parts[""] for name, parts in by_field(given).items()})
    known, grouped = members(kind), by_field(given)
    arguments: dict[str, Any] = {}
    for name, member in known.items():
        parts = grouped.get(name, {})
        rest = {part: value for part, value in parts.items() if part}
        whole = parts.get("", member.default)
        if not member.argument or (not parts and member.default is not NOTHING):
            continue
        if whole is NOTHING or (whole is None and rest):
            whole = _made(kind, name, rest)
        elif rest:
            whole = evolved(whole, **rest)
        if whole is not NOTHING:
            arguments[member.argument] = whole
    return kind(**arguments)


def _made(kind: Any, name: str, given: Mapping[str, Any]) -> Any:
    """A field that has no value of its own, made by its class; `NOTHING` where the annotation names none."""
    inner = group_class(notes(kind).get(name, Note()).type)
    return NOTHING if inner is None or (inner is kind and not given) else assembled(inner, **given)


def evolved(group: Any, /, **replaced: Any) -> Any:
    """A group with some fields replaced, dotted names included."""
    values = group_fields(group)
    changes: dict[str, Any] = {}
    for name, parts in by_field(replaced).items():
        if name not in values:
            msg = f"{type(group).__name__} has no field {name!r}{did_you_mean(name, values)}\n    fields: "
            raise SimkitError(msg + listed(name, values))
        rest = {part: value for part, value in parts.items() if part}
        whole = parts.get("", values[name])
        if whole is None and rest:
            whole, rest = _made(type(group), name, rest), {}
        changes[name] = evolved(whole, **rest) if rest else whole
    if type(group) is Namespace:
        return Namespace(**{**values, **changes})
    known = members(type(group))
    changes |= {name: value for name, value in values.items() if name not in changes and known[name].argument}
    follow = [name for name in _following(group, values, known) if name not in by_field(replaced)]
    return type(group)(**{known[name].argument: changes[name] for name in changes if name not in follow})


def _following(group: Any, values: Mapping[str, Any], known: Mapping[str, Member]) -> list[str]:
    """The fields whose values are those that the class computes from the others: they follow when these change."""
    computed = [name for name, member in known.items() if member.is_computed and member.argument]
    if not computed:
        return []
    others = {name: value for name, value in values.items() if name not in computed and known[name].argument}
    usual = type(group)(**{known[name].argument: value for name, value in others.items()})
    return [name for name in computed if same(getattr(usual, name), values[name])]
