"""A prompt and the code of an answer made one program, which defines the function and its needs.

What is added: definitions of the answer's other pieces that the code uses. What is left out: usage
examples behind the function, which may ask for input, fail or never end without the function being
wrong; and `from __future__`, which may not stand below a prompt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from harness.tasks.python_source import (
    Function,
    does_nothing,
    first_line,
    missing_names,
    names,
    parsed,
)

_DEFINITIONS = (Function, ast.ClassDef, ast.Import, ast.ImportFrom)


def helpers(program: str, others: Iterable[str]) -> str:
    """Those statements of other sources that bind what a program misses, directly or in turn."""
    pool = [
        (*names(statement), _lines_of(statement, source))
        for source in others
        for statement in getattr(parsed(source), "body", ())
    ]
    wanted, taken = missing_names(program), set[int]()
    while new := {i for i, (bound, _, _) in enumerate(pool) if bound & wanted} - taken:
        taken |= new
        for index in new:
            wanted = wanted | pool[index][1]
    return "\n\n".join(pool[index][2] for index in sorted(taken))


def without_examples(program: str, entry_point: str, start: int) -> str:
    """A program without the statements behind its function that do not belong to it.

    From line `start` (from 0) on, expressions without effect are left out, and behind the last
    definition of the function everything that is neither a definition nor touches, without calling
    the function, a name that it needs.
    """
    tree = parsed(program)
    if tree is None:
        return program
    known = [(statement, *names(statement)) for statement in tree.body]
    last = max((i for i, (_, bound, _) in enumerate(known) if entry_point in bound), default=-1)
    needed = _needs(entry_point, [(bound, used) for _, bound, used in known])
    callers = {entry_point}
    for statement, bound, used in known:
        if isinstance(statement, _DEFINITIONS) and used & callers and not bound & needed:
            callers |= bound
    dropped, kept = set[int](), set[int]()
    for index, (statement, bound, used) in enumerate(known):
        apart = not bound & needed and (used & callers or not used & needed)
        example = index > last and apart
        idle = does_nothing(statement) or (example and not isinstance(statement, _DEFINITIONS))
        lines = range(first_line(statement) - 1, statement.end_lineno or statement.lineno)
        (dropped if idle and lines[0] >= start else kept).update(lines)
    source = program.split("\n")
    return "\n".join(line for i, line in enumerate(source) if i in kept or i not in dropped)


def without_future(source: str) -> str:
    """A module without `from __future__` lines, its annotations as they would have made them."""
    tree = parsed(source)
    future = [statement for statement in getattr(tree, "body", ()) if _is_future(statement)]
    if tree is None or not future:
        return source
    tree.body = [statement for statement in tree.body if statement not in future]
    if any(alias.name == "annotations" for statement in future for alias in statement.names):
        tree = ast.fix_missing_locations(_Quoted().visit(tree))
    return ast.unparse(tree)


class _Quoted(ast.NodeTransformer):
    """Every annotation as the text of itself, which is what PEP 563 makes of it."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("annotation", "returns"):
            annotation = getattr(node, field, None)
            if isinstance(annotation, ast.expr):
                setattr(node, field, ast.Constant(ast.unparse(annotation)))
        return super().generic_visit(node)


def _needs(name: str, known: list[tuple[set[str], set[str]]]) -> set[str]:
    """The names of a program on which one of them depends, itself among them."""
    own = {name}.union(*(bound for bound, _ in known))
    needed = {name}
    while more := own & {n for b, used in known if b & needed for n in used} - needed:
        needed |= more
    return needed


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _lines_of(statement: ast.stmt, source: str) -> str:
    return "\n".join(source.split("\n")[first_line(statement) - 1 : statement.end_lineno])
