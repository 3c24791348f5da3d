"""What Python says of a piece of source: whether it parses, and which names it binds and uses.

Nothing here runs the source. Warnings about it are its own affair and are not shown.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Sequence

_FILE = "<answer>"
#: What reading source may raise beside SyntaxError: null bytes and nesting beyond any bound.
_UNREADABLE = (ValueError, RecursionError, MemoryError, OverflowError)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(source: str) -> ast.Module | None:
    """The module that a source is; None where it does not parse."""
    tree = _tree_or_line(source)
    return tree if isinstance(tree, ast.Module) else None


def compiles(source: str) -> bool:
    """Whether a source is a program: it parses, and no `return` stands outside of a function."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, _FILE, "exec", dont_inherit=True)
    except (SyntaxError, *_UNREADABLE):
        return False
    return True


def fault(source: str) -> str:
    """Why a source does not parse, with the line; empty if it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source, _FILE)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except _UNREADABLE as error:
        return f"{type(error).__name__}: {error}"
    return ""


def whole_statements(source: str) -> str:
    """The longest beginning of a source that consists of whole statements at column 0."""
    lines = source.split("\n")
    while lines:
        found = _tree_or_line("\n".join(lines))
        if isinstance(found, ast.Module):
            break
        cut = min(found, len(lines)) - 1
        while cut and (not lines[cut].strip() or lines[cut][0] in " \t"):
            cut -= 1
        lines = lines[:cut]
    return "\n".join(lines)


def bound_names(tree: ast.Module) -> set[str]:
    """The names that a module's own statements give a value to."""
    return {name for statement in tree.body for name in names(statement)[0]}


def missing_names(source: str) -> set[str]:
    """The names that a program uses, and neither gives a value to nor finds among the built-ins."""
    tree = parsed(source)
    if tree is None:
        return set()
    used = {name for statement in tree.body for name in names(statement)[1]}
    return used - bound_names(tree) - set(dir(builtins))


def names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The global names that a statement binds, and those that it uses at any depth."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = symtable.symtable(ast.unparse(statement), _FILE, "exec")
    except (SyntaxError, *_UNREADABLE):
        return set(), set()
    own = table.get_symbols()
    bound = {s.get_name() for s in own if s.is_assigned() or s.is_imported() or s.is_namespace()}
    used = {s.get_name() for s in own if s.is_referenced()} | _globals_inside(table)
    return bound, used


def function_at(tree: ast.Module, line: int) -> Function | None:
    """The function that begins last at or above a line, counted from 1."""
    above = [node for node in ast.walk(tree) if isinstance(node, Function) and node.lineno <= line]
    return max(above, key=lambda function: function.lineno, default=None)


def returns(function: Function) -> bool:
    """Whether a function gives a value back by statements of its own."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if isinstance(node, ast.Return) and node.value is not None:
            return True
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))
    return False


def leaves_out(function: Function) -> bool:
    """Whether `...` stands for statements of a function."""
    return any(
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is ...
        for node in ast.walk(function)
    )


def does_nothing(statement: ast.stmt) -> bool:
    """Whether a statement is `pass` or an expression without effect: text, numbers, bare names."""
    if isinstance(statement, ast.Pass):
        return True
    acts = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    return isinstance(statement, ast.Expr) and not any(
        isinstance(node, acts) for node in ast.walk(statement)
    )


def is_stub(statement: ast.stmt) -> bool:
    """Whether a statement is the mere head of a function, with nothing to run in it."""
    return isinstance(statement, Function) and all(
        does_nothing(inner) or _is_not_implemented(inner) for inner in statement.body
    )


def first_line(statement: ast.stmt) -> int:
    """The line, from 1, at which a statement begins, decorators included."""
    decorators: Sequence[ast.expr] = getattr(statement, "decorator_list", ())
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _is_not_implemented(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement)


def _globals_inside(table: symtable.SymbolTable) -> set[str]:
    found: set[str] = set()
    for child in table.get_children():
        found |= {s.get_name() for s in child.get_symbols() if s.is_global()}
        found |= _globals_inside(child)
    return found


def _tree_or_line(source: str) -> ast.Module | int:
    """The module, or the line (from 1) at which it fails to be one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, _FILE)
    except SyntaxError as error:
        return error.lineno or source.count("\n") + 1
    except _UNREADABLE:
        return 1
