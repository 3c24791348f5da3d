"""`titrate status RUN`: where a submitted run stands, task by task."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate status`."""
    parser.add_argument("id", metavar="RUN", help="the id that titrate submit has printed")
    parser.add_argument("--wait", action="store_true", help="stay until the report is there")
    parser.add_argument("--json", action="store_true", help="for other programs: everything")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print where the run stands, or follow it to its end."""
    from harness.cli.following import follow, shown_once
    from harness.launch.cluster.submission import Submission, as_json, found
    from harness.launch.cluster.tracking import described, status

    submission = Submission.read(found(parsed.id, Path.cwd()))
    if parsed.wait:
        return follow(submission)
    now = status(submission)
    if parsed.json:
        print(as_json(described(now)))
    else:
        shown_once(now)
    return 0
