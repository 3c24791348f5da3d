"""From a case's completions to its result: scored, compared with its baseline, with its warnings.

The same for completions that were just made, that came from the store, and that a run recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from sys import intern
from typing import Any

from pydantic import JsonValue

from harness.engines.contract import Completion
from harness.interventions.base import Intervention
from harness.interventions.counted import did_nothing
from harness.metrics.column import columns_of
from harness.runs.counting import SampleValues, count, described
from harness.runs.plan import Address
from harness.runs.planned_case import PlannedCase
from harness.sampling.chosen import SamplingRules
from harness.store.results import (
    CaseResult,
    CaseStatus,
    DrawResult,
    Replies,
    SampleMetrics,
    agreed,
    answer_of,
)
from harness.store.verdicts import Verdicts
from harness.tasks.base import Score
from harness.tasks.reasoning import opened_by

_DOUBTS = {
    "stalled": (
        "timed out by the wall clock, also when run alone, and count as wrong: they wait for "
        "something, or this machine is too busy"
    ),
    "unjudged": "could not be judged and count as wrong; correct or remove their records",
}
_SHOWN = 3


def scored(
    case: PlannedCase,
    completions: Sequence[tuple[Address, str, Completion]],
    baseline: CaseResult | None,
    intervention: Intervention | None,
    verdicts: Verdicts | None = None,
    replies: Replies | None = None,
) -> CaseResult:
    """Score a complete case and compare its tokens with the baseline's.

    `completions` are `(address, prompt, completion)` in the order of samples and draws. What
    `verdicts` know is not judged again; by default nothing is known. `replies` are what came back
    for what metrics have asked. A scorer that breaks, a case whose every request was refused, one
    whose every completion ended in logits that are not finite, and one of whose primary metric no
    sample has a value, come back as a failed result; its completions stay in it, so that they can
    be scored again. A sample of which a request failed has no value: it is left out, and counted.
    """
    style = case.experiment.prompt.style
    failure: str | None = None
    try:
        scores = (verdicts or Verdicts()).score(
            case.task,
            [
                (case.task.by_id[address.sample], style, opened_by(prompt) + completion.text)
                for address, prompt, completion in completions
            ],
        )
    except Exception as error:
        failure = f"scoring: {described(error)}"
        scores = [Score(correct=False, parsed=False, detail=failure)] * len(completions)
    reference = {} if baseline is None else dict(baseline.tokens_of_each)
    draws = tuple(
        DrawResult(
            sample=address.sample,
            draw=address.draw,
            prompt=prompt,
            completion=completion,
            score=score if completion.error is None else _unanswered(score, completion.error),
            agreement=(
                None
                if (address.sample, address.draw) not in reference
                or completion.finish_reason == "failed"
                else agreed(completion.tokens, reference[address.sample, address.draw])
            ),
        )
        for (address, prompt, completion), score in zip(completions, scores, strict=True)
    )
    errors = [draw.completion.error for draw in draws if draw.completion.error is not None]
    lost = {
        draw.sample: str(draw.completion.error)
        for draw in reversed(draws)
        if draw.completion.finish_reason == "failed"
    }
    if len(lost) == case.task.size:
        failure = f"every sample has a request that failed, first {lost[draws[0].sample]}"
    elif len(errors) == len(draws):
        failure = f"every request was refused, first {errors[0]}"
    elif all(draw.completion.finish_reason in ("error", "non_finite") for draw in draws):
        untouched = intervention is None or (baseline is not None and baseline.status == "failed")
        failure = (
            "every completion ended in logits that are not finite; "
            f"{'mend the weights' if untouched else 'weaken the dose'}, or use a wider engine.dtype"
        )
    asked = dict(replies or {})
    counted = SampleValues({}, {})
    if failure is None:
        known = tuple(draw for draw in draws if draw.sample not in lost)
        counted = count(case, known, asked)
        failure = counted.failure_of(case.metric)
    if failure is not None:
        result = result_of(case, "failed", error=failure, draws=draws, intervention=intervention)
        return replace(result, replies=asked)
    counts = Counter[str]()
    for draw in draws:
        counts.update(draw.completion.counts)
    result = result_of(
        case,
        "complete",
        draws=draws,
        sample_metrics={**_task_metrics(case, known), **counted.values},
        counts=dict(counts),
        intervention=intervention,
        warnings=(*_warnings(case, draws, counts), *counted.warnings()),
    )
    failures = {
        metric: {**lost, **counted.failures.get(metric, {})}
        for metric in {**result.sample_metrics, **counted.failures}
        if lost or metric in counted.failures
    }
    return replace(result, failures=failures, replies=asked)


def without_completions(
    cases: Sequence[PlannedCase], status: CaseStatus, error: str
) -> list[CaseResult]:
    """Every case after its baseline, each once, as it is reported when nothing came of it."""
    results: dict[str, CaseResult] = {}
    for case in cases:
        for each in (case.baseline, case):
            if each is not None and each.id not in results:
                results[each.id] = result_of(each, status, error=error)
    return list(results.values())


def result_of(
    case: PlannedCase,
    status: CaseStatus,
    *,
    error: str | None = None,
    draws: tuple[DrawResult, ...] = (),
    sample_metrics: SampleMetrics | None = None,
    counts: Mapping[str, int] | None = None,
    intervention: Intervention | None = None,
    warnings: tuple[str, ...] = (),
    artefacts: str | None = None,
) -> CaseResult:
    """A case's result; what is left out is empty."""
    return CaseResult(
        case=case.case,
        task_name=case.task.name,
        task_version=case.task.version,
        task_size=case.task.size,
        metric=case.metric,
        isolation=case.task.isolated_by if draws else None,
        status=status,
        baseline=None if case.baseline is None else case.baseline.id,
        nodeid=case.nodeid,
        draws=draws,
        sample_metrics=sample_metrics or {},
        counts=counts or {},
        intervention=intervention,
        warnings=warnings,
        error=error,
        artefacts=artefacts,
        contents=case.contents,
    )


