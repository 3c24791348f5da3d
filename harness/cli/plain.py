"""Tables and text of rich as plain lines: the same in a terminal, a file and a pipe."""

from __future__ import annotations

import io

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table

WIDTH = 80
"""Columns of what verbs print: the default width of a terminal."""


def plain(*parts: RenderableType, width: int = WIDTH) -> str:
    """Everything below each other, without colours and without spaces at the ends of lines."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def table(*titles: str, right: frozenset[str] = frozenset()) -> Table:
    """An empty table with a line below its titles; the columns in `right` hold numbers."""
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        number = title in right
        made.add_column(title, justify="right" if number else "left", no_wrap=number)
    return made
