"""Strategies that go on again and again: grown, shrunk, interrupted, killed, changed."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import warnings
from pathlib import Path

import h5py
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import simkit
from simkit import adaptive, experiment, explore

STOP_AT: dict[str, int] = {}  # the run that ends its session, and the signal that does it


def following(state: float, z: float) -> float:
    return (state * 3.1 + z * 2.3 + 0.1) % 1.0


class Walk:
    """A point after the other, each by what the last one gave."""

    def __init__(self, n, state):
        self.left, self.state = n, state

    def ask(self):
        if self.left == 0:
            return None
        self.left -= 1
        return {"x": self.state}

    def tell(self, point, results):
        self.state = following(self.state, float(results["result"]))


def single(n=4, state=0.5):
    return Walk(n, state)


def generations(n=4, state=0.5):
    for _ in range(n):
        results = yield explore(x=[state])
        state = following(state, float(results["result"][0]))


def evaluating(evaluate, n=4, state=0.5):
    for _ in range(n):
        state = following(state, float(evaluate(x=state)["result"]))


def computed(x, run):
    if run.index == STOP_AT.get("run"):
        number = STOP_AT["signal"]
        STOP_AT.clear()
        os.kill(os.getpid(), number)
    return x * x


def expected(n: int, state: float) -> list[float]:
    points = []
    for _ in range(n):
        points.append(state)
        state = following(state, state * state)
    return points


class Continuing(RuleBasedStateMachine):
    """The points that count are at any time those of an undisturbed study."""

    @initialize(strategy=st.sampled_from([single, generations, evaluating]))
    def begin(self, strategy):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "f.h5"

        def f(x, run):
            return computed(x, run)

        self.function = experiment(adaptive(strategy)(f))
        self.n, self.state, self.most = 3, 0.5, 0
        self.go()

    def go(self):
        self.most = max(self.most, self.n)
        given = {"n": self.n, "state": self.state}
        with contextlib.suppress(KeyboardInterrupt):
            simkit.run(self.function, output=self.path, seed=1, set=given).close()

    @rule(more=st.integers(1, 3))
    def grow(self, more):
        self.n += more
        self.go()

    @rule(fewer=st.integers(1, 3))
    def shrink(self, fewer):
        self.n = max(1, self.n - fewer)
        self.go()

    @rule(after=st.integers(0, 2))
    def interrupt_and_go_on(self, after):
        self.n = self.most + 3
        self.stop_at(after, signal.SIGINT)
        self.go()
        STOP_AT.clear()
        self.go()

    @precondition(lambda self: hasattr(os, "fork"))
    @rule(after=st.integers(0, 2))
    def kill_and_go_on(self, after):
        self.n = self.most + 3
        self.stop_at(after, signal.SIGKILL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads that other tests have left
            child = os.fork()
        if not child:
            try:
                self.go()
            finally:  # else an error would go on in a second process of these tests
                os._exit(1)
        STOP_AT.clear()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        self.go()

    def stop_at(self, after, number):
        """Have a run that comes so many after the recorded ones end its session."""
        with h5py.File(self.path) as file:
            STOP_AT.update(run=len(file["f/runs/status"]) + after, signal=number)

    @rule(state=st.sampled_from([0.25, 0.5, 0.75]))
    def change(self, state):
        if state == self.state:
            self.go()
        else:
            self.state, self.most = state, 0
            with pytest.warns(simkit.SimkitWarning, match="does not repeat itself"):
                self.go()

    @rule()
    def repeat(self):
        with h5py.File(self.path) as file:
            before = file["f/runs/started"][:].tolist()
        self.go()
        with h5py.File(self.path) as file:
            assert file["f/runs/started"][:].tolist() == before

    @invariant()
    def the_points_are_those_of_an_undisturbed_study(self):
        if hasattr(self, "path"):
            with h5py.File(self.path) as file:
                counts = file["f/runs/asked"][:] >= 0
                assert file["f/parameters/x"][:][counts].tolist() == expected(self.most, self.state)
                assert (file["f/runs/status"][:] == 1).all()

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestContinuing = Continuing.TestCase
TestContinuing.settings = settings(max_examples=4, stateful_step_count=4, deadline=None)
