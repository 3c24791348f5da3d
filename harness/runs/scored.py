"""Cases whose measure scores given continuations: from the scores of their samples to a result.

What is scored is asked, stored and shared as completions are; a result has no draws, only metrics
by sample. A sample that was refused has no value: it is left out, and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import JsonValue

from harness.engines.contract import Reply, Scored
from harness.errors import StoreError
from harness.interventions.base import Intervention
from harness.interventions.counted import did_nothing
from harness.metrics.entry import MetricEntry
from harness.runs.generated import result_of
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult, InvariantResult

#: Nats per token between two batches of the same; half types round each logit to 2 or 3 digits.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
_TOLERANCE_OF_HALF = 0.25


def scored_result(
    case: PlannedCase,
    scored: Mapping[str, tuple[Any, Reply]],
    baseline: CaseResult | None,
    intervention: Intervention | None,
    dtype: str,
) -> CaseResult:
    """The result of a case; `scored` has what was asked, and what came of it, by sample.

    `dtype` is the engine's, which says how equal a neutral dose and its baseline must be.
    """
    metrics: dict[str, dict[str, JsonValue]] = {}
    counts = Counter[str]()
    refused: list[str] = []
    told: dict[str, tuple[Reply, ...]] = {}
    for sample, (asked, reply) in scored.items():
        if not isinstance(reply, Scored) or reply.error is not None:
            refused.append(f"{sample}: {reply.error}")
            continue
        for name, value in case.measure.values_of(asked, reply).items():
            metrics.setdefault(name, {})[sample] = value
        counts.update(reply.counts)
        told[sample] = (replace(reply, counts={}),)
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
    replies = {case.measure.name: told}
    return replace(result, task_size=len(told), checks=checks, replies=replies)


def valued_again(case: PlannedCase, result: CaseResult, tokenizer: Any) -> CaseResult:
    """A result with its metrics from the scores that were recorded; no model is asked.

    Raises:
        StoreError: the scores are of other tokens than those that would be asked now.
    """
    plan = Plan(tokenizer)
    metrics: dict[str, dict[str, JsonValue]] = {}
    recorded = result.replies[case.measure.name]
    for sample, replies in recorded.items():
        asked = plan.scored(case, case.task.by_id[sample])
        wanted = [] if isinstance(asked, str) else list(map(len, asked.continuations))
        told = [
            [list(map(len, values)) for values in (reply.log_probabilities, reply.greedy)]
            for reply in replies
            if isinstance(reply, Scored)
        ]
        if told != [[wanted, wanted]]:
            raise StoreError(
                f"{case.id}: the scores of {sample} are of other tokens than {case.task.name} and "
                "the tokenizer have now; run it again"
            )
        for name, value in case.measure.values_of(asked, replies[0]).items():
            metrics.setdefault(name, {})[sample] = value
    return replace(result, sample_metrics=metrics, task_size=len(recorded))


def tolerance(dtype: str) -> float:
    """Nats per token by which two batches of the same may differ, at an engine's precision."""
    return _TOLERANCE.get(dtype, _TOLERANCE_OF_HALF)


def _neutral_equals_baseline(
    neutral: CaseResult, baseline: CaseResult, dtype: str
) -> InvariantResult:
    """A neutral dose must leave what the measure reads, but for the rounding of a batch.

    The first metric that is no share tells: rounding may turn a choice between equals.
    """
    allowed = tolerance(dtype)
    entry: MetricEntry = min(neutral.measure.entries(), key=lambda entry: entry.share)
    metric = entry.name
    own, theirs = (
        {sample: entry.of([value]) for sample, value in result.sample_metrics[metric].items()}
        for result in (neutral, baseline)
    )
    gaps = {
        sample: abs(value - theirs[sample]) if sample in theirs else math.inf
        for sample, value in own.items()
    }
    sample = max(gaps, key=lambda sample: gaps[sample])
    return InvariantResult(
        "neutral_equals_baseline",
        neutral.case.id,
        holds=own.keys() == theirs.keys() and gaps[sample] <= allowed,
        detail=f"{metric} of {len(own)} samples is at most {gaps[sample]:.1e} from the "
        f"baseline's, in {sample}; {allowed:g} allowed",
    )
