"""`titrate report DIR`: the table of a report on the terminal, or its page written anew."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate report`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("report", type=Path, nargs="?", metavar="DIR")
    which.add_argument("--latest", action="store_true", help="the newest one below reports/")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--html", action="store_true", help="write its index.html anew")
    what.add_argument(
        "--methods", action="store_true", help="a paragraph for a paper: what was computed and how"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the table or the paragraph, or write the page."""
    from harness.report.load import latest, load_report

    directory = latest(Path("reports")) if parsed.latest else parsed.report
    if parsed.html:
        from harness.report.write import write_page

        print(f"page: {write_page(directory)}")
        return 0
    report = load_report(directory)
    if parsed.methods:
        from harness.report.methods import methods

        print(methods(report))
        return 0
    from harness.report.tables.terminal import table

    print(table(report))
    return 0
