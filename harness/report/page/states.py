"""What came of a check, as the page shows it: a claim that nothing decided was not found untrue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from harness.report.report import GateReport, InvariantReport

State = Literal["violated", "undecided", "unchecked", "holds"]

_FAILED: tuple[State, ...] = ("violated", "undecided")
_WORST_FIRST: tuple[State, ...] = (*_FAILED, "unchecked", "holds")


def state_of(found: InvariantReport | GateReport) -> State:
    """Of what was checked; `unchecked` is what could not be, for want of cases."""
    return "holds" if found.holds else "undecided" if found.undecided else "violated"


def rank(state: State) -> int:
    """The lower the worse."""
    return _WORST_FIRST.index(state)


def worst(states: Sequence[State]) -> State:
    """The worst of what was checked; of nothing that was, `unchecked`."""
    return min((each for each in states if each != "unchecked"), key=rank, default="unchecked")


def summary(states: Sequence[State]) -> str:
    """`1 of 3 violated, 1 of 3 undecided`, or `all 3 hold`; and how many were not judged."""
    found = Counter(states)
    waiting = found.pop("unchecked", 0)
    parts = [f"{found[each]} of {found.total()} {each}" for each in _FAILED if found[each]]
    if found and not parts:
        parts.append(f"all {found.total()} hold")
    return ", ".join(parts + [f"{waiting} not judged"] * bool(waiting))