def _task_metrics(case: PlannedCase, draws: Sequence[DrawResult]) -> SampleMetrics:
    """Metric -> sample -> value of what the task counts, from the scores of samples' draws."""
    scores: dict[str, list[Score]] = {draw.sample: [] for draw in draws}
    for draw in draws:
        scores[draw.sample].append(draw.score)
    metrics: dict[str, dict[str, JsonValue]] = {}
    for sample, of_sample in scores.items():
        for metric, value in case.task.metrics(of_sample).items():
            metrics.setdefault(metric, {})[sample] = value
    return metrics


def _warnings(
    case: PlannedCase, draws: Sequence[DrawResult], counts: Mapping[str, int]
) -> Iterator[str]:
    """What a reader of the numbers must know."""
    sampling = case.experiment.sampling
    if sampling.draws > 1 and not SamplingRules(**sampling.rules).random:
        yield (
            f"sampling.draws: {sampling.draws} with temperature 0 is one greedy completion counted "
            f"{sampling.draws} times; use draws: 1, or a temperature above 0"
        )
    errors = [draw.completion.error for draw in draws if draw.completion.finish_reason == "error"]
    if errors:
        yield f"{len(errors)} of {len(draws)} requests were refused and count as wrong: {errors[0]}"
    failed = [draw for draw in draws if draw.completion.finish_reason == "failed"]
    if failed:
        yield (
            f"{len(failed)} of {len(draws)} requests failed, and their samples are left out; run "
            f"again to ask for these alone: {failed[0].completion.error}"
        )
    cut = sum(draw.completion.finish_reason == "length" for draw in draws)
    if cut:
        yield f"{cut} of {len(draws)} completions were cut off at their length limit"
    broken = sum(draw.completion.finish_reason == "non_finite" for draw in draws)
    if broken:
        yield f"{broken} of {len(draws)} completions ended in logits that are not finite"
    yield from _doubts(draws)
    yield from did_nothing(counts)


def _doubts(draws: Sequence[DrawResult]) -> Iterator[str]:
    """Verdicts that need not be the answers': how many of a kind, with the first one's sample."""
    for doubt, what in _DOUBTS.items():
        doubtful = [draw for draw in draws if draw.score.doubt == doubt]
        if doubtful:
            samples = dict.fromkeys(draw.sample for draw in doubtful)
            shown = ", ".join([*samples][:_SHOWN]) + (", ..." if len(samples) > _SHOWN else "")
            yield (
                f"{len(doubtful)} of {len(draws)} completions {what} ({shown}: "
                f"{doubtful[0].score.detail})"
            )


def with_pieces(result: CaseResult, tokenizer: Any) -> CaseResult:
    """The result with the text of every token of those draws that have numbers per token."""
    asked = result.case.experiment.columns

    def pieces(tokens: Sequence[int]) -> tuple[str, ...]:
        return tuple(map(intern, tokenizer.batch_decode([[each] for each in tokens])))

    draws = tuple(
        replace(draw, pieces=pieces(made.tokens))
        if columns_of(answer_of(draw), (made := draw.completion).traces, asked)
        else draw
        for draw in result.draws
    )
    return result if draws == result.draws else replace(result, draws=draws)


def _unanswered(score: Score, error: str) -> Score:
    """A request that was refused counts as a wrong answer, where there are right ones."""
    correct = None if score.correct is None else False
    return Score(correct, parsed=False, detail=f"refused: {error}")
