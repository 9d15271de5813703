"""networkx's graphs come back with their nodes, edges, attributes and the order of all of these."""

from __future__ import annotations

import networkx as nx
import pytest
from kinds import CHECKS, conform
from kinds.libraries import LIBRARIES

import simkit


@CHECKS
def test_graphs_are_kept(check):
    conform(check, LIBRARIES["graph"])


def test_a_graph_per_run_can_be_computed_with(tmp_path):
    def f(n):
        graph = nx.gnp_random_graph(n, 0.5, seed=n)
        nx.set_edge_attributes(graph, 0.5, "weight")
        return {"graph": graph}

    with simkit.run(f, simkit.product(n=[5, 9]), output=tmp_path / "f.h5", seed=1) as traj:
        graph = traj.runs[1].graph
    assert nx.utils.graphs_equal(graph, f(9)["graph"])
    assert list(nx.bfs_edges(graph, 0)) == list(nx.bfs_edges(f(9)["graph"], 0))


def test_a_node_that_can_not_be_kept_is_named():
    graph = nx.Graph([(0, len)])
    with pytest.raises(simkit.SimkitError, match=r"result result\.nodes\[1\]: cannot store a function"):
        simkit.call(lambda: graph)
