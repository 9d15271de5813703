"""What a ``simconf.py`` or a plug-in may implement, marked with ``@hookimpl``."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from simkit.declare.codec import Codec

hookspec = pluggy.HookspecMarker("simkit")
hookimpl = pluggy.HookimplMarker("simkit")


class Hooks:
    """The hooks and their arguments."""

    @hookspec
    def simkit_codecs(self) -> Sequence[Codec]:
        """Codecs for types of your own, known before the first run and when a file of yours is opened."""
        return ()
