"""`titrate cancel RUN`: end what waits and runs of a submitted run; what is stored stays."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate cancel`."""
    parser.add_argument("id", metavar="RUN", help="the id that titrate submit has printed")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Cancel, and say how to go on."""
    from harness.launch.cluster.resubmitting import cancel
    from harness.launch.cluster.submission import Submission, found

    submission = Submission.read(found(parsed.id, Path.cwd()))
    names = cancel(submission)
    again = f"titrate resubmit {submission.run} goes on with them"
    print(
        f"{len(names)} tasks are cancelled; {again}"
        if names
        else f"run {submission.run}: no task waits or runs"
    )
    return 0
