"""How are values kept that have too little in common for a column each?

A codec's attributes, and the width of NumPy's text, are part of a column's type. Where every run has others,
they become columns themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simkit.values.columns import Leaf, Node, Ragged, Record, whole_column
from simkit.values.decode import decode, taken_apart
from simkit.values.encode import array_codec, loose, records


def is_alike(signature: tuple[Any, ...], node: Node) -> bool:
    """Whether a column's type differs from a node's only in what `loosened` makes a column of its own."""
    match node:
        case Record():
            return signature[:2] == ("record", node.type)
        case Leaf() | Ragged():
            both = (signature, node.signature)
            kinds = [
                str(part[2])[1:2] for part in both if part[0] in ("leaf", "ragged") and part[1] == "array"
            ]
            return kinds == ["U", "U"]
        case _:
            return False


def loosened(node: Node) -> Node | None:
    """The same values in the form that takes any of their kind; None where they are in it already."""
    match node:
        case Record(type="dict" | "mapping") | Record(attributes=""):
            return None
        case Record():
            rows = taken_apart(node)
            return loose(node.type, [told for _, told in rows], [fields for fields, _ in rows])
        case Leaf(type="array") | Ragged(type="array"):
            codec = array_codec(np.dtype("U"))
            ((_, found),) = records(codec.name, list(map(codec.encode, decode(whole_column(node)))))
            return loosened(found) or found
        case _:
            return None
