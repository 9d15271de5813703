"""Each run's random stream, for whole batches at a time.

NumPy's SeedSequence (M. E. O'Neill's seed_seq_fe, numpy/random/bit_generator.pyx) vectorised over many
entropies: the same words bit for bit, a hundred times cheaper than one object per run.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from simkit.declare.forms import Array, Index

_MASK = 0xFFFFFFFF
_INIT_A, _MULT_A, _INIT_B, _MULT_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_MIX_L, _MIX_R = 0xCA01F9DD, 0x4973F715
_POOL = 4
_FEW = 12  # runs for which NumPy is asked one by one: 15 µs each; all together cost as much as some dozens
_BLOCK = 512  # runs whose seeds are made together where runs come a few at a time
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
    key = experiment_key(name)
    if len(runs) <= _FEW:
        return _asked([np.random.SeedSequence(root, spawn_key=(key, int(i))) for i in runs], 1)[
            :, 0
        ] >> np.uint64(1)
    entropy = [*_padded(root), np.uint32(key), np.asarray(runs).astype(np.uint32)]
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
    zero, key = np.uint32(0), experiment_key(name)
    if len(seeds) <= _FEW:
        return _asked([np.random.SeedSequence(int(seed), spawn_key=(key,)) for seed in seeds], 4)
    words: Array = _state(_mixed([*_halves(seeds), zero, zero, np.uint32(key)]), 8).view("<u8")
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


class Seeds:
    """The seeds of an experiment's runs, and the words that their generators begin with.

    Those of one run cost as much as those of dozens. Once runs come a few at a time they are made for a block of runs.

    Parameters
    ----------
    root, name
        The root seed, and the experiment's name.
    own
        By run number, where the seeds do not derive from these: merged runs bring their own.
    """

    def __init__(self, root: int, name: str, own: Array | None = None) -> None:
        self.root, self.name, self.own = root, name, own
        self.patience = 2 * _FEW  # how often a few are asked for until another block pays
        self.first = self.stop = 0
        self.runs: Index = np.empty(0, np.int64)  # asked for last
        self.rows: Index | None = None  # their places in the block
        self.block: Array = np.empty(0, np.uint64)
        self.words_of_block: dict[str, Array] = {}

    def of(self, runs: Index) -> Array:
        """Each run's seed."""
        self.runs, self.rows = runs, self._rows(runs)
        return self._made(runs) if self.rows is None else self.block[self.rows]

    def words(self, name: str) -> Array:
        """What a generator of its own name begins with in each of the runs asked for last, as `child_words` says."""
        if self.rows is None:
            return child_words(self._made(self.runs), name)
        if name not in self.words_of_block:
            self.words_of_block[name] = child_words(self.block, name)
        return self.words_of_block[name][self.rows]

    def _rows(self, runs: Index) -> Index | None:
        """Where in the block these runs are, if they are few; for others it is made anew now and then."""
        if not 0 < len(runs) <= _FEW:
            return None
        self.patience -= 1
        few = runs.tolist()
        first, last = (few[0], few[0]) if len(few) == 1 else (min(few), max(few))
        if self.first <= first and last < self.stop:
            return runs - self.first
        start = first - first % _BLOCK
        if self.patience > 0 or last >= start + _BLOCK:
            return None
        self.patience, self.first, self.words_of_block = 2 * _FEW, start, {}
        self.stop = start + _BLOCK if self.own is None else min(start + _BLOCK, len(self.own))
        self.block = self._made(np.arange(start, self.stop))
        rows: Index = runs - start
        return rows

    def _made(self, runs: Index) -> Array:
        return run_seeds(self.root, self.name, runs) if self.own is None else self.own[runs]


class Generators:
    """``numpy.random.default_rng(seed)`` for each seed, as often as it is gone over."""

    def __init__(self, seeds: Array) -> None:
        self.seeds = seeds

    def __iter__(self) -> Iterator[np.random.Generator]:
        words = _states(self.seeds)
        for row in range(len(words)):
            yield np.random.Generator(np.random.PCG64(_ready(self.seeds, words, row)))

    def rows(
        self, before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[Any, ...]]:
        """The arguments of one call after the other, the generator among them.

        Making one takes ten times as long as a draw. So the last one is filled anew where the run has kept neither it
        nor a part of it, and where NumPy's generator lies in memory as it is known to.

        Parameters
        ----------
        before, after
            The arguments before and after it, for each call.
        """
        words = _states(self.seeds)
        fills = _memory(_filled(words))
        generator: Any = None
        bits: Any = None
        ready: Any = None
        place: Any = None
        is_known, count = _is_known(), sys.getrefcount
        most, most_bits, most_ready = _ALONE
        for row, first, last in zip(range(len(words)), before, after, strict=False):
            is_alone = place and count(generator) <= most and count(bits) <= most_bits
            if is_alone and count(ready) <= most_ready:
                ready.row, ready.sequence = row, None
                place.state[:] = fills[32 * row : 32 * row + 32]
                place.half[0] = 0
            else:
                ready = _ready(self.seeds, words, row)
                generator = np.random.Generator(bits := np.random.PCG64(ready))
                place = _Place.of(bits) if is_known else None
            yield (*first, generator, *last)


