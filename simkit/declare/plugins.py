"""How are values of the user's own types kept? By a pair of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

Arrays: TypeAlias = Mapping[str, Any]
Facts: TypeAlias = Mapping[str, Any]


@attrs.define(eq=False)  # one is made per value: frozen ones cost twice as much
class Parts:
    """A value taken apart.

    Attributes
    ----------
    fields
        The parts by identifier, each a value again.
    attributes
        A JSON object.
    hints
        Text for people who look into the file, or what makes it: called once per column, not per value.
    is_own
        Whether nobody else holds what is in the parts, so that no copy is needed to keep them as they are.
    codec
        The name of the codec that takes such values apart, where they are no more than their parts now.
    """

    fields: Arrays
    attributes: str = "{}"
    hints: Mapping[str, str] | Callable[[], Mapping[str, str]] = attrs.field(factory=dict)
    is_own: bool = False
    codec: str = ""


Kinds: TypeAlias = "type | tuple[type, ...] | Callable[[type], bool]"
Encode: TypeAlias = Callable[[Any], "tuple[Arrays, Facts] | Parts"]
Decode: TypeAlias = Callable[[Arrays, Facts], Any]
# The parts of N values, an array of N rows each, as one array of N rows; None where there is no such array.
Gather: TypeAlias = Callable[[Arrays, Facts], Any]


@attrs.frozen
class Codec:
    """How values of one type are kept in the file: a pair of functions.

    Parameters
    ----------
    name
        Stands in the file, with the project in front: ``lab.Spikes``. Never change its meaning.
    type
        The class whose direct instances it keeps.
    encode
        ``encode(value) -> (arrays, attributes)``: a mapping of parts by identifier, each of any type that
        simkit keeps, and a mapping of small facts as JSON has them (numbers, strings, lists), which are
        best the same for most runs. Each part becomes a column over the runs.
    decode
        ``decode(arrays, attributes) -> value``.
    mutable
        Whether a value can be changed in place. Then every run gets a copy (`copy.deepcopy`) of a parameter
        of this type, and what a run returns is taken apart at once; False spares both.
    gather, take, is_result
        What simkit's own codecs know beyond that: many values as one array; how a value is taken apart with
        copies of its parts; whether a returned value is one result, or its fields are results.

    Examples
    --------
    In ``simconf.py`` or an installed plug-in:

    >>> class Spikes:
    ...     def __init__(self, t, name):
    ...         self.t, self.name = t, name
    >>> @hookimpl
    ... def simkit_codecs():
    ...     return [Codec("lab.Spikes", Spikes, lambda s: ({"t": s.t}, {"name": s.name}),
    ...                   lambda arrays, attributes: Spikes(arrays["t"], attributes["name"]))]
    >>> simkit_codecs()[0].encode(Spikes([0.1, 0.3], "inhibitory"))
    ({'t': [0.1, 0.3]}, {'name': 'inhibitory'})
    """

    name: str
    type: Kinds
    encode: Encode
    decode: Decode
    mutable: bool = True
    gather: Gather | None = attrs.field(default=None, kw_only=True)
    take: Callable[[Any], Parts] | None = attrs.field(default=None, kw_only=True)
    is_result: bool = attrs.field(default=True, kw_only=True)

    def keeps(self, kind: Any) -> bool:
        """Whether it keeps the direct instances of the class `kind`.

        Parameters
        ----------
        kind
            A class.

        Returns
        -------
        bool
            False for classes that inherit from one that it keeps.

        Raises
        ------
        Exception
            What a function that is given as ``type`` raises.

        Examples
        --------
        >>> Codec("lab.Ratio", complex, vars, vars).keeps(complex)
        True
        """
        if isinstance(self.type, tuple):
            return kind in self.type
        return kind is self.type if isinstance(self.type, type) else self.type(kind)


class Codecs:
    """The codecs of the user's own types in this process: as with classes, there is one of each name."""

    def __init__(self) -> None:
        self.by_type: dict[Any, Codec] = {}
        self.by_name: dict[str, Codec] = {}

    def add(self, codec: Codec) -> None:
        """Know a codec from now on; one of the same name replaces it, as when a module is loaded again."""
        before = self.by_name.get(codec.name)
        if before is not None:
            self.by_type.pop(before.type, None)
        self.by_type[codec.type], self.by_name[codec.name] = codec, codec


OWN = Codecs()
