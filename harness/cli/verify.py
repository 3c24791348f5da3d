"""`titrate verify FILE`: recompute a bundle's numbers from its tokens, without a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.options import add_to_argparse


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate verify`."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a bundle, as `titrate bundle` made it"
    )
    parser.add_argument(
        "--spot",
        type=int,
        default=0,
        metavar="N",
        help="ask the model, which must be at hand, N requests again that are drawn by chance",
    )
    add_to_argparse(
        parser,
        "unsafe_code",
        unsafe_code="run code that cannot be isolated with your own rights: answers, and functions "
        "that are metrics",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print what does not fit, a line each; status 1 where anything does not."""
    from harness.bundle.verify import lines, verify

    outcome = verify(parsed.file, unsafe_code=parsed.unsafe_code, spot=parsed.spot)
    for line in lines(outcome):
        print(line)
    return 1 if outcome.differences else 0
