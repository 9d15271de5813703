"""A column in a file, written batch by batch, and a plain list of what must come back."""

from __future__ import annotations

import h5py
import numpy as np
from identity import identical

from simkit.record.columns.layout import read
from simkit.record.columns.write import Sink
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode


class Written:
    """A sink on a file in memory, and a plain list of what must come back."""

    def __init__(self, n: int) -> None:
        self.file = h5py.File.in_memory()
        self.model = [ABSENT] * n
        self.done = np.zeros(n, bool)
        self.open()

    def open(self) -> None:
        """A new session: what is known of the column stands in the file."""
        self.sink = Sink(self.file, "z", len(self.model), lambda: self.done)

    def grow(self, more: int) -> None:
        self.model += [ABSENT] * more
        self.done = np.concatenate([self.done, np.zeros(more, bool)])
        self.sink.grow(len(self.model))

    def put(self, rows: dict[int, object]) -> None:
        """One batch: done runs, some of which may lack the name."""
        at = np.array(sorted(rows))
        given_at = [i for i, row in enumerate(at) if rows[row] is not ABSENT]
        column = encode([rows[row] for row in at[given_at]])
        if len(given_at) < len(at):
            column = column.spread(len(at), np.array(given_at, np.int64))
        if given_at:
            self.sink.write(at, column, np.ones(len(at), bool))
        else:
            self.sink.absent(at, np.ones(len(at), bool))
        self.done[at] = True
        for row, value in rows.items():
            self.model[row] = value

    def column(self, start: int = 0, stop: int | None = None):
        rows = slice(start, len(self.model) if stop is None else stop)
        return read(self.file, "z", rows, self.done[rows])

    def check(self, start: int = 0, stop: int | None = None) -> None:
        got = decode(self.column(start, stop))
        for value, wanted in zip(got, self.model[start:stop], strict=True):
            assert (value is ABSENT) == (wanted is ABSENT)
            assert value is ABSENT or identical(value, wanted)


def written(*batches: dict[int, object], n: int = 8) -> Written:
    result = Written(n)
    for batch in batches:
        result.put(batch)
    return result
