"""`titrate rescore RUN`: score the completions of a run again, without a model."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from harness.options import add_to_argparse


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate rescore`."""
    parser.add_argument(
        "which",
        metavar="RUN",
        help="a run's id, or the directory of a report that has its records.jsonl",
    )
    parser.add_argument(
        "--spec",
        type=Path,
        metavar="FILE",
        help="count the metrics, judge the gates and read the window that this spec asks for now",
    )
    add_to_argparse(
        parser,
        "report",
        "unsafe_code",
        unsafe_code="run code that cannot be isolated with your own rights: answers, and functions "
        "that are metrics",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the report of the new scores, and say which have changed."""
    from harness.cli.finished import status_of
    from harness.report.page_link import has_links, page_line
    from harness.report.tables.terminal import table
    from harness.report.write import default_directory
    from harness.runs.rescore import changes_text, rescore

    directory = parsed.report or default_directory(Path.cwd(), datetime.now(UTC))
    warn = partial(print, "titrate:", file=sys.stderr)
    outcome = rescore(
        parsed.which,
        Path.cwd(),
        directory,
        parsed.command,
        warn,
        spec=parsed.spec,
        unsafe_code=parsed.unsafe_code,
    )
    finished = outcome.finished
    print(table(finished.report))
    for line in [*changes_text(outcome), *finished.problems]:
        print(line)
    print(page_line(finished.directory, link=has_links(terminal=sys.stdout.isatty())))
    return status_of(finished)
