"""What stands in the cells of a notebook or of an IPython session that were executed so far?"""

from __future__ import annotations

import ast
from types import ModuleType

NOTEBOOK = "notebook"  # stands for the file in node ids


def cells_of(module: ModuleType) -> tuple[str, ...] | None:
    """The executed cells in order, if this is the namespace of a notebook."""
    cells = vars(module).get("In")
    is_shell = module.__name__ == "__main__" and not hasattr(module, "__file__")
    return tuple(map(str, cells)) if is_shell and isinstance(cells, list) else None


def parsed(cells: tuple[str, ...]) -> tuple[str, list[ast.Module]]:
    """All cells as one text, and the syntax tree of each with its lines in that text.

    A cell that is no plain Python, such as a mistyped one, is left out.
    """
    text, trees = "", []
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except (SyntaxError, ValueError):
            continue
        trees.append(ast.increment_lineno(tree, text.count("\n")))
        text += cell.rstrip("\n") + "\n"
    return text, trees
