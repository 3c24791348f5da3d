"""`titrate merge DIR... -o DIR`: join the reports of all shards of a run."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate merge`."""
    parser.add_argument("reports", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the report that one machine would have written."""
    from harness.cli.finished import told
    from harness.runs.merge import merge

    return told(merge(parsed.reports, parsed.output))
