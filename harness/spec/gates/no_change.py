"""`pass@1: worse, p<0.05`: what must not be found when a run is compared with a saved one.

A command line states it as a rule; which saved run it is judged against is said beside it. Reports
have both as one gate: `compare 0001_main: pass@1: worse, p<0.05`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from harness.spec.gates.grammar import METRIC, NUMBER, close, level

Change: TypeAlias = Literal["worse", "better", "different"]

_RULE = rf"({METRIC})\s*:\s*(worse|better|different)(?:\s*,\s*p\s*<\s*({NUMBER}))?"


@dataclass(frozen=True, slots=True)
class NoChange:
    """No case changed so against the saved run."""

    kind: Literal["no_change"] = field(default="no_change", kw_only=True, repr=False)
    saved: str
    metric: str
    change: Change
    alpha: float | None
    """Only where Holm's p is below this; None for any change at all."""


@dataclass(frozen=True, slots=True)
class ChangeRule:
    """A claim of no change before it is known against what; `str` is as it was written."""

    metric: str
    change: Change
    alpha: float | None
    text: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def against(self, saved: str) -> tuple[str, NoChange]:
        """The text and the claim of the gate that it is against a saved run."""
        return f"compare {saved}: {self}", NoChange(saved, self.metric, self.change, self.alpha)

    @classmethod
    def of(cls, text: str, claim: NoChange) -> ChangeRule:
        """The rule that was judged as the gate of this text and claim."""
        stated = text.removeprefix(f"compare {claim.saved}: ")
        return cls(claim.metric, claim.change, claim.alpha, stated)


def parse_rule(text: str) -> ChangeRule:
    """Read what a comparison must not find; a ValueError says what would be accepted."""
    found = re.fullmatch(rf"\s*{_RULE}\s*", text)
    if found is None:
        _, colon, after = text.partition(":")
        first = re.split(r"[\s,]", after.strip(), maxsplit=1)[0]
        meant = close(first, ("worse", "better", "different")) if colon else ""
        raise ValueError(
            f"{text!r} is not a rule;{meant} it should be METRIC: worse|better|different[, p<A], "
            "such as 'pass@1: worse, p<0.05'"
        )
    metric, change, alpha = found.groups()
    try:
        return ChangeRule(
            metric, cast("Change", change), None if alpha is None else level(alpha), text
        )
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def judged_rule(text: str) -> NoChange | None:
    """The claim of a report's gate; None where it came from no rule."""
    found = re.fullmatch(rf"compare (.+): (\s*{_RULE}\s*)", text)
    if found is None:
        return None
    saved, stated, *_ = cast("tuple[Any, ...]", found.groups())
    return parse_rule(stated).against(saved)[1]
