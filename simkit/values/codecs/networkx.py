"""networkx's graphs: nodes, edges and their attributes, each in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simkit.declare.plugins import Codec, Parts
from simkit.declare.reflection import module_of
from simkit.values.registry import attributes_of

_KINDS = ("Graph", "DiGraph", "MultiGraph", "MultiDiGraph")


def _is_graph(kind: type) -> bool:
    return module_of(kind).startswith("networkx.classes.") and kind.__name__ in _KINDS


def _encode(graph: Any) -> Parts:
    """Nodes are told once; edges and neighbours name them by their position."""
    nodes = list(graph.nodes)
    position = {node: i for i, node in enumerate(nodes)}
    edges = list(graph.edges(keys=True, data=True) if graph.is_multigraph() else graph.edges(data=True))
    ends = np.array([(position[edge[0]], position[edge[1]]) for edge in edges], np.int64).reshape(-1, 2)
    parts: dict[str, Any] = {"nodes": nodes, "edges": ends, "graph": dict(graph.graph)}
    if graph.is_multigraph():
        parts["edge_keys"] = [edge[2] for edge in edges]
    if any(edge[-1] for edge in edges):
        parts["edge_attributes"] = [dict(edge[-1]) for edge in edges]
    if any(graph.nodes.values()):
        parts["node_attributes"] = [dict(attributes) for attributes in graph.nodes.values()]
    for name, neighbours in _orders(graph).items():
        parts[name] = [np.array([position[other] for other in neighbours[node]], np.int64) for node in nodes]
    return Parts(parts, attributes_of(kind=type(graph).__name__))


def _orders(graph: Any) -> dict[str, Any]:
    """The neighbours of each node: their order decides in which one algorithms visit them."""
    return (
        {"successors": graph.succ, "predecessors": graph.pred}
        if graph.is_directed()
        else {"neighbours": graph.adj}
    )


def _decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    import networkx as nx

    graph = getattr(nx, facts["kind"])()
    graph.graph.update(parts["graph"])
    nodes = parts["nodes"]
    attributes = parts.get("node_attributes") or [{} for _ in nodes]
    graph.add_nodes_from(zip(nodes, attributes, strict=True))
    edges = [(nodes[one], nodes[other]) for one, other in parts["edges"].tolist()]
    more = parts.get("edge_attributes") or [{} for _ in edges]
    keys = parts.get("edge_keys")
    for i, (one, other) in enumerate(edges):
        graph.add_edge(one, other, **({} if keys is None else {"key": keys[i]}))
        (graph[one][other] if keys is None else graph[one][other][keys[i]]).update(more[i])
    for name, neighbours in _inner(graph).items():
        for node, order in zip(nodes, parts[name], strict=True):
            of_node = neighbours[node]
            ordered = {nodes[other]: of_node[nodes[other]] for other in order.tolist()}
            of_node.clear()
            of_node.update(ordered)
    return graph


def _inner(graph: Any) -> dict[str, Any]:
    """The dictionaries behind `_orders`, which shows them read-only."""
    if graph.is_directed():
        return {"successors": graph._succ, "predecessors": graph._pred}
    return {"neighbours": graph._adj}


CODECS = (Codec("networkx.Graph", _is_graph, _encode, _decode),)
