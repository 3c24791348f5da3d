"""`same across engine.name`: an axis that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.gates.grammar import AXIS, ClaimKind
from harness.spec.gates.where import CaseGrid, Selection


@dataclass(frozen=True, slots=True)
class SameAcross(ClaimKind):
    """Cases that differ in this axis alone gave the same completions or measurements."""

    FORM = "same across AXIS"
    PATTERN = rf"same\s+across\s+({AXIS})"
    WORDS = ("same", "across")

    kind: Literal["same_across"] = field(default="same_across", kw_only=True, repr=False)
    axis: str
    """By its last part or its whole dotted field."""
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of an axis."""
        (axis,) = groups
        return cls(axis, where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError for an axis without two values, and for cases not in the grid."""
        axis = grid.axis(self.axis)
        if len(grid.axes[axis]) < 2:
            raise ValueError(f"{axis} has one value in {grid.experiment}; add those to compare")
        self.where.check(grid)
