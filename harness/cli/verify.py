"""`titrate verify FILE`: recompute a bundle's numbers from its tokens, without a model."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    with _offline():
        from harness.bundle.verify import lines, verify

        outcome = verify(parsed.file, unsafe_code=parsed.unsafe_code, spot=parsed.spot)
    for line in lines(outcome):
        print(line)
    return 1 if outcome.differences else 0


@contextmanager
def _offline() -> Iterator[None]:
    """Have libraries of data fetch nothing that a bundle names, and keep nothing that it brings.

    They read these variables when they are imported.
    """
    with tempfile.TemporaryDirectory(prefix="titrate-") as cache:
        ours = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": cache}
        before = {name: os.environ.get(name) for name in ours}
        os.environ |= ours
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
