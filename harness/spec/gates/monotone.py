"""`pass@1 monotone falling within CI`: a dose-response without a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.gates.grammar import METRIC, ClaimKind
from harness.spec.gates.where import CaseGrid, Selection


@dataclass(frozen=True, slots=True)
class Monotone(ClaimKind):
    """A dose-response that does not turn by more than its intervals allow."""

    FORM = "[METRIC] monotone [rising|falling] within CI"
    PATTERN = rf"(?:({METRIC})\s+)?monotone(?:\s+(rising|falling))?\s+within\s+CI"
    WORDS = ("monoton",)

    kind: Literal["monotone"] = field(default="monotone", kw_only=True, repr=False)
    metric: str | None
    """None for the task's primary metric."""
    direction: Literal["rising", "falling"] | None
    """None for either, as long as it is the same all the way."""
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of metric and direction."""
        metric, direction = groups
        if where.baseline:
            raise ValueError("a baseline has no dose; name the doses' cases instead")
        return cls(metric, direction, where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError where there is no dose, and for cases that are not in the grid."""
        if grid.dose is None:
            raise ValueError(
                f"{grid.experiment} has no dose; name the axis along which the intervention grows "
                "stronger (dose: AXIS)"
            )
        self.where.check(grid)
