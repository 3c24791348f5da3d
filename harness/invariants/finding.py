"""What came of checking an identity: whether it holds, and where completions first part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.engines.contract import Completion
from harness.store.results import Departure


class CheckName(NamedTuple):
    """An identity that is checked on a whole model, as reports name it."""

    name: str
    case: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an identity holds, in words. A departure is given where completions are compared."""

    holds: bool
    detail: str
    departure: Departure | None = None


States = Mapping[str, tuple[float, ...]]
Compared = tuple[str, Completion, Completion]
"""A request's name, what came of it, and the completion that this must equal."""


def equal(pairs: Iterable[Compared], *, tolerance: float, counts: bool = True) -> Finding:
    """Whether all completions equal those that they must equal.

    Tokens, texts, finish reasons and errors have to be the same, log-probabilities and states
    within `tolerance` (nats; 0 asks for the same bits), and what the intervention counted too,
    unless `counts` says that the two did different things.
    """
    number = 0
    for number, (name, own, expected) in enumerate(pairs, start=1):  # noqa: B007 - counts on
        departure = Departure.between(name, own, expected, tolerance=tolerance)
        if departure is not None:
            return Finding(holds=False, detail=str(departure), departure=departure)
        for field in ("text", "finish_reason", "error", *(["counts"] if counts else [])):
            mine, theirs = getattr(own, field), getattr(expected, field)
            if mine != theirs:
                return Finding(
                    holds=False, detail=f"{name}: {field} {mine!r} instead of {theirs!r}"
                )
        if not _near(own.states, expected.states, tolerance):
            detail = f"{name}: states {dict(own.states)} instead of {dict(expected.states)}"
            return Finding(holds=False, detail=detail)
    if not number:
        return Finding(holds=False, detail="undecided: nothing was compared")
    return Finding(holds=True, detail=f"{number} completions")


def _near(own: States, expected: States, tolerance: float) -> bool:
    """Whether two sequences' states have the same numbers, but for rounding."""
    return own.keys() == expected.keys() and all(
        len(numbers) == len(expected[name])
        and all(abs(a - b) <= tolerance for a, b in zip(numbers, expected[name], strict=True))
        for name, numbers in own.items()
    )


def first_violation(problems: Iterable[str | None], held: str) -> Finding:
    """Holds where no problem is found (each is None); `held` says of what."""
    number = 0
    for number, problem in enumerate(problems, start=1):  # noqa: B007 - counts on
        if problem is not None:
            return Finding(holds=False, detail=problem)
    if not number:
        return Finding(holds=False, detail=f"undecided: no {held} to check")
    return Finding(holds=True, detail=f"{number} {held}")
