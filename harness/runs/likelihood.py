"""Cases that measure likelihoods: from the scores of their samples to a result.

What is scored is asked, stored and shared as completions are; a result has no draws, only metrics
by sample. A sample that was refused has no likelihood: it is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from harness.engines.contract import Answer, Scored
from harness.interventions.base import Intervention
from harness.measure.likelihood import Choices, sample_metrics
from harness.runs.plan import PlannedCase
from harness.runs.scoring import did_nothing, result_of
from harness.store.results import CaseResult, InvariantResult

#: Nats per token between two batches of the same; half types round each logit to 2 or 3 digits.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
_TOLERANCE_OF_HALF = 0.25


def likelihood_result(
    case: PlannedCase,
    scored: Mapping[str, tuple[Choices | None, Answer]],
    baseline: CaseResult | None,
    intervention: Intervention | None,
    dtype: str,
) -> CaseResult:
    """The result of a case; `scored` has what was asked and what came of it by sample.

    `dtype` is the engine's, which says how equal a neutral dose and its baseline must be.
    """
    metrics: dict[str, dict[str, float]] = {}
    counts = Counter[str]()
    refused: list[str] = []
    for sample, (choices, answer) in scored.items():
        if choices is None or not isinstance(answer, Scored) or answer.error is not None:
            refused.append(f"{sample}: {answer.error}")
            continue
        for name, value in sample_metrics(choices, answer).items():
            metrics.setdefault(name, {})[sample] = value
        counts.update(answer.counts)
    if not metrics:
        failure = f"every scoring was refused, first {refused[0]}"
        return result_of(case, "failed", error=failure, intervention=intervention)
    warnings = [
        f"{len(refused)} of {len(scored)} samples could not be scored and are left out: {first}"
        for first in refused[:1]
    ]
    result = result_of(
        case,
        "complete",
        sample_metrics=metrics,
        counts=dict(counts),
        intervention=intervention,
        warnings=(*warnings, *did_nothing(counts)),
    )
    checks: tuple[InvariantResult, ...] = ()
    if result.is_neutral and baseline is not None and baseline.status == "complete":
        checks = (_neutral_equals_baseline(result, baseline, dtype),)
    return replace(result, task_size=len(scored) - len(refused), checks=checks)


def _neutral_equals_baseline(
    neutral: CaseResult, baseline: CaseResult, dtype: str
) -> InvariantResult:
    """An intervention at its neutral dose must leave the likelihood of every reference."""
    allowed = _TOLERANCE.get(dtype, _TOLERANCE_OF_HALF)
    own, theirs = (each.sample_metrics["reference_nll"] for each in (neutral, baseline))
    gaps = {
        sample: abs(value - theirs[sample]) if sample in theirs else float("inf")
        for sample, value in own.items()
    }
    sample = max(gaps, key=lambda sample: gaps[sample])
    return InvariantResult(
        "neutral_equals_baseline",
        neutral.case.id,
        holds=own.keys() == theirs.keys() and gaps[sample] <= allowed,
        detail=f"reference_nll of {len(own)} samples is at most {gaps[sample]:.1e} nats from the "
        f"baseline's, in {sample}; {allowed:g} allowed",
    )
