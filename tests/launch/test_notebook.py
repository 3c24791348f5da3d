"""A line in a notebook's cell, by a handle that keeps what it is told."""

from __future__ import annotations

from harness.launch.live import LiveLine
from harness.launch.notebook import Cell, watching
from harness.resolve.progress import Counts, Silent


class Handle:
    """What IPython's `display(..., display_id=True)` gives, as far as it is used."""

    def __init__(self):
        self.shown = []

    def update(self, data, *, raw):
        assert raw
        self.shown.append(data["text/plain"])


def test_a_cell_shows_one_line_and_none_at_the_end():
    handle = Handle()
    line = LiveLine(Cell(handle))
    line.note("loading zoo/moe")
    line.update(Counts(cases_done=4, cases_total=4, requests_done=2, requests_total=2))
    line.note("measuring")
    line.close()
    assert handle.shown == ["titrate: loading zoo/moe", "", "titrate: measuring", ""]


def test_outside_of_notebooks_nothing_is_shown():
    assert isinstance(watching(), Silent)
