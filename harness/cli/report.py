"""`titrate report DIR`: the table of a report on the terminal, or its page written anew."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate report`."""
    parser.add_argument("report", type=Path, metavar="DIR")
    parser.add_argument("--html", action="store_true", help="write its index.html anew")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the table, or write the page."""
    if parsed.html:
        from harness.report.write import write_page

        print(f"page: {write_page(parsed.report)}")
        return 0
    from harness.report.load import load_report
    from harness.report.tables.terminal import table

    print(table(load_report(parsed.report)))
    return 0
