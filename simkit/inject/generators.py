"""Which generators may runs draw from besides ``rng``, and how does each run get its own numbers from them?

The global ones of libraries, and generator objects that the project's modules hold: all are seeded before a run,
each with words of its own (`seeds.child_words`), and put back after it.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

import attrs
import numpy as np

from simkit.collect.brian import device_hook
from simkit.collect.draws import LIBRARIES, NUMBA, NUMPY, RANDOM
from simkit.declare.forms import Array
from simkit.declare.reflection import is_a
from simkit.inject.seeds import child_words


@attrs.frozen(eq=False)
class Stream:
    """A generator that outlives runs.

    Attributes
    ----------
    name
        What its words are made from: that of a library, or of the variable that holds it.
    seed
        Begins it anew with four 64-bit words.
    state
        Where it is: comparable, and what `restore` takes.
    generator
        The object, where there is one.
    differs
        Whether it is elsewhere than in a state, where that is found sooner than the state that it is in.
    """

    name: str
    seed: Callable[[Array], object]
    state: Callable[[], Any]
    restore: Callable[[Any], object]
    generator: Any = None
    differs: Callable[[Any], bool] | None = None

    def has_left(self, state: Any) -> bool:
        """Whether it is elsewhere than in a state."""
        return bool(self.state() != state) if self.differs is None else self.differs(state)

    def kept(self) -> Any:
        """What a checkpoint keeps of it: a generator has a codec."""
        return self.state() if self.generator is None else self.generator

    def resume(self, kept: Any) -> None:
        """Go on from where it was at a checkpoint."""
        self.restore(kept if self.generator is None else stream_of(self.name, kept).state())


def global_streams() -> list[Stream]:
    """The global generators of Python, NumPy, and of those libraries that are loaded."""
    # Brian2's runtime device seeds NumPy's generator, which is seeded after it.
    # None where it is blocked; any other object where somebody does without the library.
    loaded = [name for name in LIBRARIES if name in sys.modules and is_a(sys.modules.get(name), ModuleType)]
    pythons, numpys = random.random.__self__, np.random.normal.__self__  # type: ignore[attr-defined]
    return [*map(_of_library, loaded), _lasting_stream(RANDOM, pythons), _lasting_stream(NUMPY, numpys)]


@lru_cache(maxsize=4)
def _lasting_stream(name: str, generator: Any) -> Stream:
    """That of a global generator."""
    return stream_of(name, generator)


def load_libraries(names: frozenset[str]) -> None:
    """Import those of the libraries that the runs would import themselves: else the first run is not seeded."""
    for name in sorted(name for name in names if name in LIBRARIES and name not in sys.modules):
        try:
            importlib.import_module(name)
        except ImportError:  # the run will say so, if it gets there
            continue


def stream_of(name: str, generator: Any) -> Stream:
    """The stream of a generator object."""
    if isinstance(generator, random.Random):
        return _pythons(name, generator)
    if isinstance(generator, np.random.RandomState):
        legacy = _Legacy(generator)
        return Stream(name, legacy.seed, legacy.state, legacy.restore, generator, legacy.differs)
    if isinstance(generator, np.random.SeedSequence):
        return _sequence(name, generator)
    if isinstance(generator, (np.random.Generator, np.random.BitGenerator)):
        return attrs.evolve(
            _modern(name, getattr(generator, "bit_generator", generator)), generator=generator
        )
    return Stream(
        name, lambda words: generator.manual_seed(_number(words) >> 193),
        lambda: bytes(generator.get_state().tolist()), lambda state: _set_torch(generator.set_state, state),
    )  # fmt: skip


def _number(words: Array) -> int:
    return int.from_bytes(words.astype("<u8").tobytes(), "little")


_WORDS = 624
_SIZE = 4 * (_WORDS + 1)  # bytes of a Mersenne twister: its words, and its place among them


def _twister(address: int) -> memoryview:
    """The numbers of a Mersenne twister where they are: what reads them otherwise makes an object of each of them."""
    import ctypes

    return memoryview((ctypes.c_uint8 * _SIZE).from_address(address)).cast("B")


def _address(generator: random.Random) -> int:
    return id(generator) + object.__basicsize__


@lru_cache(maxsize=1)
def _is_pythons_known() -> bool:
    """Whether Python's generator lies in memory as it did when this was written."""
    generator = random.Random(5)
    if sys.implementation.name != "cpython" or type(generator).__basicsize__ < object.__basicsize__ + _SIZE:
        return False
    generator.random()
    *words, place = generator.getstate()[1]
    return _twister(_address(generator)).tobytes() == np.array([place, *words], np.uint32).tobytes()


