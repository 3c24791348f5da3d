"""`titrate resubmit RUN`: what is lacking of a submitted run, and its report anew."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate resubmit`."""
    parser.add_argument("id", metavar="RUN", help="the id that titrate submit has printed")
    parser.add_argument("--wait", action="store_true", help="stay until the report is there")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Submit what is lacking, and say what that was."""
    from harness.cli.following import follow
    from harness.launch.cluster.resubmitting import resubmit
    from harness.launch.cluster.submission import Submission, found

    submission = Submission.read(found(parsed.id, Path.cwd()))
    names, merged = resubmit(submission)
    if not merged:
        print(f"run {submission.run}: nothing is lacking")
    elif names:
        told = f"{len(names)} tasks are" if len(names) != 1 else "1 task is"
        print(f"run {submission.run}: {told} submitted again: {', '.join(names)}")
    else:
        print(f"run {submission.run}: the report is made again")
    return follow(submission) if parsed.wait else 0
