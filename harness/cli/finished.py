"""What `titrate` prints of a run that has ended, and the exit status that it ends with."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.runs.conclude import Finished


def told(
    finished: Finished,
    *,
    ran: bool = False,
    deselected: int = 0,
    verbose: bool = False,
    quiet: bool = False,
) -> int:
    """Print what came of a run, line by line as pytest does; the exit status.

    Of one that `ran` just now the last line is how it ended. A `quiet` one tells failures, and
    where its report is.
    """
    from harness.launch import closing
    from harness.report.page_link import has_links, page_line

    link = has_links(terminal=sys.stdout.isatty())
    lines: Iterable[str] = closing.told(
        finished, link=link, ran=ran, deselected=deselected, verbose=verbose
    )
    if quiet:
        lines = chain(
            closing.nothing_ran(finished),
            closing.failures(finished),
            [page_line(finished.directory, link=link)],
        )
    for line in lines:
        print(line)
    return status_of(finished)


def status_of(finished: Finished) -> int:
    """0 where every case has a result and everything that is claimed of them holds, else 1."""
    return 1 if finished.problems or finished.failed else 0
