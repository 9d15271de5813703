"""Which names in a statement mean something of its module, rather than something local?"""

from __future__ import annotations

import ast
import symtable


def free_names(statement: ast.stmt) -> set[str]:
    """The names that a module's statement looks up in the module, or imports itself: no other local ones."""
    try:
        table = symtable.symtable(ast.unparse(statement), "<statement>", "exec")
    except (SyntaxError, RecursionError):
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return _global(table)


def _global(table: symtable.SymbolTable) -> set[str]:
    everywhere = table.get_type() == "module"
    found = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_imported() or (symbol.is_referenced() and (everywhere or symbol.is_global()))
    }
    return found.union(*map(_global, table.get_children()))
