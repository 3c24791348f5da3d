"""Agreement of judges, against the published example, and what must hold of any ratings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.judging import alpha

N = None
#: Krippendorff 2011, section C: four observers of twelve units, some of which they left out.
OBSERVED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
UNITS = [[row[at] for row in OBSERVED if row[at] is not None] for at in range(12)]
RATINGS = st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=4), min_size=1, max_size=12)
LEVELS = st.sampled_from(["interval", "nominal"])


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("interval", 0.849)])
def test_the_published_example(level, published):
    assert alpha(UNITS, level) == pytest.approx(published, abs=5e-4)


@given(RATINGS, LEVELS)
def test_ratings_that_agree_have_one_and_no_others_have_more(units, level):
    assert alpha([[unit[0]] * len(unit) for unit in units], level) == pytest.approx(1)
    assert alpha(units, level) <= 1 + 1e-9


@given(RATINGS, LEVELS, st.randoms())
def test_order_and_a_shift_of_the_scale_mean_nothing(units, level, chance):
    shuffled = [chance.sample(unit, len(unit)) for unit in chance.sample(units, len(units))]
    moved = [[3 * value - 7 for value in unit] for unit in shuffled]
    assert alpha(moved, level) == pytest.approx(alpha(units, level))
