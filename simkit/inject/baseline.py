"""What does every run of a process begin from? The same as in a fresh process, whoever ran before.

Before a run all generators get its own numbers, after it what it changed around it is put back. That takes as long
as hundreds of the shortest runs, so it is done run by run only where it matters, or does not count: otherwise a
whole batch is looked at, and done again with care if something in it has moved.
"""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable, Mapping
from operator import is_
from pathlib import Path
from typing import Any

import numpy as np

from simkit.collect import surroundings
from simkit.collect.brian import brian2, device_hook
from simkit.collect.draws import BRIAN2, NUMPY, generators_in
from simkit.collect.effects import effects
from simkit.collect.plan import Plan
from simkit.declare.forms import Array
from simkit.declare.plugins import OWN
from simkit.inject.generators import Stream, global_streams, load_libraries, stream_of

_SHARE = 30  # runs that take so many times as long as the care for one are always cared for
_FIRST = 64  # runs of a process that are always cared for
_PAUSE = 100  # looks among short runs are so many times as rare as they are long


class Company(enum.Enum):
    """Who else executes something in this process."""

    ANYBODY = enum.auto()  # between batches
    RUNS = enum.auto()  # none but the runs of this plan: then everything stays as it was after a batch
    NOBODY = enum.auto()  # it ends after one run, with all that this has changed


class Trace(enum.Enum):
    """What of the runs since the last `Baseline.note` may still be there."""

    UNKNOWN = enum.auto()  # nobody has looked since the last one
    GENERATORS = enum.auto()  # these may be elsewhere; what surrounds runs is as before
    NOTHING = enum.auto()


class Present:
    """What surrounds runs at present; looked for anew only once a library has come or gone."""

    def __init__(self) -> None:
        self.modules: list[Any] = []
        self.those: list[surroundings.Surrounding] = []

    def now(self) -> list[surroundings.Surrounding]:
        """As `surroundings.surroundings` finds them."""
        modules = [*map(sys.modules.get, surroundings.LIBRARIES)]
        if len(modules) != len(self.modules) or not all(map(is_, modules, self.modules)):
            self.those = surroundings.surroundings()
            is_whole = sum(bool(one.library) for one in self.those) + modules.count(None) == len(modules)
            self.modules = modules if is_whole else []  # else an import goes on, or it is no module
        return self.those


