"""`titrate browse RESULTS`: one page over all reports below a folder."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate browse`."""
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a folder of reports")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the page, and say where it is and what it lacks."""
    from harness.report.page.browse import browse

    page, reports, problems = browse(parsed.results)
    for problem in problems:
        print(f"left out: {problem}")
    print(f"page of {reports} reports: {page}")
    return 0
