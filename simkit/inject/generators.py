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
    """

    name: str
    seed: Callable[[Array], object]
    state: Callable[[], Any]
    restore: Callable[[Any], object]
    is_global: bool = True
    generator: Any = None

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
    loaded = [name for name in LIBRARIES if is_a(sys.modules.get(name), ModuleType)]
    return [*(_of_library(name) for name in loaded), stream_of(RANDOM, random.random.__self__), _numpy()]  # type: ignore[attr-defined]


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
        return Stream(
            name, lambda words: generator.seed(_number(words)), generator.getstate, generator.setstate,
            generator=generator,
        )  # fmt: skip
    if isinstance(generator, np.random.RandomState):
        return _legacy(name, generator)
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


def _numpy() -> Stream:
    return _legacy(NUMPY, np.random.normal.__self__)  # type: ignore[attr-defined]


def _legacy(name: str, generator: Any) -> Stream:
    """A RandomState, with the number that its Gaussian method keeps."""

    def seed(words: Array) -> None:
        bits = generator._bit_generator
        if type(bits) is np.random.MT19937:
            generator.seed(words.view("<u4"))
        else:
            _begin(bits, words)
            generator.set_state({**generator.get_state(legacy=False), "has_gauss": 0, "gauss": 0.0})

    return Stream(
        name, seed, lambda: _Frozen(generator.get_state(legacy=False)),
        lambda state: generator.set_state(state.state), generator=generator,
    )  # fmt: skip


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
