"""What do a dataset's compressed chunks hold? Each is inflated here, and never to more than a chunk.

HDF5 takes memory for all that a stream gives, a thousand times what is stored, whatever the chunk's size says.
"""

from __future__ import annotations

import itertools
import math

import h5py
import numpy as np

from simkit.declare.forms import Array
from simkit.errors import Damaged
from simkit.values.compress import inflated, unshuffled


class Inflated:
    """Rows of a dataset of which `is_inflated_here` holds, as the dataset itself gives them."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset, self.chunk, self.dtype = dataset, dataset.chunks, dataset.dtype
        self.shuffles = dataset.id.get_create_plist().get_nfilters() > 1

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(len(self.dataset))
        ends = [(start, max(start, stop)), *((0, extent) for extent in self.dataset.shape[1:])]
        elements = np.empty([high - low for low, high in ends], self.dtype)
        steps = zip(ends, self.chunk, strict=True)
        for corner in itertools.product(
            *(range(low // size * size, high, size) for (low, high), size in steps)
        ):
            there, here = [], []
            for at, size, (low, high) in zip(corner, self.chunk, ends, strict=True):
                first, last = max(at, low), min(at + size, high)
                there.append(slice(first - at, last - at))
                here.append(slice(first - low, last - low))
            elements[tuple(here)] = self._inflated(corner)[tuple(there)]
        return elements

    def _inflated(self, corner: tuple[int, ...]) -> Array:
        """A whole chunk; what lies beyond the dataset's end in it is anything."""
        try:
            mask, data = self.dataset.id.read_direct_chunk(corner)
        except (OSError, RuntimeError):  # never written: then HDF5 fills it; or damaged, which it says
            within = (slice(at, at + size) for at, size in zip(corner, self.chunk, strict=True))
            return np.asarray(self.dataset[tuple(within)])
        octets, width = np.frombuffer(data, "u1"), self.dtype.itemsize
        try:
            if not mask >> self.shuffles & 1:
                octets = inflated(octets, math.prod(self.chunk) * width)
            if self.shuffles and not mask & 1:
                octets = unshuffled(octets, width)
            elements: Array = octets.view(self.dtype).reshape(self.chunk)
            return elements
        except ValueError as error:
            msg = f"{self.dataset.name}: a compressed chunk is damaged, or was not made by simkit: {error}"
            raise Damaged(msg) from None
