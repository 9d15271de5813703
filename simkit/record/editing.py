"""A recorded trajectory open for additions, each of which counts at once."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from simkit.errors import SimkitError, shown_path
from simkit.record.catalogue import Slot
from simkit.record.recorded import Recorded
from simkit.record.store import Store


def open_for_editing(path: Path, name: str | None = None) -> Recorded:
    """Open one experiment of a file for reading and additions; nobody else writes it meanwhile.

    Raises
    ------
    SimkitError
        When it is no trajectory file, when several experiments are in it and none is named, or when
        somebody else is writing it.
    """
    seen = Recorded.open(path, name)  # before a file is made or a log replayed where none should be
    seen.close()
    store = Store(path)
    return Recorded(path, store.file, seen.name, store)


def editing(recorded: Recorded) -> AbstractContextManager[Any]:
    """The experiment's group to write into; committed at the end, or as it was before if that fails.

    Raises
    ------
    SimkitError
        When the file is open for reading only.
    StorageFailed
        When the disk is full; the file is closed then.
    """
    if recorded.store is None:
        where = shown_path(recorded.path)
        advice = recorded.advice or f'simkit.open("{where}", mode="r+") opens it for additions'
        msg = f"{where} is open for reading only: {advice}"
        raise SimkitError(msg)
    return _editing(recorded, recorded.store)


@contextmanager
def _editing(recorded: Recorded, store: Store) -> Iterator[Any]:
    try:
        yield recorded.root
        store.commit()
    except BaseException:
        if isinstance(recorded.release, weakref.finalize):
            recorded.release.detach()
        store.close(failed=True)
        raise
    finally:
        recorded.__dict__.pop("sections", None)  # what was read before the change


@contextmanager
def writing(slot: Slot, *, durable: bool) -> Iterator[Any]:
    """The group of a recorded experiment to write into; committed at the end, or left as it was if that fails."""
    store = Store(slot.path, durable=durable)
    failed = True
    try:
        yield store.file[slot.group]
        failed = False
    finally:
        store.close(failed=failed)
