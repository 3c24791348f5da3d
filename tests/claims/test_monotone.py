from __future__ import annotations

import numpy as np
import pytest

from harness.claims.gates import check_gates
from harness.spec.gates import parse_gate
from tests.report.small_run import cases_of, first, result_of, sweep


def curve(rates, n=40, **axes):
    """One case per dose with the first `rate * n` samples right."""
    axes = {"intervention.count": list(range(len(rates))), **axes}
    cases = cases_of(axes=axes, dose="intervention.count")
    return [
        result_of(case, first(round(rates[int(case.params["intervention.count"])] * n), n))
        for case in cases
    ]


def judged(results, gate="monotone within CI"):
    (verdict,) = check_gates([("keep_topk", [parse_gate(gate)])], results, [])
    return verdict


@pytest.mark.parametrize(
    ("rates", "either", "falling", "rising"),
    [
        ((0.9, 0.6, 0.3), True, True, False),
        ((0.3, 0.6, 0.9), True, False, True),
        ((0.9, 0.3, 0.9), False, False, False),
        ((0.2, 0.9, 0.2), False, False, False),
        ((0.9, 0.6, 0.65), True, True, False),  # two samples up lie within the interval
        ((0.5, 0.5, 0.5), True, True, True),
    ],
)
def test_a_curve_that_turns_beyond_its_intervals_is_not_monotone(rates, either, falling, rising):
    results = curve(rates)
    assert judged(results).holds == either
    assert judged(results, "monotone falling within CI").holds == falling
    assert judged(results, "monotone rising within CI").holds == rising


def test_the_turn_is_told_with_its_curve():
    results = curve((0.9, 0.3, 0.9), **{"prompt.style": ["agentic", "assisted"]})
    detail = judged(results, "monotone falling within CI").detail
    assert detail.startswith("style=agentic: rises from dose 1 to 2 by [+0.3")
    assert "falls from dose 0 to 1" in judged(results).detail


def test_a_creeping_rise_is_found_between_distant_doses():
    # No step is beyond its interval, the way from the first dose to the last is.
    results = curve((0.3, 0.38, 0.45, 0.52, 0.6), n=40)
    assert not judged(results, "monotone falling within CI").holds


def test_doses_are_ordered_by_size_and_curves_kept_apart():
    results = curve((0.9, 0.6, 0.3))[::-1]
    assert judged(results, "monotone falling within CI").holds
    assert judged(sweep(n=40)).detail.startswith("2 curves of up to 4 doses")


@pytest.mark.parametrize(
    ("results", "gate", "says"),
    [
        (curve((1.0, 0.0, 1.0), n=5), "monotone within CI", "5 samples; at least 6 could show"),
        (curve((0.9, 0.3)), "monotone within CI", "2 doses; at least 3 are needed"),
        (curve((0.9,)), "monotone falling within CI", "1 doses; at least 2 are needed"),
        (curve((0.9, 0.6, 0.3)), "pass@7 monotone within CI", "no metric 'pass@7'"),
    ],
)
def test_what_could_not_have_shown_a_turn_is_undecided(results, gate, says):
    if "samples" in says:
        # All samples of a curve of that size changing is a turn that is seen.
        assert not judged(curve((1.0, 0.0, 1.0), n=6), gate).detail.startswith("undecided")
    verdict = judged(results, gate)
    assert not verdict.holds
    assert verdict.detail.startswith(f"undecided: {says}")


def test_a_flat_curve_fails_in_at_most_5_percent_of_runs():
    generator = np.random.default_rng(0)
    cases = cases_of(axes={"intervention.count": [0, 1, 2, 3]}, dose="intervention.count")
    failed = 0
    for _ in range(300):
        results = [
            result_of(case, generator.binomial(1, 0.5, 40).astype(float).tolist()) for case in cases
        ]
        failed += not judged(results, "monotone falling within CI").holds
    assert failed / 300 <= 0.05
