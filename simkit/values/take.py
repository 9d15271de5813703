"""Chosen rows of a column, in any order."""

from __future__ import annotations

import attrs
import numpy as np

from simkit.declare.axes import Index
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record


def take(column: Column, index: Index) -> Column:
    """The rows at these positions."""
    whole = column.whole
    if whole is not None:
        return Column(len(index), ((None, take_node(whole, index)),))
    variants = []
    for positions, node in column.variants:
        at = np.full(column.n, -1)
        at[slice(None) if positions is None else positions] = np.arange(
            column.n if positions is None else len(positions)
        )
        inner = at[index]
        chosen = np.flatnonzero(inner >= 0)
        if len(chosen):
            variants.append((chosen, take_node(node, inner[chosen])))
    return Column(len(index), tuple(variants))


def take_node(node: Node, index: Index) -> Node:
    """The rows of a node at these positions."""
    match node:
        case Leaf(rows=list() as rows):
            if not len(index) and rows and isinstance(rows[0], np.ndarray):
                return Leaf(node.type, np.empty((0, *node.shape), node.dtype))
            return Leaf(node.type, [rows[i] for i in index.tolist()])
        case Leaf():
            return Leaf(node.type, np.asarray(node.rows)[index])
        case Ragged():
            stops = np.cumsum(np.prod(node.shapes, axis=1, dtype=np.int64))
            pieces = np.split(node.values, stops[:-1])
            chosen = [pieces[i] for i in index.tolist()]
            return Ragged(
                node.type,
                np.concatenate(chosen, dtype=node.values.dtype) if chosen else node.values[:0],
                node.shapes[index],
            )
        case Items():
            return _take_items(node, index)
        case Record():
            return attrs.evolve(
                node, fields={name: take(field, index) for name, field in node.fields.items()}
            )
        case Nothing():
            return Nothing(len(index))


def _take_items(node: Items, index: Index) -> Items:
    stops = np.cumsum(node.counts)
    starts = stops - node.counts
    wanted = [np.arange(starts[i], stops[i]) for i in index.tolist()]
    inner = np.concatenate(wanted) if wanted else np.empty(0, np.int64)
    return Items(node.type, node.counts[index], take(node.items, inner))
