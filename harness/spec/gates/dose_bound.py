"""`ed50(pass@1) >= 4`, `bmdl(pass@1, 0.05) >= 2`: a dose on one side of a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.spec.doses import RESPONSE
from harness.spec.gates.grammar import METRIC, NUMBER, ClaimKind
from harness.spec.gates.where import CaseGrid, Selection


@dataclass(frozen=True, slots=True)
class DoseBound(ClaimKind):
    """The dose of a part of a curve's change, or the one that is safe, compared with a number."""

    FORM = "ed50(METRIC) >= DOSE (or <=; ed1 to ed99), or bmdl(METRIC, 0.05) >= DOSE"
    PATTERN = (
        rf"(ed[1-9][0-9]?|bmdl)\(\s*({METRIC})\s*(?:,\s*({NUMBER})\s*)?\)\s*(>=|<=)\s*({NUMBER})"
    )
    WORDS = ("ed50", "bmdl", "ED50", "BMDL")

    kind: Literal["dose_bound"] = field(default="dose_bound", kw_only=True, repr=False)
    of: str
    """bmdl, or ed50: ed and the part of the whole change in per cent."""
    metric: str
    response: float | None
    """The change that a benchmark dose is of, in the metric's unit; None for an ED_x."""
    operator: Literal[">=", "<="]
    dose: float
    where: Selection

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim of dose, metric, response, operator and number."""
        of, metric, response, operator, dose = groups
        if where.baseline:
            raise ValueError("a baseline has no dose; name the doses' cases instead")
        if of != "bmdl" and response is not None:
            raise ValueError(f"an {of.upper()} takes no response; write {of}({metric})")
        if of == "bmdl" and operator == "<=":
            raise ValueError("a lower bound shows that no dose below it harms; write bmdl(...) >=")
        change = None if of != "bmdl" else float(response or RESPONSE)
        if change is not None and change <= 0:
            raise ValueError(f"a response of {response} is no change; use a number above 0")
        return cls(of, metric, change, operator, float(dose), where)

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError where there is no curve, and for cases that are not in the grid."""
        grid.check_doses()
        self.where.check(grid)
