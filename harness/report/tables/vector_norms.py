"""How long the vectors are that a case adds, and how long beside what they are added to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.interventions.base import Intervention
from harness.report.report import CaseReport, VectorNorm

if TYPE_CHECKING:
    from harness.interventions.steering import Term


def vector_norms(intervention: Intervention | None) -> tuple[VectorNorm, ...]:
    """The norms of a steering's vectors in the order of its terms; none of anything else's."""
    if intervention is None or intervention.kind != "steering":
        return ()
    from harness.interventions.steering import Steering  # torch, which reports of masks do without

    assert isinstance(intervention, Steering)
    return tuple(_norm(term) for term in intervention.terms)


def _norm(term: Term) -> VectorNorm:
    # A vector with a row for each step is as long as its rows are on average.
    import numpy as np  # which costs whoever prints a table a tenth of a second

    norm = float(np.linalg.norm(term.vector.numpy().astype(np.float64), axis=-1).mean())
    known = term.residual_norm
    return VectorNorm(
        layer=term.layer,
        site=term.site,
        norm=norm,
        residual_norm=known,
        relative=None if known is None else norm / known,
    )


def norms_text(cases: Iterable[CaseReport]) -> str:
    """Each place and length once, as a sentence; empty where nothing was steered."""
    parts: dict[str, None] = {}
    for case in cases:
        for each in case.vectors:
            place = f"layer {each.layer}" + ("" if each.site == "block" else f" {each.site}")
            length = f"{each.norm:.3g}"
            if each.relative is not None:
                length += (
                    f" ({each.relative:.2g} of the residual stream's {each.residual_norm:.3g})"
                )
            parts[f"{place}: {length}"] = None
    return f"norms of the vectors: {'; '.join(parts)}" if parts else ""
