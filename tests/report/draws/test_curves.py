"""Analyses of draws: what each says of draws that are known, and what holds of all of them."""

from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.draws.curves import drawings
from harness.report.draws.drawn import of_records
from tests.report.draws.records import line, lines, traced

answers = st.lists(
    st.lists(st.sampled_from(["7", "8", "9", None]), min_size=4, max_size=4), min_size=1, max_size=5
)


def curve(records, name, case="a", baselines=None):
    found = {each.analysis.name: each for each in drawings(of_records(records), baselines or {})}
    return {point.x: point for point in found[name].curves[case]} if name in found else {}


def test_votes_and_any_right_at_equal_draws():
    records = lines("a", [["7", "7", "8"], ["8", "8", "8"]])
    assert [curve(records, "maj")[k].value for k in (1, 3)] == pytest.approx([1 / 3, 1 / 2])
    assert [curve(records, "pass")[k].value for k in (1, 2, 3)] == pytest.approx(
        [1 / 3, 1 / 2, 0.5]
    )
    assert curve(records, "distinct")[3].value == 1.5


def test_longer_draws_get_fewer_votes_of_a_budget():
    short, long = lines("a", [["7"] * 4]), lines("b", [["7"] * 4], tokens=40)
    points = curve([*short, *long], "pass-tokens", "b", {"b": "a"})
    first, *_, last = points
    assert (points[first].value, points[last].value) == (0, 1)
    assert points[first].delta == -1


def test_draws_are_told_apart_by_ranks_and_confidence():
    records = [
        line("a", "s", 0, "7", traces=traced([1, 1, 1], 0.9)),
        line("a", "s", 1, "7", traces=traced([1, 2, 1], 0.9)),
        line("a", "s", 2, "8", traces=traced([1, 40, 1], 0.2)),
    ]
    assert {x: p.value for x, p in curve(records, "max-rank").items()} == {1: 1, 2: 1, "10+": 0}
    assert {x: p.value for x, p in curve(records, "low-confidence").items()} == {0: 1, 3: 0}
    assert curve(records, "mean-rank")["> 5"].value == 0
    votes = curve(records, "vote-below-rank")
    assert list(votes)[-1] == "all"
    assert votes["≤ 1.05"].value == 1


def test_what_draws_lack_is_not_analysed():
    single = lines("a", [["7"], ["8"]])
    assert drawings(of_records(single), {}) == []
    nameless = lines("a", [[None, None, None]])
    assert curve(nameless, "maj") == {}
    assert curve(nameless, "pass")[3].value == 0
    unscored = [each | {"correct": None} for each in lines("a", [["7"] * 3])]
    assert of_records(unscored) == {"a": {}} or drawings(of_records(unscored), {}) == []


@settings(max_examples=25, deadline=None)
@given(answers, answers)
def test_curves_are_means_over_samples_and_differences_are_paired(own, theirs):
    both = min(len(own), len(theirs))
    records = [*lines("a", own[:both]), *lines("b", theirs[:both])]
    for drawing in drawings(of_records(records), {"a": "b"}):
        points = {label: {p.x: p for p in each} for label, each in drawing.curves.items()}
        for x, point in points["a"].items():
            assert point.n == both
            low, high = point.interval
            if low is not None:
                assert low <= point.value <= high
            if x in points.get("b", {}):
                assert point.delta == pytest.approx(point.value - points["b"][x].value)
    share = fmean(answer == "7" for each in own[:both] for answer in each)
    if any(answer is not None for each in own[:both] for answer in each):
        assert curve(records, "maj")[1].value == pytest.approx(share)
    assert curve(records, "pass")[1].value == pytest.approx(share)


def test_a_case_equals_itself():
    records = [*lines("a", [["7", "8", "7"], [None, "8", "7"]])]
    records += [each | {"case": "b"} for each in records]
    for drawing in drawings(of_records(records), {"a": "b"}):
        assert all(point.delta == 0 for point in drawing.curves["a"])
