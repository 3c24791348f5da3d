"""`titrate export REPORT`: write a report in the format of another tool."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from harness import registry
from harness.options import add_to_argparse


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
    add_to_argparse(
        parser,
        "unsafe_code",
        unsafe_code="lm-eval: run code of the report's task files with your own rights",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the files, and name them."""
    from harness.report.exports import export
    from harness.report.loaded import load_report

    report = replace(load_report(parsed.report), unsafe_code=parsed.unsafe_code)
    for file in export(report, parsed.format, parsed.output):
        print(file)
    return 0
