"""Requests that several workers need, each of which one worker makes first.

Baselines are what the parts of a cut model have in common. Every worker makes its share of them,
then all of its own requests, and takes the others' shares from the store as they appear there. At
its end it makes whatever is still missing: no worker waits for one that may be dead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from harness.engines.contract import Asked
from harness.errors import TitrateError
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase


def awaited(
    plan: Plan,
    untouched: Sequence[Asked],
    parts: Mapping[int, Sequence[PlannedCase]],
    part: int,
) -> list[Asked]:
    """The baselines that another part makes first; none where nothing is shared.

    Args:
        plan: That of the part's cases.
        untouched: What the baselines of the part ask.
        parts: The cases of every part, by its number.
        part: The number of this one.
    """
    if part not in parts:
        return []
    firsts = {
        number: {
            first.id: first
            for case in cases
            if case.experiment.stop is None
            for first in [case.baseline or case]
        }
        for number, cases in parts.items()
    }
    needed = {part: list(untouched)}
    for number in firsts.keys() - {part}:
        needed[number] = []
        for first in firsts[number].values():
            # A prompt that cannot be rendered fails its case where that case is run.
            with suppress(TitrateError):
                needed[number] += [request for _, request in plan.requests(first, None)]
    return left_to_others(needed, part)


def left_to_others(needed: Mapping[int, Sequence[Asked]], part: int) -> list[Asked]:
    """Which of the requests that a part needs are another part's to make first.

    Args:
        needed: The requests of every part, by its number; the same in all workers.
        part: One of these numbers.

    A request of several parts is one of theirs in turn, so that each has an equal share of what it
    has in common with the same others.
    """
    members = {number: set(requests) for number, requests in needed.items()}
    turn = Counter[tuple[int, ...]]()
    others = []
    for request in dict.fromkeys(each for number in sorted(needed) for each in needed[number]):
        sharing = tuple(number for number in sorted(needed) if request in members[number])
        owner = sharing[turn[sharing] % len(sharing)]
        turn[sharing] += 1
        if part in sharing and owner != part:
            others.append(request)
    return others
