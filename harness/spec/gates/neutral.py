"""`neutral_equals_baseline`: a dose that must change nothing changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Self

from harness.spec.gates.grammar import ClaimKind
from harness.spec.gates.where import CaseGrid, Selection

NEUTRAL_EQUALS_BASELINE: Final = "neutral_equals_baseline"


@dataclass(frozen=True, slots=True)
class NeutralEqualsBaseline(ClaimKind):
    """Every neutral case gave its baseline's completions, token for token."""

    FORM = PATTERN = NEUTRAL_EQUALS_BASELINE

    kind: Literal["neutral_equals_baseline"] = field(
        default=NEUTRAL_EQUALS_BASELINE, kw_only=True, repr=False
    )
    where: ClassVar[None] = None
    """It speaks of all neutral cases, and of no others."""

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The one claim of this kind."""
        del groups, where
        return cls()

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError where nothing is intervened in."""
        if not grid.has_baselines:
            raise ValueError(
                f"{grid.experiment} intervenes in nothing, so that it has neither neutral cases "
                "nor baselines; leave this gate out"
            )
