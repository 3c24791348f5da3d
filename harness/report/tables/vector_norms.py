"""How long the vectors are that a case adds, and how long beside what they are added to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import JsonValue

from harness.interventions.base import Intervention
from harness.interventions.residual import Residual, Term
from harness.report.report import CaseReport, VectorNorm


def vector_norms(intervention: Intervention | None) -> tuple[VectorNorm, ...]:
    """The norms of the vectors that are added, in the order of their terms; none of others."""
    if not isinstance(intervention, Residual):
        return ()
    return tuple(_norm(term) for term in intervention.additions())


def _norm(term: Term) -> VectorNorm:
    # A vector with a row for each step is as long as its rows are on average.
    import numpy as np  # here: it takes 0.1 s, and other tables do not need it

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
    files: dict[str, None] = {}
    for case in cases:
        if case.vectors:
            files |= dict.fromkeys(_files(case.settings.get("intervention")))
        for each in case.vectors:
            place = f"layer {each.layer}" + ("" if each.site == "block" else f" {each.site}")
            length = f"{each.norm:.3g}"
            if each.relative is not None:
                length += (
                    f" ({each.relative:.2g} of the residual stream's {each.residual_norm:.3g})"
                )
            parts[f"{place}: {length}"] = None
    of = f" of {', '.join(files)}" if files else ""
    return f"norms of the vectors{of}: {'; '.join(parts)}" if parts else ""


def _files(section: JsonValue) -> Iterator[str]:
    """The names of the files that a section takes its pairs or vectors from; none of what is
    built in, whose names are no paths.
    """
    if isinstance(section, list):
        for each in section:
            yield from _files(each)
    elif isinstance(section, dict):
        for name, value in section.items():
            if name in {"pairs", "file"} and isinstance(value, str):
                if "/" in value:
                    yield Path(value).name
            else:
                yield from _files(value)