def _ready(seeds: Array, words: Array, row: int) -> Any:
    return _Ready(seeds, words, row)  # as NumPy's own stubs know of no seed sequence but theirs


def _memory(array: Any) -> memoryview:
    return memoryview(array).cast("B")


class _Place:
    """Where a PCG64 keeps its state: two numbers of 128 bits, and whether half of a draw is left."""

    def __init__(self, address: int, numbers: int) -> None:
        import ctypes

        self.state = memoryview((ctypes.c_uint8 * 32).from_address(numbers)).cast("B")
        self.half = memoryview((ctypes.c_uint64 * 1).from_address(address + 8)).cast("B").cast("Q")

    @classmethod
    def of(cls, bits: Any) -> _Place | None:
        """The place, if the object is laid out as it was when this was written: it points to a part of itself."""
        import ctypes

        address = int(bits.ctypes.state_address)
        first, last = id(bits), id(bits) + sys.getsizeof(bits)
        if not first <= address <= last - 16:
            return None
        numbers = ctypes.c_uint64.from_address(address).value
        return cls(address, numbers) if first <= numbers <= last - 32 else None


@lru_cache(maxsize=1)
def _is_known() -> bool:
    """Whether a generator that is filled anew is what NumPy makes of the same seed, here and with this NumPy."""
    seeds = np.array([0, 1, 2**32 - 1, 2**63 - 1], np.uint64)
    bits = np.random.PCG64(5)
    place = _Place.of(bits) if sys.implementation.name == "cpython" else None
    if place is None:
        return False
    fills = _memory(_filled(_states(seeds)))
    for row, seed in enumerate(seeds.tolist()):
        np.random.Generator(bits).random(dtype=np.float32)  # which leaves half of a draw
        place.state[:] = fills[32 * row : 32 * row + 32]
        place.half[0] = 0
        if bits.state != np.random.PCG64(seed).state:
            return False
    return True


_LOW, _HIGH = np.uint64(4865540595714422341), np.uint64(2549297995355413924)  # of PCG64's multiplier


def _filled(words: Array) -> Array:
    """What the state of a PCG64 and its increment are after seeding: lower and upper half of each, shape ``(n, 4)``."""
    one, half = np.uint64(1), np.uint64(32)
    with np.errstate(over="ignore"):
        increment = [(words[:, 3] << one) | one, (words[:, 2] << one) | (words[:, 3] >> np.uint64(63))]
        low = increment[0] + words[:, 1]
        high = increment[1] + words[:, 0] + (low < increment[0])
        # The upper half of the product of two lower halves, from four products of 32 bits.
        a, b = low >> half, low & np.uint64(_MASK)
        c, d = _LOW >> half, _LOW & np.uint64(_MASK)
        middle = a * d + (b * d >> half)
        middle_low = b * c + (middle & np.uint64(_MASK))
        high = high * _LOW + low * _HIGH + a * c + (middle >> half) + (middle_low >> half)
        low = low * _LOW + increment[0]
        high = high + increment[1] + (low < increment[0])
    return np.ascontiguousarray(np.stack([low, high, *increment], -1), "<u8")


def _asked(sequences: Sequence[np.random.SeedSequence], count: int) -> Array:
    """Words of 64 bits of each sequence."""
    rows = [sequence.generate_state(count, np.uint64) for sequence in sequences]
    return np.array(rows, "<u8").reshape(-1, count)


def _states(seeds: Array) -> Array:
    """What ``PCG64(seed)`` is filled with: ``SeedSequence(seed).generate_state(4, "u8")``."""
    if len(seeds) <= _FEW:
        return _asked([np.random.SeedSequence(int(seed)) for seed in seeds], 4)
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

    def __init__(self, seeds: Array, words: Array, row: int) -> None:
        self.seeds, self.words, self.row = seeds, words, row
        self.sequence: np.random.SeedSequence | None = None

    @property
    def seed(self) -> int:
        """The one that it is of."""
        return int(self.seeds[self.row])

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        if n_words == 4 and np.dtype(dtype) == np.uint64:
            return self.words[self.row]
        return np.random.SeedSequence(self.seed).generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> Any:
        """Children as of a fresh SeedSequence, counting on from the last call."""
        if self.sequence is None:
            self.sequence = np.random.SeedSequence(self.seed)
        return self.sequence.spawn(n_children)

    def __reduce__(self) -> Any:
        spawned = 0 if self.sequence is None else self.sequence.n_children_spawned
        return partial(np.random.SeedSequence, n_children_spawned=spawned), (self.seed,)


def _calibrated() -> tuple[int, int, int]:
    """How many references there are to a generator that nobody has kept, to its bits and to their seed sequence.

    Asked of the interpreter, in the very way in which runs are given theirs.
    """
    counts: list[tuple[int, int, int]] = []

    def given() -> Iterator[tuple[Any, ...]]:
        ready = _ready(np.zeros(1, np.uint64), np.zeros((1, 4), np.uint64), 0)
        generator = np.random.Generator(bits := np.random.PCG64(ready))
        count = sys.getrefcount
        for _ in range(5):
            counts.append((count(generator), count(bits), count(ready)))
            yield (*(), generator, *())

    def run(generator: np.random.Generator) -> None:
        pass

    for _, row in zip(range(5), given(), strict=False):
        run(*row)
    return min(counts[1:])


_ALONE = _calibrated()
