"""`ed50(pass@1) >= 4`, `bmdl(pass@1, 0.05) >= 2`: a dose on one side of a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.gates.grammar import METRIC, NUMBER, ClaimKind
from harness.spec.gates.where import CaseGrid, Selection

#: The change that a benchmark dose is of, where none is written.
RESPONSE = 0.05


@dataclass(frozen=True, slots=True)
class DoseBound(ClaimKind):
    """The dose of half of a curve's change, or the one that is safe, compared with a number."""

    FORM = "ed50(METRIC) >= DOSE, or bmdl(METRIC, 0.05) >= DOSE (or <=)"
    PATTERN = rf"(ed50|bmdl)\(\s*({METRIC})\s*(?:,\s*({NUMBER})\s*)?\)\s*(>=|<=)\s*({NUMBER})"
    WORDS = ("ed50", "bmdl", "ED50", "BMDL")

    kind: Literal["dose_bound"] = field(default="dose_bound", kw_only=True, repr=False)
    of: Literal["ed50", "bmdl"]
    metric: str
    response: float | None
    """The change that a benchmark dose is of, in the metric's unit; None for an ED50."""
    operator: Literal[">=", "<="]
    dose: float
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of dose, metric, response, operator and number."""
        of, metric, response, operator, dose = groups
        if where.baseline:
            raise ValueError("a baseline has no dose; name the doses' cases instead")
        if of == "ed50" and response is not None:
            raise ValueError(f"an ED50 takes no response; write ed50({metric})")
        if of == "bmdl" and operator == "<=":
            raise ValueError("a lower bound shows that no dose below it harms; write bmdl(...) >=")
        change = None if of == "ed50" else float(response or RESPONSE)
        if change is not None and change <= 0:
            raise ValueError(f"a response of {response} is no change; use a number above 0")
        return cls(of, metric, change, operator, float(dose), where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError where there is no dose, and for cases that are not in the grid."""
        if grid.dose is None:
            raise ValueError(
                f"{grid.experiment} has no dose; name the axis along which the intervention grows "
                "stronger (dose: AXIS)"
            )
        self.where.check(grid)
