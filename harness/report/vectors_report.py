"""How long the vectors are that a case adds, and how long beside what they are added to."""

from __future__ import annotations

import numpy as np

from harness.interventions.base import Intervention
from harness.interventions.residual import Residual, Term
from harness.report.report import VectorNorm


def vector_norms(intervention: Intervention | None) -> tuple[VectorNorm, ...]:
    """The norms of the vectors that are added, in the order of their terms; none of others."""
    if not isinstance(intervention, Residual):
        return ()
    return tuple(_norm(term) for term in intervention.additions())


def _norm(term: Term) -> VectorNorm:
    # A vector with a row for each step is as long as its rows are on average.
    norm = float(np.linalg.norm(term.vector.numpy().astype(np.float64), axis=-1).mean())
    known = term.residual_norm
    return VectorNorm(
        layer=term.layer,
        site=term.site,
        norm=norm,
        residual_norm=known,
        relative=None if known is None else norm / known,
    )
