"""`window(tool_call, pass@1) exists`: a dose does half of the one and spares the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.doses import RESPONSE
from harness.spec.gates.grammar import METRIC, NUMBER, ClaimKind
from harness.spec.gates.where import CaseGrid, Selection


@dataclass(frozen=True, slots=True)
class WindowExists(ClaimKind):
    """All of a target's ED50 interval lies below a capability's BMDL, in every curve."""

    FORM = "window(TARGET, CAPABILITY) exists, or window(TARGET, CAPABILITY, 0.05) exists"
    PATTERN = rf"window\(\s*({METRIC})\s*,\s*({METRIC})\s*(?:,\s*({NUMBER})\s*)?\)\s*exists"
    WORDS = ("window",)

    kind: Literal["window"] = field(default="window", kw_only=True, repr=False)
    target: str
    capability: str
    response: float
    """The loss of the capability that counts, in its unit."""
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of target, capability and response."""
        target, capability, response = groups
        if where.baseline:
            raise ValueError("a baseline has no dose; name the doses' cases instead")
        if target == capability:
            raise ValueError(f"{target} is both; name what must be kept behind what is wanted")
        change = float(response or RESPONSE)
        if change <= 0:
            raise ValueError(f"a response of {response} is no change; use a number above 0")
        return cls(target, capability, change, where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError where there is no curve, and for cases that are not in the grid."""
        grid.check_doses()
        self.where.check(grid)
