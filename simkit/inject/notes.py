"""What the code says about the columns that its runs will fill."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from simkit.collect.plan import Plan
from simkit.declare.annotations import Note, notes

About = tuple[Note, str, bool]  # comment and unit, origin, whether all rows are written before the first run


def column_notes(plan: Plan) -> dict[tuple[str, str], About]:
    """Comments and units of varying parameters and results, by section and name."""
    found: dict[tuple[str, str], About] = {}
    for name, node in plan.parameters.items():
        if node.varying and node.kind != "group":
            partly = any(plan.nodes[need.key].varying for need in node.needs)
            explored = node.kind == "explored" and not partly
            found["parameters", name] = (Note(None, node.comment, node.unit), node.origin, explored)
    for name, note in _result_notes(plan).items():
        found["results", name] = (note, "", False)
    return found


def _result_notes(plan: Plan) -> Mapping[str, Note]:
    """The fields of an annotated return type, or one note on the one result."""
    returned = notes(plan.function).get("return", Note())
    if inspect.isclass(returned.type) and getattr(returned.type, "__annotations__", None):
        return notes(returned.type)
    return {"result": returned}


def group_comments(plan: Plan) -> dict[str, str]:
    """The docstrings of parameter groups."""
    return {
        name: node.comment for name, node in plan.parameters.items() if node.kind == "group" and node.comment
    }
