"""A submitted run on the terminal: a table of its tasks, once, or live until it has a report."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.cli.plain import plain, table
from harness.errors import StoreError
from harness.launch.board import Pinned, total
from harness.launch.cluster.submission import Submission
from harness.launch.cluster.tracking import (
    LACKING,
    RunStatus,
    TaskStatus,
    again,
    lacking,
    last_merged,
    status,
)

_LOOK = 5.0
"""Most seconds between two looks at a cluster, whose controller serves everybody."""
_LOOK_HERE = 0.5
_PART = 0.1
"""Of the time that a run was followed for so far, what passes until the next look."""
_NUMBERS = frozenset({"cases", "requests", "tokens", "tokens/s"})
#: What a user wants to see first, where there is no room for all.
_ORDER = ("running", *LACKING, "waiting", "done")


def follow(submission: Submission) -> int:
    """Show a run until nothing of it goes on, then what its merge has said; its exit status.

    On a terminal the table is redrawn; a log gets a line whenever a task has changed.
    """
    console = Console(stderr=True, highlight=False)
    longest = _LOOK_HERE if submission.cluster == "local" else _LOOK
    start = time.monotonic()

    def later(now: RunStatus) -> RunStatus:
        waited = time.monotonic() - start
        return _later(now, min(longest, max(_LOOK_HERE, _PART * waited)))

    now = status(submission)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not now.ended:
                live.update(tasks_table(now, console.height - 4), refresh=True)
                now = later(now)
    else:
        told = ""
        while not now.ended:
            if (line := counted(now)) != told:
                print(line, file=sys.stderr)
                told = line
            now = later(now)
    merged = last_merged(submission.directory)
    if now.merge.state != "done" or merged is None:
        print(*lacking(now), f"no report was made: {now.merge.state}, {now.merge.why}", sep="\n")
        print(again(now))
        return 1
    print(*merged.lines, sep="\n")
    return merged.status


def _later(now: RunStatus, seconds: float) -> RunStatus:
    """Where the run stands after some seconds; as before where the cluster does not answer."""
    time.sleep(seconds)
    try:
        return status(now.submission)
    except StoreError:
        return now


def shown_once(now: RunStatus) -> None:
    """Print the table, and what is lacking."""
    width = max(80, shutil.get_terminal_size().columns if sys.stdout.isatty() else 120)
    print(plain(tasks_table(now, None), width=width), end="")
    print(counted(now))
    for line in lacking(now):
        print(line)
    merged = last_merged(now.submission.directory)
    if merged is not None and now.merge.state == "done":
        print(*[line for line in merged.lines if line.startswith("page: ")], sep="\n")


def counted(now: RunStatus) -> str:
    """`run ID: 3 done, 2 running, 45 waiting; merge waiting`."""
    states = Counter(task.state for task in now.tasks)
    told = ", ".join(f"{states[state]} {state}" for state in reversed(_ORDER) if states[state])
    return f"run {now.submission.run}: {told}; merge {now.merge.state}"


def tasks_table(now: RunStatus, rows: int | None) -> Table:
    """A row for each task, or for so many of them as there is room for, and one for all."""
    shown = table(
        "task", "state", "job", "node", "cases", "requests", "tokens", "tokens/s", right=_NUMBERS
    )
    tasks: Sequence[TaskStatus] = now.tasks
    if rows is not None and len(tasks) > rows - 3:
        tasks = sorted(tasks, key=lambda task: _ORDER.index(task.state))[: max(1, rows - 4)]
    for task in tasks:
        counts = task.counts
        shown.add_row(
            task.name,
            task.state,
            task.job or "-",
            task.node or "-",
            f"{counts.cases_done}/{task.cases}",
            f"{counts.requests_done:,}/{counts.requests_total:,}",
            f"{counts.tokens + counts.in_flight:,}",
            counts.speed.removesuffix(" tokens/s") or "-",
        )
    if len(tasks) < len(now.tasks):
        shown.add_row(f"and {len(now.tasks) - len(tasks)} more")
    together = total({task.name: Pinned(task.counts) for task in now.tasks})
    speed = sum(task.speed for task in now.tasks if task.state == "running")
    shown.add_section()
    shown.add_row(
        "all",
        f"merge {now.merge.state}",
        now.merge.job or "-",
        "",
        f"{sum(task.counts.cases_done for task in now.tasks)}",
        f"{together.requests_done:,}/{together.requests_total:,}",
        f"{together.tokens + together.in_flight:,}",
        f"{speed:,.0f}" if speed else "-",
    )
    return shown
