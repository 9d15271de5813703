"""Trajectories of one experiment become one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from simkit.errors import SimkitError, StorageFailed, did_you_mean, shown_path
from simkit.record.copy import extract
from simkit.record.file.log import log_path
from simkit.record.file.store import Store, repaired
from simkit.record.merge.inputs import check_part, check_unwritten, is_listed, is_master, source_sets
from simkit.record.merge.placing import DUPLICATES
from simkit.record.merge.writing import Blueprint, Merged, assemble, base_of, blueprint
from simkit.record.recorded import Recorded
from simkit.values.batch import Status


class Uninterrupted:
    """A context in which Ctrl-C and SIGTERM only count when `check` is called.

    Raised within HDF5's callbacks, an exception would leave the library in an unknown state.
    """

    def __init__(self) -> None:
        self.heard = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Uninterrupted:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, *[signal.SIGHUP] * hasattr(signal, "SIGHUP")):
                self.before[number] = signal.signal(number, self._hear)
        return self

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True

    def check(self) -> None:
        """Stop here if that was asked for."""
        if self.heard:
            raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def merge(target: Path, files: Sequence[str | os.PathLike[str]], duplicates: str = "error") -> list[Merged]:
    """Merge the experiments of files into one file, which replaces what stands at ``target`` when it is whole.

    Parameters
    ----------
    target
        A trajectory that is there already is the first source, unless it is among the files.
    files
        In the order of the merged runs; ``FILE::NAME`` is one of several experiments in a file.
    duplicates
        What becomes of a run that is done in two files: ``error``, ``first`` (keep one), ``all``.

    Raises
    ------
    SimkitError
        When the files don't fit together, one of them is being written, or a run is done twice.
    StorageFailed
        When the disk is full; the target is then as it was.
    """
    if duplicates not in DUPLICATES:
        msg = (
            f"duplicates={duplicates!r}: write {', '.join(DUPLICATES)}{did_you_mean(duplicates, DUPLICATES)}"
        )
        raise SimkitError(msg)
    if target.is_dir():
        msg = f"{shown_path(target)} is a folder: the merged file comes first, then its sources"
        raise SimkitError(msg)
    exists = target.exists() and target.stat().st_size > 0
    if masters := [Path(file) for file in [*([target] if exists else []), *files] if is_master(Path(file))]:
        return [_unsharded(target, masters[0], files, exists=exists)]
    if exists:
        repaired(target)
    sets = source_sets(target, [*([target] if exists and not is_listed(target, files) else []), *files])
    check_part(sets)
    with Uninterrupted() as interrupts:
        plans = [blueprint(group, sources, duplicates) for group, sources in sets.items()]
        return _written(target, plans, interrupts, durable=exists)


def _unsharded(
    target: Path, master: Path, files: Sequence[str | os.PathLike[str]], *, exists: bool
) -> Merged:
    """Write a set of shards as one plain file."""
    if exists or len(files) > 1:
        plain = shown_path(master.with_name(f"{master.stem}-plain.h5"))
        msg = (
            f"{shown_path(master)} is a set of shards: make one plain file of it first, a new one\n"
            f"    simkit merge {plain} {shown_path(master)}"
        )
        raise SimkitError(msg)
    with closing(Recorded.open(master)) as recorded:
        shards = recorded.shards
        assert shards is not None
        for stretch in shards.stretches:
            check_unwritten(shards.path(stretch))
        names = {*recorded.names("parameters"), *recorded.names("results")}
        with Uninterrupted() as interrupts:
            extract(recorded, np.arange(len(recorded)), names, target, pause=interrupts.check)
        status = np.asarray(recorded.run_column("status"))
        taken = [
            (shown_path(book.path), int((np.asarray(book.run_column("status")) != Status.PENDING).sum()))
            for book in shards.all()
        ]
        missing = sum(s.stop - s.first for k, s in enumerate(shards.stretches) if shards.book(k) is None)
        words = f"{missing} runs were not begun by any task: simkit gives them their points when it continues the file"
        counts = {one.word: int((status == one).sum()) for one in Status if (status == one).any()}
        return Merged(recorded.name, tuple(taken), counts, (words,) if missing else ())


def _written(
    target: Path, plans: Sequence[Blueprint], interrupts: Uninterrupted, *, durable: bool
) -> list[Merged]:
    """Write the file beside its place, and put it there when it is whole."""
    store = Store(target, durable=durable, replace=True, base=base_of(plans), pause=interrupts.check)
    failed = True
    try:
        if os.path.exists(log_path(str(store.path))):
            msg = f"{shown_path(target)} was written in between: merge again"
            raise SimkitError(msg)
        pause = partial(_pause, interrupts, store)
        found = [assemble(store.file, plan, target.parent, pause) for plan in plans]
        pause()
        failed = False
    finally:
        _close(store, failed=failed)
    return found


def _pause(interrupts: Uninterrupted, store: Store) -> None:
    """Between two steps: stop where that was asked for, or where the disk is full."""
    interrupts.check()
    if store.medium.failed is not None:
        raise _lost(store, str(store.medium.failed.strerror or store.medium.failed))


def _close(store: Store, *, failed: bool) -> None:
    try:
        store.close(failed=failed)
    except StorageFailed:
        raise _lost(store, str(store.medium.failed and store.medium.failed.strerror)) from None


def _lost(store: Store, why: str) -> StorageFailed:
    return StorageFailed(
        f"{shown_path(store.path)}: could not be written: {why}\n"
        "    it is as it was, and so are the sources; make room, and type the same command again"
    )
