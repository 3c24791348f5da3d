"""What metrics make of the labels of several judges."""

from __future__ import annotations

import pytest

from harness.measure.diffing.evidence import Candidate
from harness.measure.diffing.relevance import Facts
from harness.measure.diffing.verdict import PlaceLabels, values_of

ROW = [1.0, 1.0, 0.0, None, 0.0, 1.0]


@pytest.mark.parametrize(
    ("rotations", "said"),
    [([6], [1, 1, 0, 0, 0, 1]), ([3, 3], [2 / 3, 1 / 3]), ([1, 2, 3], [1, 0.5, 1 / 3])],
)
def test_each_of_several_judges_has_one_share_of_relevance(rotations, said):
    """Its rotations are not independent of each other; agreement has them all."""
    verdict = PlaceLabels([ROW], [0.0], ["x"] * 6, rotations, [1 / 6], 0, [], "")
    places = {"adl 1": Candidate(7, "oven", 0.5)}
    found = values_of(places, Facts("", "", frozenset()), verdict, 0.01)
    assert found["relevance"] == [pytest.approx(said)]
    assert found["weighted_relevance"] == [pytest.approx([*(each / 2 for each in said), 0.5])]
    assert found["alpha"] == [ROW]
