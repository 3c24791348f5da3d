"""Columns of text that fit a width: first what can be said shorter is, then the least needed goes.

Numbers are never cut in two where the columns that stay have room; names of cases wrap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

#: Columns with this rank stay whatever the width.
STAYS = 100
#: Blanks between two columns.
_GAP = 2
#: Names may be folded to this width, before any number goes.
_NAME_FITS = 18
_LEAST_NAME = 8


@dataclass(frozen=True)
class Column:
    """A column, its cells from top to bottom. The one with the lowest `rank` goes first."""

    title: str
    cells: tuple[str | Text, ...]
    meaning: str = ""
    """What the legend says of it."""
    rank: int = STAYS
    shorter: tuple[str | Text, ...] = ()
    """Cells that say less, which take the place of the others when `shorter_rank` is the lowest."""
    shorter_rank: int = 0
    shorter_meaning: str = ""
    """What the legend says of these, where it is something else."""
    is_name: bool = False
    """Whether its cells name the row: left-aligned, and folded where they are long."""

    @property
    def width(self) -> int:
        """Characters that it needs."""
        longest = max(map(_length, (self.title, *self.cells)))
        return min(longest, _NAME_FITS) if self.is_name else longest


def fitted(columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    """The columns that fit into `width` characters, and the titles of those that do not.

    Of columns of one rank the last goes first.
    """
    shown, gone = list(columns), list[str]()
    while _total(shown) > width:
        at = min(range(len(shown)), key=lambda at: (_next_rank(shown[at]), -at))
        going = shown[at]
        if going.shorter:
            meaning = going.shorter_meaning or going.meaning
            shown[at] = replace(going, cells=going.shorter, meaning=meaning, shorter=())
        elif going.rank < STAYS:
            gone.append(going.title)
            del shown[at]
        else:
            break
    return shown, [column.title for column in columns if column.title in gone]


def as_table(columns: Sequence[Column], styles: Iterable[str] = ()) -> Table:
    """The columns side by side; `styles` are those of the rows."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        least = min(_length(column.title), _LEAST_NAME) if column.is_name else column.width
        table.add_column(
            column.title,
            justify="left" if column.is_name else "right",
            overflow="fold",
            min_width=least,
            # Only names are made narrower: else rich takes some of the excess from wide numbers,
            # and cuts the last column instead.
            no_wrap=not column.is_name,
        )
    rows = zip(*(column.cells for column in columns), strict=True)
    for cells, style in zip(rows, [*styles] or [""] * len(columns[0].cells), strict=True):
        table.add_row(*cells, style=style)
    return table


def _next_rank(column: Column) -> int:
    return min(column.rank, column.shorter_rank) if column.shorter else column.rank


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _length(cell: str | Text) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(cell)
