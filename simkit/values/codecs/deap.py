"""DEAP's fitnesses, which its individuals carry; an individual itself is a list, an array or a set with attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simkit.declare.plugins import Codec, Parts
from simkit.declare.reflection import is_declared
from simkit.values.instances import Stored
from simkit.values.registry import attributes_of, path_of


def _is_fitness(kind: type) -> bool:
    return is_declared(kind, "wvalues") and is_declared(kind, "weights")


def _encode(fitness: Any) -> Parts:
    """Values and weights, and what algorithms note beside them, such as a crowding distance."""
    more = {name: value for name, value in vars(fitness).items() if name != "wvalues"}
    parts = {
        "values": tuple(fitness.values),
        "weights": tuple(fitness.weights),
        "wvalues": tuple(fitness.wvalues),
    }
    path = path_of(type(fitness))
    return Parts({**parts, **({"attributes": more} if more else {})}, attributes_of(**{"class": path}))


def _decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Stored:
    return Stored("deap.Fitness", parts, attributes_of(**facts), facts["class"].rpartition(".")[2])


CODECS = (Codec("deap.Fitness", _is_fitness, _encode, _decode),)
