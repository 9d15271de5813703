"""What may a ``simconf.py`` or a plug-in offer? What it gives for these hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from simkit.declare.plugins import Codec

hookspec = pluggy.HookspecMarker("simkit")
hookimpl = pluggy.HookimplMarker("simkit")


class Hooks:
    """The hooks and their arguments."""

    @hookspec
    def simkit_codecs(self) -> Sequence[Codec]:
        """Codecs for types of your own, known before the first run and when a file of yours is opened."""
        return ()

    @hookspec
    def simkit_engines(self) -> Mapping[str, Callable[..., Any]]:
        """Engines by the names that ``--engine`` takes: functions that return an executor.

        Each is called with what the table ``[tool.simkit.engines.NAME]`` says, by keyword.
        """
        return {}
