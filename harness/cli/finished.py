"""What `titrate` prints of a run that has ended, and the exit status that it ends with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.runs.conclude import Finished


def told(finished: Finished, *, ran: bool = False, deselected: int = 0) -> int:
    """Print what came of a run, and of one that `ran` just now how it ended; the exit status."""
    from harness.launch.closing import closing, outcomes
    from harness.report.page_link import has_links
    from harness.report.tables.terminal import table

    print(table(finished.report))
    if finished.compared:
        print(finished.compared)
    for line in [*(f"skipped: {case}" for case in finished.skipped), *finished.problems]:
        print(line)
    for line in finished.verdicts:
        print(line)
    for case in finished.report.cases if ran else ():
        if case.error is not None and case.id not in finished.report.baselines:
            print(f"FAILED {case.id} - {case.error}")
    if ran:
        print(outcomes(finished, deselected))
    for line in closing(finished, link=has_links(terminal=sys.stdout.isatty())):
        print(line)
    return status_of(finished)


def status_of(finished: Finished) -> int:
    """0 where every case has a result and everything that is claimed of them holds, else 1."""
    return 1 if finished.problems or finished.failed else 0