def _pythons(name: str, generator: random.Random) -> Stream:
    """One of Python's, with the number that its Gaussian method keeps."""

    def seed(words: Array) -> None:
        generator.seed(_number(words))

    if type(generator) is not random.Random or not _is_pythons_known():
        return Stream(name, seed, generator.getstate, generator.setstate, generator)
    numbers, whole = _twister(_address(generator)), vars(generator)

    def restore(state: tuple[bytes, float | None]) -> None:
        numbers[:], whole["gauss_next"] = state

    return Stream(name, seed, lambda: (numbers.tobytes(), generator.gauss_next), restore, generator)  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def _is_numpys_known() -> bool:
    """Whether NumPy's legacy generator lies in memory as it did when this was written."""
    bits = np.random.MT19937(5)
    bits.random_raw()
    state: Any = bits.state["state"]
    expected: bytes = state["key"].astype(np.uint32).tobytes() + np.int32(state["pos"]).tobytes()
    return _twister(bits.ctypes.state_address).tobytes() == expected


class _Legacy:
    """A RandomState, with the number that its Gaussian method keeps.

    Attributes
    ----------
    bits
        Its source of bits, where the numbers of that are known to lie in memory.
    without
        These numbers, when it was seen to keep none: it keeps none as long as they are the same.
    """

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self.bits: Any = None
        self.view = memoryview(b"")
        self.without = b""

    def numbers(self) -> bytes:
        """Those of its source, or nothing where it isn't known how they lie in memory."""
        bits = self.generator._bit_generator
        if bits is not self.bits:
            is_known = type(bits) is np.random.MT19937 and _is_numpys_known()
            self.bits, self.without = bits, b""
            self.view = _twister(bits.ctypes.state_address) if is_known else memoryview(b"")
        return self.view.tobytes()

    def seed(self, words: Array) -> None:
        """Begin anew with these words."""
        bits = self.generator._bit_generator
        if type(bits) is np.random.MT19937:
            self.generator.seed(words.view("<u4"))
            self.without = self.numbers()
        else:
            _begin(bits, words)
            state = self.generator.get_state(legacy=False)
            self.generator.set_state({**state, "has_gauss": 0, "gauss": 0.0})

    def state(self) -> Any:
        """Where it is."""
        numbers = self.numbers()
        if numbers and numbers == self.without:
            return numbers, None
        state = _Frozen(self.generator.get_state(legacy=False))
        if not numbers or state.state["has_gauss"]:
            return numbers, state
        self.without = numbers
        return numbers, None

    def differs(self, state: Any) -> bool:
        """Whether it is elsewhere."""
        return self.numbers() != state[0] or bool(self.state() != state)

    def restore(self, state: Any) -> None:
        """Go back to a state."""
        numbers, whole = state
        if whole is not None:
            self.generator.set_state(whole.state)
            self.without = b""
        elif now := self.numbers():
            if now != self.without:
                self.generator.seed(0)  # forgets the number that the Gaussian method keeps
            self.view[:] = self.without = numbers
        else:  # another source was put in its place
            place = {
                "key": np.frombuffer(numbers[:-4], "u4"),
                "pos": int(np.frombuffer(numbers[-4:], "i4")[0]),
            }
            self.generator.set_state(
                {"bit_generator": "MT19937", "state": place, "has_gauss": 0, "gauss": 0.0}
            )


def _modern(name: str, bits: Any) -> Stream:
    """A bit generator, and the seed sequence that it spawns from."""

    def state() -> tuple[Any, ...]:
        sequence = bits.seed_seq
        return _Frozen(bits.state), sequence, getattr(sequence, "n_children_spawned", 0)

    def restore(state: Any) -> None:
        frozen, sequence, spawned = state
        if sequence is bits.seed_seq and getattr(sequence, "n_children_spawned", 0) == spawned:
            bits.state = frozen.state
        else:
            bits.__setstate__((frozen.state, _counted(sequence, spawned)))

    return Stream(name, lambda words: _begin(bits, words), state, restore)


