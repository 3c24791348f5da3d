"""A worker's side of a run: all of them collect the same, and each is dealt some of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.claims.claims import Claims
from harness.launch.board import Pin
from harness.launch.xdist.orders import Assignment, Orders, say_places, told_crashed
from harness.runs.partition import partition
from harness.runs.planned_case import PlannedCase
from harness.runs.session import Session, opened_session


def open_worker(
    workerinput: Mapping[str, Any],
    root: Path,
    *,
    store: Path | None,
    fresh: bool,
    further: bool,
    claims: Claims,
) -> Session | None:
    """The session of a worker; None where its controller knew of no benches.

    Raises:
        StoreError: the completion store cannot be used.
    """
    orders = Orders.found_in(workerinput)
    if orders is None:
        return None
    directory = Path(orders.directory)
    process = workerinput["workerid"]
    return opened_session(
        root,
        orders.command,
        Pin(directory, process),
        store=store,
        fresh=fresh,
        further=further,
        process=process,
        id=orders.run,
        started=datetime.fromisoformat(orders.started),
        report=Path(orders.report),
        claims=claims,
        abandoned=lambda: told_crashed(directory),
    )


def plan_parts(
    workerinput: Mapping[str, Any], session: Session, cases: Sequence[PlannedCase]
) -> None:
    """Cut the cases into a part for each worker, and tell the controller what it deals out."""
    distinct = {case.id: case for case in cases}
    parts = partition(list(distinct.values()), workerinput["workercount"])
    session.plan(cases, parts)
    session.begin()
    part_of = {case.id: number for number, part in enumerate(parts) for case in part}
    orders = Orders.found_in(workerinput)
    assert orders is not None
    places = {str(case.nodeid): Assignment(part_of[case.id], case.id) for case in cases}
    say_places(Path(orders.directory), places)
