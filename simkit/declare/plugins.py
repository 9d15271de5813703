"""What a ``simconf.py`` or a plug-in may offer: hooks, and codecs for types of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import pluggy

from simkit.errors import SimkitError

Encode: TypeAlias = Callable[[Any], tuple[Mapping[str, Any], Mapping[str, Any]]]
Decode: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]


def _check_name(_: Any, __: Any, name: str) -> None:
    if not name or "." not in name or "/" in name:
        msg = f"a codec is named with its project, as in 'lab.Spikes', not {name!r}"
        raise SimkitError(msg)


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

    Examples
    --------
    In ``simconf.py`` or an installed plug-in::

        @hookimpl
        def simkit_codecs():
            return [Codec("lab.Spikes", Spikes, lambda s: ({"t": s.t}, {"name": s.name}),
                          lambda arrays, attributes: Spikes(arrays["t"], attributes["name"]))]
    """

    name: str = attrs.field(validator=_check_name)
    type: type
    encode: Encode
    decode: Decode


class Codecs:
    """The codecs of the user's own types in this process: as with classes, there is one of each name."""

    def __init__(self) -> None:
        self.by_type: dict[type, Codec] = {}
        self.by_name: dict[str, Codec] = {}

    def add(self, codec: Codec) -> None:
        """Know a codec from now on; one of the same name replaces it, as when a module is loaded again."""
        before = self.by_name.get(codec.name)
        if before is not None:
            self.by_type.pop(before.type, None)
        self.by_type[codec.type], self.by_name[codec.name] = codec, codec


OWN = Codecs()


hookspec = pluggy.HookspecMarker("simkit")
hookimpl = pluggy.HookimplMarker("simkit")


class Hooks:
    """The hooks and their arguments."""

    @hookspec
    def simkit_codecs(self) -> Sequence[Codec]:
        """Codecs for types of your own, known before the first run and when a file of yours is opened."""
        return ()