def _begin(bits: Any, words: Array) -> None:
    sequence = np.random.SeedSequence(words.view("<u4").tolist())
    bits.__setstate__((type(bits)(sequence).state, sequence))


def _sequence(name: str, sequence: np.random.SeedSequence) -> Stream:
    """A seed sequence: what moves is how many children it has."""

    def seed(words: Array) -> None:
        _become(sequence, np.random.SeedSequence(words.view("<u4").tolist()))

    def state() -> tuple[Any, ...]:
        return sequence.entropy, sequence.spawn_key, sequence.pool_size, sequence.n_children_spawned

    def restore(state: Any) -> None:
        entropy, key, size, spawned = state
        same = np.random.SeedSequence(entropy, spawn_key=key, pool_size=size, n_children_spawned=spawned)
        _become(sequence, same)

    return Stream(name, seed, state, restore, generator=sequence)


def _become(sequence: Any, other: Any) -> None:
    sequence.__setstate__(other.__reduce__()[2])


def _counted(sequence: Any, spawned: int) -> Any:
    """A seed sequence as it was when it had spawned so many children."""
    if not isinstance(sequence, np.random.SeedSequence):
        return sequence
    return np.random.SeedSequence(
        sequence.entropy,
        spawn_key=sequence.spawn_key,
        pool_size=sequence.pool_size,
        n_children_spawned=spawned,
    )


class _Frozen:
    """The state of a bit generator as NumPy gives it, comparable."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and _plain(self.state) == _plain(other.state)

    def __hash__(self) -> int:
        return hash(repr(_plain(self.state)))


def _plain(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {key: _plain(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _of_library(name: str) -> Stream:
    module = sys.modules[name]
    match name:
        case "brian2":
            hook = device_hook()
            return Stream(
                name, lambda words: hook.begin(int(words[0]) & 0xFFFFFFFF), hook.state, hook.restore
            )
        case "numba":
            return _numba()
        case "torch":
            return Stream(
                name, lambda words: module.manual_seed(_number(words) >> 193),
                lambda: bytes(module.get_rng_state().tolist()),
                lambda state: _set_torch(module.set_rng_state, state),
            )  # fmt: skip
        case "tensorflow":
            return Stream(name, lambda words: module.random.set_seed(int(words[0]) >> 1), _nothing, _ignore)
    return Stream(name, lambda words: module.random.seed(int(words[0]) & 0xFFFFFFFF), _nothing, _ignore)


def _nothing() -> None:
    """A state that can't be asked for."""


def _ignore(_: Any) -> None:
    """Nor put back."""


def _set_torch(put: Callable[[Any], object], state: bytes) -> None:
    torch: Any = sys.modules["torch"]
    put(torch.tensor(list(state), dtype=torch.uint8))


def _numba() -> Stream:
    """What ``np.random`` and ``random`` are within compiled functions, in this thread."""
    helper: Any = importlib.import_module("numba._helperlib")
    pointers = helper.rnd_get_np_state_ptr(), helper.rnd_get_py_state_ptr()

    def seed(words: Array) -> None:
        for pointer, part in zip(pointers, (words, words[::-1]), strict=True):
            state: Any = np.random.RandomState(part.copy().view("<u4")).get_state()
            helper.rnd_seed(pointer, 0)  # forgets the number that the Gaussian method keeps
            helper.rnd_set_state(pointer, (int(state[2]), state[1].tolist()))

    def restore(states: Any) -> None:
        for pointer, state in zip(pointers, states, strict=True):
            helper.rnd_set_state(pointer, state)

    return Stream(NUMBA, seed, lambda: [helper.rnd_get_state(pointer) for pointer in pointers], restore)


@contextmanager
def seeded(streams: Sequence[Stream], seed: int) -> Iterator[None]:
    """Let generators have the stream of a seed, each its own part; as they were before, afterwards."""
    before = [stream.state() for stream in streams]
    for stream in streams:
        stream.seed(child_words(np.array([seed], np.uint64), stream.name)[0])
    try:
        yield
    finally:
        for stream, state in zip(streams, before, strict=True):
            stream.restore(state)
