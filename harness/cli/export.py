"""`titrate export REPORT`: write a report in the format of another tool."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import registry


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate export`."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="its folder or report.json")
    parser.add_argument("--format", required=True, choices=registry.exports.names())
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="PATH",
        help="a folder; for latex, a file",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the files, and name them."""
    from harness.report.exports import export
    from harness.report.loaded import load_report

    for file in export(load_report(parsed.report), parsed.format, parsed.output):
        print(file)
    return 0
