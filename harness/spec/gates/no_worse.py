"""`pass@1 no worse than main by more than 0.02 (paired, p < 0.05)`: non-inferiority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.gates.grammar import METRIC, NUMBER, ClaimKind, level
from harness.spec.gates.where import CaseGrid, Selection


@dataclass(frozen=True, slots=True)
class NoWorse(ClaimKind):
    """Every case is shown to be less than D below the same case of a saved run."""

    FORM = "[METRIC] no worse than SAVED by more than D (paired, p < A)"
    PATTERN = (
        rf"(?:({METRIC})\s+)?no\s+worse\s+than\s+([A-Za-z0-9_.+-]+)\s+by\s+more\s+than\s+({NUMBER})"
        rf"\s*\(\s*paired\s*,\s*p\s*<\s*({NUMBER})\s*\)"
    )
    WORDS = ("worse",)

    kind: Literal["no_worse"] = field(default="no_worse", kw_only=True, repr=False)
    metric: str | None
    """None for the task's primary metric."""
    saved: str
    margin: float
    alpha: float
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of metric, saved run, margin and level."""
        metric, saved, margin, alpha = groups
        if not float(margin) > 0:
            raise ValueError(
                f"by more than {margin}; the margin must be above 0, because no number of samples "
                "shows that two runs are exactly alike"
            )
        return cls(metric, saved, float(margin), level(alpha), where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError for cases that are not in the grid."""
        self.where.check(grid)
