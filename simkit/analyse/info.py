"""What is known of a trajectory as a whole."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import attrs

from simkit.record.recorded import Recorded


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
    sessions: tuple[Mapping[str, Any], ...]
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
