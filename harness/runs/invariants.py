"""Identities that a run checks on its own results, whether or not a spec asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.store.results import CaseResult, Departure, InvariantResult


def check_invariants(results: Sequence[CaseResult]) -> Iterator[InvariantResult]:
    """Check every complete case against its baseline where an identity says what must come out."""
    by_id = {result.case.id: result for result in results}
    for result in results:
        yield from result.checks
        baseline = by_id.get(result.baseline or "")
        if baseline is None or not result.status == baseline.status == "complete":
            continue
        if result.measure.scores or result.measure.by_task:
            continue  # checked as the case ended: what is equal is for its engine to say
        if result.is_neutral and result.measure.reads:
            yield neutral_measures_baseline(result, baseline)
        elif result.is_neutral:
            yield neutral_equals_baseline(result, baseline)


def neutral_equals_baseline(neutral: CaseResult, baseline: CaseResult) -> InvariantResult:
    """An intervention at its neutral dose must give the baseline's completions, token for token."""
    theirs = {(draw.sample, draw.draw): draw for draw in baseline.draws}
    departures = [
        Departure.between(draw.sample, draw.completion, theirs[draw.sample, draw.draw].completion)
        for draw in neutral.draws
    ]
    found = [departure for departure in departures if departure is not None]
    equal, total = len(departures) - len(found), len(departures)
    detail = f"{equal} of {total} completions equal the baseline's"
    if found:
        detail += f"; first departure: {found[0]}"
    return InvariantResult(
        "neutral_equals_baseline", neutral.case.id, not found, detail, next(iter(found), None)
    )


def neutral_measures_baseline(neutral: CaseResult, baseline: CaseResult) -> InvariantResult:
    """An intervention at its neutral dose must leave every number of a reading, bit by bit."""
    different = [
        f"{name} of {sample}: {value!r} instead of {values.get(sample)!r}"
        for name, own in neutral.sample_metrics.items()
        for values in [baseline.sample_metrics[name]]
        for sample, value in own.items()
        if value != values.get(sample)
    ]
    numbers = sum(len(values) for values in neutral.sample_metrics.values())
    detail = f"{numbers - len(different)} of {numbers} measured values equal the baseline's"
    if different:
        detail += f"; first departure: {different[0]}"
    return InvariantResult("neutral_equals_baseline", neutral.case.id, not different, detail)
