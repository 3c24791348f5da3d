"""A run's line in the cell of a notebook: replaced in place, and gone when the run is over."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

from harness.launch.live import LiveLine
from harness.resolve.progress import Progress, Silent


def watching() -> Progress:
    """A line below the cell that runs, where this process is a notebook's; else nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):  # IPython on a terminal has none
        return Silent()
    display = import_module("IPython.display").display
    return LiveLine(Cell(display({"text/plain": ""}, raw=True, display_id=True)))


class Cell(io.StringIO):
    """A terminal of one line, below a cell: what is written takes the place of what stood there.

    A saved notebook then holds the last line, and not all that were drawn.
    """

    def __init__(self, handle: Any) -> None:
        """Draw by `handle`, IPython's `DisplayHandle`."""
        super().__init__()
        self._handle = handle

    def isatty(self) -> bool:
        """Its line can be redrawn."""
        return True

    def write(self, text: str) -> int:
        """Show a line, without the codes that draw it on a terminal."""
        line = text.removesuffix("\x1b[K").strip("\r\n")
        self._handle.update({"text/plain": line}, raw=True)
        return len(text)
