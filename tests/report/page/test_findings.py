from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.build import build
from harness.report.page import findings
from harness.store.results import InvariantResult
from tests.report.small_run import cases_of, first, result_of, sweep

N = 40


def dosed(run, right: dict[float, int], invariants=()):
    """A report of one curve: how many of `N` samples each dose has right; the baseline has all."""
    cases = cases_of(axes={"intervention.count": list(right)}, dose="intervention.count")
    base = cases[0].baseline
    results = [result_of(base, first(N, N))]
    for case, count in zip(cases, right.values(), strict=True):
        results.append(result_of(case, first(count, N), agreement=2))
    return build(run, results, invariants)


def with_doses(report, doses):
    """The same with other doses, also such as a mask has none of."""
    found = iter(doses)
    cases = tuple(
        case if case.baseline is None else case.model_copy(update={"dose": next(found)})
        for case in report.cases
    )
    return report.model_copy(update={"cases": cases})


def test_a_curve_leaves_at_its_first_significant_dose(run):
    (found,) = findings(dosed(run, {0: N, 1: N - 2, 2: N - 9, 4: N - 20}), "keep_topk")
    assert found.leaves.dose == 2
    assert found.baseline.metrics["pass@1"].value == 1
    assert (found.returns, found.compared) == ((), 4)


def test_doses_that_come_back_are_told(run):
    (found,) = findings(dosed(run, {0: N, 1: N - 9, 2: N - 1, 4: N - 9}), "keep_topk")
    assert found.leaves.dose == 1
    assert [case.dose for case in found.returns] == [2]


def test_a_curve_that_stays_says_which_dose_came_nearest(run):
    (found,) = findings(dosed(run, {0: N, 1: N - 1, 2: N - 3, 4: N - 2}), "keep_topk")
    assert found.leaves is None
    assert found.nearest.dose == 2


def test_every_curve_has_its_own(run):
    found = findings(build(run, sweep(n=60, doses=(0, 1, 2, 4, 8, 16, 32, 64))), "keep_topk")
    assert [(each.curve, each.leaves.dose) for each in found] == [
        ("style=agentic", 16),
        ("style=assisted", 16),
    ]


def test_doses_on_both_sides_of_the_neutral_one_are_searched_outward(run):
    report = dosed(run, {0: 20, 1: 30, 2: N, 3: N - 9, 4: N - 20})
    falling, rising = sorted(
        findings(with_doses(report, [-2, -1, 0, 1, 2]), "keep_topk"), key=lambda f: f.curve
    )
    assert (falling.curve, falling.leaves.dose) == ("falling", -1)
    assert (rising.curve, rising.leaves.dose) == ("rising", 1)


def test_the_neutral_dose_need_not_be_zero(run):
    report = dosed(run, {0: 20, 1: N, 2: N - 9})
    neutral = report.cases[2].id
    checked = InvariantResult("neutral_equals_baseline", neutral, holds=True, detail="")
    found = findings(dosed(run, {0: 20, 1: N, 2: N - 9}, [checked]), "keep_topk")
    assert [each.leaves.dose for each in found] == [2, 0]


def test_the_corrected_p_decides_where_there_is_one(run):
    report = dosed(run, {0: N, 1: N - 6})
    versus = report.cases[2].versus_baseline["pass@1"]

    def leaves(p_holm):
        changed = {"pass@1": versus.model_copy(update={"p_holm": p_holm})}
        case = report.cases[2].model_copy(update={"versus_baseline": changed})
        cases = (*report.cases[:2], case)
        (found,) = findings(report.model_copy(update={"cases": cases}), "keep_topk")
        return found.leaves is not None

    assert versus.p == pytest.approx(0.03125)
    assert (leaves(None), leaves(0.04), leaves(0.2)) == (True, True, False)


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_what_cannot_be_compared_is_not_said_to_stay(run, status):
    results = [replace(each, status=status) for each in sweep(styles=["agentic"])]
    (found,) = findings(build(run, results), "keep_topk")
    assert (found.compared, found.leaves, found.nearest) == (0, None, None)


def test_without_a_dose_there_is_no_curve(run):
    assert findings(build(run, [result_of(cases_of()[0], first(1, 2))]), "keep_topk") == []
