"""Of results of a run that stopped itself: verdicts, intervals, what was saved, what was paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.report.stopping_report import Decision, StoppedReport, StoppingReport
from harness.statistics.estimates import Versus
from harness.statistics.intervals import CONFIDENCE
from harness.statistics.power import detectable_rate_difference
from harness.statistics.sequential import mean_sequence, sample_numbers
from harness.store.results import CaseResult, compared


def stopped_report(
    result: CaseResult, baseline: CaseResult | None, versus: Mapping[str, Versus]
) -> StoppedReport | None:
    """How a case ended; None for one of a run that sees every sample."""
    stopped = result.stopped
    if stopped is None:
        return None
    low, high = None, None
    if baseline is not None and result.metric in versus:
        own, theirs = compared(result, baseline, result.metric)
        kind = result.kind(result.metric)
        least, most = kind.bounds
        if least is not None and most is not None:
            differences = np.array([_number(own[s]) - _number(theirs[s]) for s in own])
            reach = most - least
            alpha = 1 - CONFIDENCE
            low, high = mean_sequence(differences, (-reach, reach), alpha, stopped.of)
    return StoppedReport(
        of=stopped.of,
        end=stopped.end,
        verdict=_verdict(result, versus),
        benchmark_low=low,
        benchmark_high=high,
    )


def _verdict(result: CaseResult, versus: Mapping[str, Versus]) -> Decision:
    stopped = result.stopped
    assert stopped is not None
    if stopped.end == "leads":
        return "leads"
    asked = result.case.experiment.stop
    metrics = [each.metric or result.metric for each in asked.decisions] if asked else []
    found = [versus[name] for name in metrics or [result.metric] if name in versus]
    if found and all(each.deciding_p < stopped.alpha for each in found):
        return "differs"
    return "undecided, ended early" if stopped.end == "ended early" else "undecided"


def stopping_reports(
    results: Sequence[CaseResult],
) -> Iterator[StoppingReport]:
    """What each experiment that stopped itself has saved."""
    experiments: dict[str, list[CaseResult]] = {}
    for result in results:
        if result.stopped is not None and result.status == "complete":
            experiments.setdefault(result.case.experiment.name, []).append(result)
    for name, cases in experiments.items():
        settings = cases[0].case.experiment.stop
        if settings is None:
            continue
        ended = [case.stopped for case in cases if case.stopped is not None]
        size = max(each.of for each in ended)
        whole = sum(case.tokens / case.task_size * size for case in cases)
        effect, power = _paid(cases, size, settings.alpha)
        yield StoppingReport(
            experiment=name,
            decide=tuple(settings.decide),
            alpha=settings.alpha,
            seed=settings.seed,
            order=next((each.order for each in ended if each.order), ()),
            samples=sum(case.task_size for case in cases),
            of=size * len(cases),
            tokens=sum(case.tokens for case in cases),
            share=min(sum(case.tokens for case in cases) / whole, 1.0) if whole else 1.0,
            effect=effect,
            power=power,
        )


def _paid(
    cases: Sequence[CaseResult], size: int, alpha: float
) -> tuple[float | None, float | None]:
    """The effect that all samples at once would find, and the power of looking on the way."""
    by_id = {case.case.id: case for case in cases}
    changed = asked = 0
    for case in cases:
        baseline = by_id.get(case.baseline or "")
        if baseline is None or not case.kind(case.metric).share:
            continue
        own, theirs = compared(case, baseline, case.metric)
        changed += sum(own[sample] != theirs[sample] for sample in own)
        asked += len(own)
    if not asked:
        return None, None
    effect = detectable_rate_difference(size, round(size * changed / asked))
    if effect is None:
        return None, None
    power, _, _ = sample_numbers(size, max(changed / asked, effect), effect, alpha)
    return effect, power


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
