"""Identities of every kind of intervention: the neutral dose changes nothing, the others do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.engines.contract import Request
from harness.interventions.base import Intervention
from harness.invariants.bench import Bench, named
from harness.invariants.finding import Finding, equal, first_violation
from harness.sampling.chosen import SamplingRules


def neutral_alone_equals_baseline(bench: Bench) -> Finding:
    """A neutral dose by itself gives the baseline's tokens and log-probabilities, bit for bit.

    The baseline runs on an engine that knows of no intervention. Source: router masks, identity 1;
    steering, identity 1.
    """
    return equal(
        (
            (named(request), bench.alone(request), bench.alone(untouched(request)))
            for request in _neutral_requests(bench)
        ),
        tolerance=0.0,
        counts=False,
    )


def neutral_in_mixed_batch_equals_baseline(bench: Bench) -> Finding:
    """A neutral dose beside other doses gives the baseline's tokens, greedy and sampled.

    Source: router masks, identities 1 and 11 (the row of dose 0 equals the baseline); steering,
    identities 1 and 10.
    """
    neutral = _neutral_requests(bench)
    queue = [*bench.requests(*bench.doses), *neutral]
    # Neutral requests between the others, so that they share passes and inherit slots.
    queue.sort(key=lambda request: request.sample)
    return equal(
        (
            (named(request), completion, bench.alone(untouched(request)))
            for request, completion in zip(queue, bench.together(queue), strict=True)
            if request in neutral
        ),
        tolerance=bench.tolerance,
        counts=False,
    )


def dose_does_something(bench: Bench) -> Finding:
    """Every dose that is not neutral changes what the model computes, and says so if it counts.

    Source: router masks, section 0.2 (a mask that silently does nothing on a new version of a
    library must be noticed).
    """
    return first_violation((_effect(bench, dose) for dose in bench.doses), "effective doses")


def _effect(bench: Bench, dose: Intervention) -> str | None:
    pairs = [
        (bench.alone(request), bench.alone(untouched(request))) for request in bench.requests(dose)
    ]
    name = named(bench.requests(dose)[0])
    if all(own.counts.get("changed") == 0 for own, _ in pairs):
        return f"{name}: it counted no change at all"
    if all(own.log_probabilities == other.log_probabilities for own, other in pairs):
        return f"{name}: every log-probability is the baseline's"
    return None


def _neutral_requests(bench: Bench) -> list[Request]:
    return [
        request
        for rules in (SamplingRules(), SamplingRules(temperature=1.0))
        for request in bench.requests(*bench.neutral, sampling=rules)
    ]


def untouched(request: Request) -> Request:
    """The same request without its intervention."""
    return replace(request, intervention=None)


def neutral_of_every_dose(bench: Bench) -> Finding:
    """Every dose knows its neutral one, which is neutral, and is not neutral itself.

    Source: the contract of interventions; a neutral dose is equal to the baseline by law.
    """

    def problems() -> Iterator[str | None]:
        for dose in bench.neutral:
            yield None if dose.is_neutral else f"{dose.kind}: a neutral dose is not neutral"
        for dose in bench.doses:
            yield f"{dose.kind}: an effective dose is neutral" if dose.is_neutral else None

    return first_violation(problems(), "doses")
