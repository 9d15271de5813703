"""Checkpoints of runs under way: encoded here, committed by the owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simkit.errors import Unstorable
from simkit.values.checkpoint import Checkpoint, Restored
from simkit.values.columns import Column
from simkit.values.encode import encode, explain

Save = Callable[[Checkpoint], None]


class Vault:
    """The vault of the runs of one process.

    Parameters
    ----------
    save
        Hands a checkpoint to the owner of the file.
    """

    def __init__(self, save: Save) -> None:
        self.hand_over = save
        self.restorable: Mapping[int, Restored] = {}

    def save(self, run: int, state: dict[str, Any], rows: Mapping[str, list[Any]], *, first: bool) -> None:
        """Encode a checkpoint now, while its arrays are as they are, and hand it over."""
        columns = {name: _encoded(new, f"series {name}") for name, new in rows.items() if new}
        problem = explain(state["state"], "checkpoint") or explain(state["added"], "result")
        if problem is not None:
            raise problem
        self.hand_over(Checkpoint(run, encode([state]), columns, first))

    def find(self, run: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[Any]]] | None:
        """What an earlier attempt committed last."""
        found = self.restorable.get(run)
        return None if found is None else found.values()


def _encoded(rows: list[Any], path: str) -> Column:
    try:
        return encode(rows)
    except Unstorable as error:
        raise explain(rows, path) or error from None