class Baseline:
    """What the runs of one plan begin from in this process.

    Attributes
    ----------
    seeds_each
        Whether each run has its generators seeded.
    is_random
        Whether a run was seen to draw from them.
    cleans_each
        Whether what each run changed is put back after it.
    is_slow
        Whether the runs of the last batch took so long that both cost nothing beside them, and are done.
    has_checkpoints
        Whether runs may ask where their generators are.
    company
        Who else executes something in this process.
    trace
        What of the runs may still be there.
    is_same
        Whether nothing had to be put back since it was noted: what is put back may be like it, not the same.
    left
        What a batch of runs without care was found to have left.
    """

    def __init__(self, plan: Plan) -> None:
        self.seeds_each = bool(plan.streams or plan.generators or plan.isolate)
        self.cleans_each = plan.isolate or plan.suspicion.of_surroundings
        self.cared = 0  # runs that were cared for
        self.left: list[str] = []
        self.pause = self.due = 0.0  # seconds between looks, and when the next one is due
        self.is_slow = False
        self.plan = plan
        self.own = [stream_of(name, generator) for name, generator in plan.generators.items()]
        self.streams: list[Stream] = []
        self.present = Present()
        self.before: tuple[list[Any], dict[str, Any]] = ([], {})
        self.words: list[Array] = []
        self.position = -1  # of the last run that was seeded
        self.has_checkpoints = False
        self.company, self.trace, self.is_same = Company.ANYBODY, Trace.UNKNOWN, False
        self.seeded: list[Any] = []  # the states that it began from
        self.cost = self.spent = 0.0  # seconds of the care for a run, and of what comes before it
        self.is_random = bool(plan.streams or plan.generators)

    def share(self, values: Mapping[str, Any]) -> None:
        """The generators in what experiment fixtures made belong to each run, too."""
        load_libraries(self.plan.streams)
        known = {id(generator) for generator in self.plan.generators.values()}
        for key, node in self.plan.nodes.items():
            if node.kind == "fixture" and not node.varying and key in values:
                for name, generator in generators_in(values[key], f"fixture {key}"):
                    if id(generator) not in known:
                        known.add(id(generator))
                        self.own.append(stream_of(name, generator))
                        self.seeds_each = True

    def note(self) -> None:
        """Note how everything is before a batch."""
        begun = time.perf_counter()
        streams, self.streams = self.streams, [*global_streams(), *self.own]
        those = self.present.now()
        is_known = len(those) == len(self.before[1]) and len(streams) == len(self.streams)
        is_same = self.company is Company.RUNS and self.trace is Trace.NOTHING and self.is_same and is_known
        if is_same or self.company is Company.NOBODY:
            return
        around = surroundings.look(those)
        self.pause = _PAUSE * (time.perf_counter() - begun)
        self.before = [stream.state() for stream in self.streams], around
        self.cost, self.is_same = 2 * (time.perf_counter() - begun), True

    def around(self) -> tuple[list[surroundings.Surrounding], dict[str, Any]]:
        """What surrounds the runs now, and how it was before them; of a library that one imported, when it was new."""
        return self.present.now(), {**effects().fresh, **self.before[1]}

    def put_back(self) -> bool:
        """Put back what surrounds the runs; whether anything had changed."""
        those, before = self.around()
        return not surroundings.untouched(those, before) and bool(surroundings.put_back(those, before))

    def give(self, words: Callable[[str], Array] | None) -> None:
        """Take what tells the words of a generator in each of a batch's runs; none of them has been seeded."""
        self.position, self.seeded, self.trace = -1, [], Trace.UNKNOWN
        self.words = [] if words is None else [words(stream.name) for stream in self.streams]

    def begin(self, position: int) -> None:
        """Seed the generators for a run of the batch."""
        begun = time.perf_counter()
        for stream, words in zip(self.streams, self.words, strict=False):
            stream.seed(words[position])
        self.position, self.trace = position, Trace.UNKNOWN
        is_asked = self.words and (self.has_checkpoints or position + 1 == len(self.words[0]))
        self.seeded = [stream.state() for stream in self.streams] if is_asked else []
        self.spent = time.perf_counter() - begun

    def moved(self) -> dict[str, Any]:
        """By name the generators that the run drew from so far, for its checkpoint."""
        states = zip(self.streams, self.seeded, strict=False)
        return {stream.name: stream.kept() for stream, state in states if stream.has_left(state)}

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Let the run draw what it would have drawn after its checkpoint."""
        for stream in self.streams:
            if stream.name in kept:
                stream.resume(kept[stream.name])

    def lend(self, folder: Callable[[], Path]) -> None:
        """Devices that write files write them into the folder of the run."""
        if brian2() is not None:
            device_hook().folder = folder

    @property
    def is_careful(self) -> bool:
        """Whether there is something to do before or after each run."""
        return self.seeds_each or self.cleans_each or self.is_slow or self.is_young

    @property
    def is_young(self) -> bool:
        """Whether these are the first runs of the process: what one of them leaves others may, too."""
        return self.cared < _FIRST and self.company is not Company.NOBODY

    @property
    def cleans(self) -> bool:
        """Whether what a run has changed is put back after it."""
        is_worth_it = self.cleans_each or self.is_slow or self.is_young
        return is_worth_it and self.company is not Company.NOBODY

    def end(self) -> None:
        """Put back what a run has changed."""
        if self.cleans:
            begun = time.perf_counter()
            moved = self.put_back()
            self.cleans_each, self.is_same = self.cleans_each or moved, self.is_same and not moved
            self.cared += 1
            # A codec of the user's own is executed, too.
            self.trace = Trace.UNKNOWN if OWN.by_type else Trace.GENERATORS
            self.cost = min(self.cost, self.spent + time.perf_counter() - begun)

    def has_left(self, now: float) -> bool:
        """Whether runs without care have left something behind, if it is time to look."""
        if now < self.due or self.cleans or self.company is Company.NOBODY:
            return False
        self.due = now + self.pause
        return bool(surroundings.changed(*self.around()))

    def drawn(self) -> list[str]:
        """The generators that the last run of the batch drew from."""
        if not self.words or self.position < 0:
            return []
        if self.seeded:
            moved = [stream.has_left(state) for stream, state in zip(self.streams, self.seeded, strict=True)]
        else:
            after = [stream.state() for stream in self.streams]
            self.begin(self.position)
            moved = [stream.has_left(state) for stream, state in zip(self.streams, after, strict=True)]
        names = [stream.name for stream, has_moved in zip(self.streams, moved, strict=True) if has_moved]
        self.is_random = self.is_random or bool(names)
        # Brian2 draws NumPy's numbers in advance.
        return [name for name in names if not (name == BRIAN2 and NUMPY in names)]

    def has_moved(self) -> bool:
        """Whether runs without care drew from a generator, or left something behind; then each gets it from now on."""
        if self.company is Company.NOBODY or (self.trace is Trace.GENERATORS and self.words):
            return False
        states = zip(self.streams, self.before[0], strict=True)
        drew = not self.words and any(stream.has_left(state) for stream, state in states)
        self.left = left = surroundings.changed(*self.around())
        self.seeds_each, self.cleans_each = self.seeds_each or drew, self.cleans_each or bool(left)
        self.is_random = self.is_random or drew
        if not (self.words or drew or left):
            self.trace = Trace.NOTHING
        return drew or bool(left)

    def restore(self) -> None:
        """Let everything be as it was before the batch."""
        if brian2() is not None:
            device_hook().folder = device_hook().seed = None
        if self.company is Company.NOBODY or self.trace is Trace.NOTHING:
            return
        if self.trace is Trace.UNKNOWN:
            self.is_same = not self.put_back() and self.is_same
        for stream, state in zip(self.streams, self.before[0], strict=False):
            if stream.has_left(state):
                stream.restore(state)
        self.trace = Trace.NOTHING

    def judge(self, seconds: Array) -> None:
        """Care for each run of the next batch where most runs take so long that it does not count."""
        middle = len(seconds) // 2
        typical = np.partition(seconds, middle)[middle] if middle else max(seconds, default=0.0)
        self.is_slow = bool(typical > _SHARE * self.cost)
