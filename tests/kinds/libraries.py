"""What libraries return: SciPy's solvers, networkx's graphs, NumPy's polynomials; types that extend Python's."""

from __future__ import annotations

import array
import collections
import datetime as dt
import random
import types
from typing import Any
from zoneinfo import ZoneInfo

import networkx as nx
import numpy as np
from scipy import integrate, optimize

TEXT = "w" if "w" in array.typecodes else "u"


class Ordered(dict):
    pass


class Tagged(list):
    def __init__(self, items, tag):
        super().__init__(items)
        self.tag = tag


class Kelvin(float):
    __slots__ = ()


class Word(str):
    __slots__ = ("language",)


class Samples(np.ndarray):
    pass


class Pair(tuple):
    __slots__ = ()


EXTENDED_CLASSES = [Ordered, Tagged, Kelvin, Word, Samples, Pair]


def word(text: str, language: str) -> Word:
    made = Word(text)
    made.language = language
    return made


def pythons_generators() -> list[Any]:
    fresh, used = random.Random(1), random.Random(2)
    used.gauss(0, 1)
    return [fresh, used]


def legacy_generators() -> list[Any]:
    fresh, used = np.random.RandomState(1), np.random.RandomState(2)
    used.normal()
    return [fresh, used]


def spawned() -> np.random.SeedSequence:
    sequence = np.random.SeedSequence([1, 2**70])
    sequence.spawn(3)
    return sequence


def graphs() -> list[Any]:
    plain = nx.Graph([(1, 2), (2, 3), (0, 1)], name="chain")
    plain.add_edge("a", (1, 2), weight=0.5)
    plain.add_node("alone", size=3)
    directed = nx.DiGraph([(2, 1), (1, 2), (3, 1)])
    directed.remove_edge(2, 1)
    directed.add_edge(2, 1)  # now the last of the predecessors of 1
    multiple = nx.MultiDiGraph()
    multiple.add_edge(1, 2, key="first", weight=1)
    multiple.add_edge(1, 2, key="second")
    return [plain, nx.Graph(), directed, multiple, nx.MultiGraph([(1, 2), (2, 1)])]


def _decay(_: float, y: Any) -> Any:
    return -y


def solutions() -> list[Any]:
    methods = ("RK45", "DOP853", "Radau", "BDF", "LSODA")
    ways = [integrate.solve_ivp(_decay, (0, 1), [1.0, 2.0], m, dense_output=True) for m in methods]
    return [*ways, integrate.solve_ivp(_decay, (1, 0), [1.0], dense_output=True)]


def minima() -> list[Any]:
    methods = ("BFGS", "L-BFGS-B", "Nelder-Mead")
    return [optimize.minimize(lambda x: float((x**2).sum()), [1.0, 2.0], method=m) for m in methods]


LIBRARIES: dict[str, list[Any]] = {
    "default dict": [
        collections.defaultdict(int, a=1),
        collections.defaultdict(None, {1: [2]}),
        collections.defaultdict(list),
    ],
    "namespace": [types.SimpleNamespace(a=1, b=[2]), types.SimpleNamespace()],
    "typed array": [array.array("d", [1.0, 2.0]), array.array("b"), array.array(TEXT, "aé")],
    "time zone": [dt.UTC, dt.timezone(dt.timedelta(hours=2)), ZoneInfo("Europe/Berlin")],
    "RandomState": legacy_generators(),
    "random.Random": pythons_generators(),
    "SeedSequence": [np.random.SeedSequence(1), np.random.SeedSequence(2**100, spawn_key=(1, 2)), spawned()],
    "matrix": [np.asarray([[1, 2]]).view(np.matrix), np.zeros((0, 3)).view(np.matrix)],
    "polynomial": [
        np.polynomial.Polynomial([1, 2]),
        np.polynomial.Chebyshev([1.0], domain=[0, 2], symbol="t"),
    ],
    "poly1d": [np.poly1d([1, 2, 3]), np.poly1d([1.5], variable="z")],
    "dtype": [np.dtype("f4"), np.dtype("M8[ns]"), np.dtype([("a", "i4"), ("b", "f8", (2,))])],
    "dict subclass": [Ordered(a=1), Ordered({1: 2})],
    "list subclass": [Tagged([1, 2], "x"), Tagged([], None)],
    "number subclass": [Kelvin(1.5), Kelvin("-0.0"), Kelvin("nan")],
    "text subclass": [word("a", "en"), word("", "de")],
    "array subclass": [np.arange(3.0).view(Samples), np.arange(4.0).reshape(2, 2).view(Samples)],
    "tuple subclass": [Pair((1, "a")), Pair()],
    "graph": graphs(),
    "solver's result": minima(),
    "continuous solution": [each.sol for each in solutions()],
    "solution": solutions(),
}
