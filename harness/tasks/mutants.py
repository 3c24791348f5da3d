"""Single-constant mutants of a function body: what a good test must tell from the original.

Each mutant differs from the body in one literal: an integer one higher or lower, a truth value
turned round, or one letter of a string moved to a neighbour in the alphabet.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator

_HEADER = "def body():\n"


def single_constant_mutants(body: str) -> Iterator[str]:
    """Yield every mutant of an indented, one-literal-per-place function body."""
    lines = (_HEADER + body).splitlines(keepends=True)
    for node in ast.walk(ast.parse(_HEADER + body)):
        if not isinstance(node, ast.Constant):
            continue
        for value in _neighbours(node.value):
            line = lines[node.lineno - 1]
            # The end is known because literals in function bodies here never span two lines.
            changed = line[: node.col_offset] + repr(value) + line[node.end_col_offset :]
            yield "".join((*lines[1 : node.lineno - 1], changed, *lines[node.lineno :]))


def _neighbours(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value - 1, value + 1)
    elif isinstance(value, str):
        alphabet = string.ascii_lowercase
        for index, letter in enumerate(value):
            if letter in alphabet:
                for step in (-1, 1):
                    neighbour = alphabet[(alphabet.index(letter) + step) % len(alphabet)]
                    yield value[:index] + neighbour + value[index + 1 :]
