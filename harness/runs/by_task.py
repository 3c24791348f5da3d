"""Cases whose task says itself what is asked and counts what comes of it: to a result.

What is generated leaves draws, as anywhere; what is scored leaves the log-likelihood of each
continuation, by which it can be counted again. A sample of which a request was refused has no
value: it is left out, and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.engines.contract import Completion, Reply, Request, Scored
from harness.errors import TitrateError
from harness.interventions.base import Intervention
from harness.interventions.counted import did_nothing
from harness.runs.counting import count
from harness.runs.generated import result_of
from harness.runs.invariants import neutral_equals_baseline
from harness.runs.plan import Address
from harness.runs.planned_case import PlannedCase
from harness.runs.scored import tolerance
from harness.store.results import CaseResult, DrawResult, InvariantResult, agreed
from harness.tasks.base import Score

#: A log-likelihood is a sum over tokens: of so many, each may be off by an engine's tolerance.
_TOKENS = 100
_UNJUDGED = Score(correct=None, parsed=True)


def told_by_task(
    case: PlannedCase,
    asked: Mapping[str, Any],
    replies: Mapping[Address, Reply],
    baseline: CaseResult | None,
    intervention: Intervention | None,
    tokenizer: Any,
    dtype: str,
) -> CaseResult:
    """The result of a case that has all its replies; `asked` says by sample what they are to.

    `dtype` is the engine's, which says how equal a neutral dose and its baseline must be.
    """
    answers: dict[str, list[list[Any]]] = {}
    draws: list[DrawResult] = []
    scores: dict[str, tuple[Reply, ...]] = {}
    counts = Counter[str]()
    refused: list[str] = []
    cut = 0
    for sample, own in asked.items():
        known = 1 if isinstance(own, str) else len(own.asked)
        came = [replies[Address(case.id, sample, number)] for number in range(known)]
        error = next((each.error for each in came if each.error is not None), None)
        if error is not None:
            refused.append(f"{sample}: {error}")
            continue
        answers[sample] = own.answers(came)
        texts = iter([text for said in answers[sample] for text in said if isinstance(text, str)])
        for number, (request, reply) in enumerate(zip(own.asked, came, strict=True)):
            counts.update(reply.counts)
            if isinstance(request, Request) and isinstance(reply, Completion):
                cut += reply.finish_reason == "length"
                prompt = str(tokenizer.decode(request.prompt))
                made = replace(reply, text=next(texts))
                draws.append(DrawResult(sample, number, prompt, made, _UNJUDGED))
        scored = [said[0] for said in answers[sample] if said and not isinstance(said[0], str)]
        if scored:
            scores[sample] = (_recorded(scored),)
    warnings = [
        f"{len(refused)} of {len(asked)} samples could not be asked and are left out: {first}"
        for first in refused[:1]
    ]
    if cut:
        warnings.append(f"{cut} of {len(draws)} completions were cut off at their length limit")
    result = result_of(
        case,
        "complete",
        draws=tuple(draws),
        counts=dict(counts),
        intervention=intervention,
        warnings=(*warnings, *did_nothing(counts)),
    )
    result = replace(result, replies={case.measure.name: scores} if scores else {})
    if not answers:
        failure = f"every request was refused, first {refused[0]}"
        return replace(result, status="failed", error=failure)
    result = counted(case, result, answers, lambda: tokenizer)
    result = _beside(result, baseline)
    return replace(result, checks=tuple(_checks(result, baseline, dtype)))


def counted(
    case: PlannedCase,
    result: CaseResult,
    answers: Mapping[str, Sequence[Sequence[Any]]],
    tokenizer: Callable[[], Any],
) -> CaseResult:
    """A result with what its task counts of the answers."""
    try:
        found = case.measure.outcome_of(case.case, case.task, answers, tokenizer)
    except TitrateError as error:
        return replace(result, status="failed", error=str(error))
    beside = count(case, result.draws, {})
    values = {**found.values, **beside.values}
    failures = {**found.failures, **beside.failures}
    metric, failure = case.metric, None
    if metric not in values and case.experiment.metric is None and found.values:
        metric = next(iter(found.values))  # some tasks count by other names than they say
    if metric not in values:
        reasons = failures.get(metric, {})
        why = next(iter(reasons.values()), "the task counts it of no document")
        failure = f"{metric} has no value: {why}"
    draws = tuple(
        replace(draw, score=scores[draw.draw] if len(scores) > 1 else scores[0])
        for draw in result.draws
        for scores in [found.verdicts.get(draw.sample, [_UNJUDGED])]
    )
    warnings = [
        f"{metric} has no value for {len(failed)} samples, which are left out of it; first "
        f"{next(iter(failed))}: {next(iter(failed.values()))}"
        for metric, failed in failures.items()
    ]
    if result.isolation is not None:
        warnings.append(
            "answers are programs, which ran in the sandbox of this project and not as lm-eval "
            "runs them: the number is ours"
        )
    return replace(
        result,
        metric=metric,
        status="complete" if failure is None else "failed",
        error=failure,
        draws=draws,
        sample_metrics=values if failure is None else {},
        failures=failures,
        entries=found.entries,
        task_size=len(answers),
        warnings=(*result.warnings, *warnings),
    )


def counted_again(
    case: PlannedCase, result: CaseResult, tokenizer: Callable[[], Any]
) -> CaseResult:
    """What a task counts of the answers that a run has recorded; no model is asked."""
    recorded = result.recorded_answers()
    answers = case.measure.answers_again(case.case, case.task, recorded, tokenizer)
    kept = [each for each in result.warnings if "could not be asked" in each or "cut off" in each]
    return counted(case, replace(result, warnings=tuple(kept)), answers, tokenizer)


def _recorded(scored: Sequence[Any]) -> Scored:
    """The log-likelihood of each continuation, and whether it is greedy, as one reply."""
    pairs = [each if isinstance(each, list) else [each, False] for each in scored]
    return Scored(tuple((p[0],) for p in pairs), tuple((bool(p[1]),) for p in pairs))


def _beside(result: CaseResult, baseline: CaseResult | None) -> CaseResult:
    """The result with how long its completions follow those of its baseline."""
    if baseline is None:
        return result
    theirs = {(draw.sample, draw.draw): draw.completion.tokens for draw in baseline.draws}
    draws = tuple(
        replace(draw, agreement=agreed(draw.completion.tokens, theirs[draw.sample, draw.draw]))
        if (draw.sample, draw.draw) in theirs
        else draw
        for draw in result.draws
    )
    return replace(result, draws=draws)


def _checks(result: CaseResult, baseline: CaseResult | None, dtype: str) -> list[InvariantResult]:
    """That a neutral dose leaves completions token for token, and scores but for rounding."""
    if not result.is_neutral or baseline is None:
        return []
    if not result.status == baseline.status == "complete":
        return []
    if result.draws:
        return [neutral_equals_baseline(result, baseline)]
    allowed = tolerance(dtype) * _TOKENS
    name = result.case.experiment.measure
    theirs = baseline.replies.get(name, {})
    gaps = {
        sample: _gap(replies, theirs.get(sample, ()))
        for sample, replies in result.replies.get(name, {}).items()
    }
    sample = max(gaps, key=lambda sample: gaps[sample])
    return [
        InvariantResult(
            "neutral_equals_baseline",
            result.case.id,
            holds=gaps[sample] <= allowed,
            detail=f"log-likelihoods of {len(gaps)} samples are at most {gaps[sample]:.1e} from "
            f"the baseline's, in {sample}; {allowed:g} allowed",
        )
    ]


def _gap(own: Sequence[Reply], other: Sequence[Reply]) -> float:
    """The largest difference of two log-likelihoods that must be equal."""
    mine, theirs = (
        [each[0] for reply in side if isinstance(reply, Scored) for each in reply.log_probabilities]
        for side in (own, other)
    )
    if len(mine) != len(theirs):
        return math.inf
    return max((abs(a - b) for a, b in zip(mine, theirs, strict=True)), default=0.0)
