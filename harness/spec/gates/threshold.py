"""`pass@1 >= 0.9`, `pass@1.ci_low > 0.8`: a metric on one side of a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.gates.grammar import METRIC, NUMBER, ClaimKind
from harness.spec.gates.where import CaseGrid, Selection


@dataclass(frozen=True, slots=True)
class Threshold(ClaimKind):
    """A metric's mean, or a bound of its interval, compared with a number in every case."""

    FORM = "METRIC >= NUMBER (or > <= < ==; METRIC.ci_low)"
    PATTERN = rf"({METRIC})(?:\.(ci_low|ci_high))?\s*(>=|<=|==|>|<)\s*({NUMBER})"

    kind: Literal["threshold"] = field(default="threshold", kw_only=True, repr=False)
    metric: str
    bound: Literal["value", "ci_low", "ci_high"]
    operator: Literal[">=", "<=", "==", ">", "<"]
    value: float
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of metric, bound, operator and number."""
        metric, bound, operator, value = groups
        return cls(metric, bound or "value", operator, float(value), where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError for cases that are not in the grid."""
        self.where.check(grid)
