"""Identities that a run checks on its own results, whether or not a spec asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.runs.results import CaseResult, DrawResult, InvariantResult


def check_invariants(results: Sequence[CaseResult]) -> Iterator[InvariantResult]:
    """Check every complete case against its baseline where an identity says what must come out."""
    by_id = {result.case.id: result for result in results}
    for result in results:
        yield from result.checks
        baseline = by_id.get(result.baseline or "")
        if baseline is None or not result.status == baseline.status == "complete":
            continue
        if result.is_neutral and result.case.experiment.measure == "forward":
            yield neutral_measures_baseline(result, baseline)
        elif result.is_neutral:
            yield neutral_equals_baseline(result, baseline)


def neutral_equals_baseline(neutral: CaseResult, baseline: CaseResult) -> InvariantResult:
    """An intervention at its neutral dose must give the baseline's completions, token for token."""
    theirs = {(draw.sample, draw.draw): draw for draw in baseline.draws}
    pairs = [(draw, theirs[draw.sample, draw.draw]) for draw in neutral.draws]
    different = [(own, other) for own, other in pairs if not _equal(own, other)]
    detail = f"{len(pairs) - len(different)} of {len(pairs)} completions equal the baseline's"
    if different:
        detail += "; first departure: " + _departure(*different[0])
    return InvariantResult("neutral_equals_baseline", neutral.case.id, not different, detail)


def neutral_measures_baseline(neutral: CaseResult, baseline: CaseResult) -> InvariantResult:
    """An intervention at its neutral dose must leave every number of forward passes, bit by bit."""
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


def _equal(own: DrawResult, other: DrawResult) -> bool:
    return own.completion.tokens == other.completion.tokens


def _departure(own: DrawResult, other: DrawResult) -> str:
    """Where two completions part, and how far apart the model's own scores are there."""
    mine, theirs = own.completion, other.completion
    at = own.agreement or 0
    if at >= min(len(mine.tokens), len(theirs.tokens)):
        return f"{own.sample}: {len(mine.tokens)} tokens instead of {len(theirs.tokens)}"
    gap = mine.log_probabilities[at] - theirs.log_probabilities[at]
    return (
        f"{own.sample} at token {at}: {mine.tokens[at]} instead of {theirs.tokens[at]}, "
        f"log-probability gap {gap:+.2e}"
    )
