"""Batches as bytes between processes: one message, and large buffers beside it without a copy."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from simkit.declare.axes import Index


def send(connection: Any, message: Any) -> None:
    """Send an object; its arrays follow as they lie in memory."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(message, 5, buffer_callback=buffers.append)
    connection.send_bytes(len(buffers).to_bytes(4, "little") + data)
    for buffer in buffers:
        connection.send_bytes(buffer.raw())


def receive(connection: Any) -> Any:
    """Receive what `send` sent.

    Raises
    ------
    EOFError, OSError
        When the other process is gone.
    """
    data = connection.recv_bytes()
    count = int.from_bytes(data[:4], "little")
    buffers = [connection.recv_bytes() for _ in range(count)]
    return pickle.loads(memoryview(data)[4:], buffers=buffers)


def pack_runs(runs: Index) -> bytes:
    """Run numbers, short where they are consecutive."""
    first, last = int(runs[0]), int(runs[-1])
    if last - first + 1 == len(runs):
        return np.array([1, first, last + 1], np.int64).tobytes()
    return np.concatenate([[0], runs]).astype(np.int64).tobytes()


def unpack_runs(data: bytes) -> Index:
    """What `pack_runs` packed."""
    numbers = np.frombuffer(data, np.int64)
    return np.arange(numbers[1], numbers[2]) if numbers[0] else numbers[1:]
