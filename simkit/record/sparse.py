"""What only some runs have: errors, logs, notes, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from simkit.record.layout import TEXT, append, create_flat
from simkit.record.sink import Sink
from simkit.values.checkpoint import Checkpoint


def write_texts(runs: h5py.Group, kind: str, texts: Mapping[int, str]) -> None:
    """Add errors or logs by run number; those of earlier attempts stay."""
    if texts:
        words = [clean(text) for text in texts.values()]
        _append(runs.require_group(kind), {"run": ("i8", list(texts)), "text": (TEXT, words)})


def write_notes(runs: h5py.Group, notes: Sequence[tuple[int, str, str]]) -> None:
    """Add remarks: run number, name of a result or nothing, text."""
    if notes:
        numbers, names, texts = zip(*notes, strict=True)
        columns = {"run": ("i8", numbers), "name": (TEXT, names), "text": (TEXT, list(map(clean, texts)))}
        _append(runs.require_group("notes"), columns)


def _append(group: h5py.Group, columns: Mapping[str, tuple[Any, Sequence[Any]]]) -> None:
    for name, (dtype, values) in columns.items():
        dataset = group[name] if name in group else create_flat(group, name, dtype)
        append(dataset, np.array(values, object) if dtype is TEXT else values)


def write_checkpoint(runs: h5py.Group, checkpoint: Checkpoint) -> None:
    """Replace a run's state, and add its new rows to those of earlier checkpoints."""
    vault, key = runs.require_group("checkpoint"), str(checkpoint.run)
    if checkpoint.first and key in vault:
        del vault[key]
    group = vault.require_group(key)
    if "state" in group:
        del group["state"]
    Sink(group, "state", 1, lambda: np.zeros(1, bool)).write(np.arange(1), checkpoint.state)
    series = group.require_group("series")
    for name, column in checkpoint.rows.items():
        start = int(series.attrs.get(name, 0))
        sink = Sink(series, name, start, lambda start=start: np.arange(start) >= 0)  # type: ignore[misc]
        sink.grow(start + column.n)
        sink.write(np.arange(start, start + column.n), column)
        series.attrs[name] = start + column.n


def forget_checkpoints(runs: h5py.Group, done: Sequence[int]) -> None:
    """These runs need theirs no more."""
    vault = runs.get("checkpoint")
    for run in done if vault is not None and len(vault) else ():
        if str(run) in vault:
            del vault[str(run)]


def clean(text: str) -> str:
    """Text as HDF5 strings hold it: NUL and lone surrogates shown as escapes."""
    if "\0" not in text and text.isprintable():
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
