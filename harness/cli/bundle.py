"""`titrate bundle REPORT`: a report and all behind it, in one file that strangers can check."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate bundle`."""
    parser.add_argument(
        "report", type=Path, metavar="REPORT", help="its folder, which has its records.jsonl"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="such as run.titrate"
    )
    parser.add_argument(
        "--withhold",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="put in the hash of this data file, which may not be given away; may be repeated",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the file, and say how large it is."""
    from harness.bundle.write import bundle

    warn = partial(print, "titrate:", file=sys.stderr)
    manifest = bundle(parsed.report, parsed.output, warn, withheld=parsed.withhold)
    size = parsed.output.stat().st_size
    print(f"{parsed.output}: run {manifest.run}, {len(manifest.files)} files, {size:,} bytes")
    return 0
