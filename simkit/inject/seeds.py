"""Each run's random stream, for whole batches at a time.

NumPy's SeedSequence (M. E. O'Neill's seed_seq_fe, numpy/random/bit_generator.pyx) vectorised over many
entropies: the same words bit for bit, a hundred times cheaper than one object per run.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from simkit.declare.forms import Array, Index

_MASK = 0xFFFFFFFF
_INIT_A, _MULT_A, _INIT_B, _MULT_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_MIX_L, _MIX_R = 0xCA01F9DD, 0x4973F715
_POOL = 4
RANDOM_STATE = "random_state"


def experiment_key(name: str) -> int:
    """What tells the streams of two experiments with one root seed apart."""
    return zlib.crc32(name.encode())


def run_seeds(root: int, name: str, runs: Index) -> Array:
    """The seeds of some runs of an experiment.

    Equal to ``SeedSequence(root, spawn_key=(key, i)).generate_state(1, "u8")[0] >> 1`` with the
    experiment's key.

    Returns
    -------
    ndarray of uint64
        Shape ``(len(runs),)``, each below 2**63.
    """
    entropy = [*_padded(root), np.uint32(experiment_key(name)), np.asarray(runs).astype(np.uint32)]
    words: Array = _state(_mixed(entropy), 2).view("<u8")[:, 0]
    return words >> np.uint64(1)


def child_words(seeds: Array, name: str) -> Array:
    """What a generator of its own name begins with in each run, four 64-bit words.

    Equal to ``SeedSequence(seed, spawn_key=(key,)).generate_state(4, "u8")`` with the key of the name, so that no
    two generators of a run, and none of two runs, draw the same numbers.

    Parameters
    ----------
    seeds
        The runs' seeds, each below 2**64.

    Returns
    -------
    ndarray of uint64
        Shape ``(len(seeds), 4)``.
    """
    zero = np.uint32(0)
    words: Array = _state(_mixed([*_halves(seeds), zero, zero, np.uint32(experiment_key(name))]), 8).view(
        "<u8"
    )
    return words


def small_seeds(seeds: Array) -> Array:
    """What ``random_state`` is in runs of these seeds: an int below 2**32."""
    return child_words(seeds, RANDOM_STATE)[:, 0] & np.uint64(_MASK)


def small_seed(seed: Any) -> int:
    """The same for one seed, of whatever kind `numpy.random.default_rng` takes."""
    sequence = np.random.SeedSequence(seed, spawn_key=(experiment_key(RANDOM_STATE),))
    return int(sequence.generate_state(1)[0])


def shared_seed(root: int, name: str, provider: str) -> int:
    """The seed of the experiment's own stream, as one of its providers gets it."""
    sequence = np.random.SeedSequence(root, spawn_key=(experiment_key(name), experiment_key(provider)))
    # A third word keeps these apart from every run's spawn key.
    return int(sequence.spawn(1)[0].generate_state(1, np.uint64)[0] >> np.uint64(1))


def generators(seeds: Array) -> Iterator[np.random.Generator]:
    """``numpy.random.default_rng(seed)`` for each seed."""
    generator, bits = np.random.Generator, np.random.PCG64
    words = zip(seeds.tolist(), _states(seeds), strict=True)
    ready: Iterator[Any] = (_Ready(seed, state) for seed, state in words)
    return (generator(bits(sequence)) for sequence in ready)


def _states(seeds: Array) -> Array:
    """What ``PCG64(seed)`` is filled with: ``SeedSequence(seed).generate_state(4, "u8")``."""
    words: Array = _state(_mixed(_halves(seeds)), 8).view("<u8")
    return words


def _halves(seeds: Array) -> list[Array]:
    """The lower and upper words of seeds."""
    # A seed below 2**32 is one word to NumPy, not two; a second word of zero hashes the same.
    seeds = seeds.astype(np.uint64)
    return [(seeds & np.uint64(_MASK)).astype(np.uint32), (seeds >> np.uint64(32)).astype(np.uint32)]


def _padded(root: int) -> list[Any]:
    """An integer as 32-bit words, filled up to the pool's size as NumPy does before a spawn key."""
    words = [np.uint32(root & _MASK)]
    root >>= 32
    while root:
        words.append(np.uint32(root & _MASK))
        root >>= 32
    return words + [np.uint32(0)] * (_POOL - len(words))


def _mixed(entropy: Sequence[Any]) -> list[Array]:
    """The pool: four words per run, each an array that broadcasts."""
    constant = _INIT_A
    words = [np.asarray(word, np.uint32) for word in entropy]

    def hashed(value: Array) -> Array:
        nonlocal constant
        value = value ^ np.uint32(constant)
        constant = constant * _MULT_A & _MASK
        value = value * np.uint32(constant)
        return np.asarray(value ^ (value >> np.uint32(16)), np.uint32)

    def mix(x: Array, y: Array) -> Array:
        mixed: Any = x * np.uint32(_MIX_L) - y * np.uint32(_MIX_R)
        return np.asarray(mixed ^ (mixed >> np.uint32(16)), np.uint32)

    zero = np.asarray(0, np.uint32)
    with np.errstate(over="ignore"):
        pool = [hashed(words[i] if i < len(words) else zero) for i in range(_POOL)]
        for source in range(_POOL):
            for target in range(_POOL):
                if source != target:
                    pool[target] = mix(pool[target], hashed(pool[source]))
        for word in words[_POOL:]:
            for target in range(_POOL):
                pool[target] = mix(pool[target], hashed(word))
    return pool


def _state(pool: Sequence[Array], count: int) -> Array:
    constant, out = _INIT_B, []
    with np.errstate(over="ignore"):
        for i in range(count):
            value = pool[i % _POOL] ^ np.uint32(constant)
            constant = constant * _MULT_B & _MASK
            value = value * np.uint32(constant)
            out.append(value ^ (value >> np.uint32(16)))
    return np.ascontiguousarray(np.stack(np.broadcast_arrays(*out), -1), "<u4")


class _Ready(np.random.bit_generator.ISpawnableSeedSequence):
    """A seed sequence whose words are known; a real one is made only when asked for more."""

    def __init__(self, seed: int, words: Array) -> None:
        self.seed, self.words = seed, words
        self.sequence: np.random.SeedSequence | None = None

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        if n_words == 4 and np.dtype(dtype) == np.uint64:
            return self.words
        return np.random.SeedSequence(self.seed).generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> Any:
        """Children as of a fresh SeedSequence, counting on from the last call."""
        if self.sequence is None:
            self.sequence = np.random.SeedSequence(self.seed)
        return self.sequence.spawn(n_children)

    def __reduce__(self) -> Any:
        spawned = 0 if self.sequence is None else self.sequence.n_children_spawned
        return partial(np.random.SeedSequence, n_children_spawned=spawned), (self.seed,)
