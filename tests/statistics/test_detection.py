"""The limit of detection, on values whose limit is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.detection import blank_of, left_out, limit_of

CLUSTERS, VALUES = 30, 20


def values(draw, mean, clusters=CLUSTERS):
    """Values around `mean`, of standard deviation 1."""
    return [draw.normal(mean, 1, VALUES).tolist() for _ in range(clusters)]


@settings(max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60))
def test_at_most_one_control_in_twenty_exceeds_the_blank(controls):
    blank = blank_of([controls])
    assert blank in controls
    assert sum(each > blank for each in controls) <= 0.05 * len(controls)


def test_one_in_twenty_controls_exceeds_the_blank_of_the_others():
    draw = np.random.default_rng(1)
    found = left_out(values(draw, 0))
    assert found.low < 0.05 < found.high
    assert (found.n, found.clusters) == (CLUSTERS * VALUES, CLUSTERS)


def test_a_control_is_not_held_against_itself():
    """The one that is apart exceeds all others; none of them exceeds it."""
    found = left_out([[float(at)] * 3 for at in range(20)])
    assert found.value == pytest.approx(0.05)


def test_the_limit_is_where_19_of_20_exceed_the_blank():
    """A dose moves the mean: the limit is the sum of both 95 % quantiles, 3.29 deviations."""
    draw = np.random.default_rng(2)
    doses = [0, 1, 2, 3, 4, 5]
    found = limit_of(doses, [values(draw, dose) for dose in doses], values(draw, 0))
    assert found.value == pytest.approx(3.29, abs=0.4)
    assert 2.5 < found.low < found.value < found.high < 4.2


def test_clusters_are_what_an_interval_is_of():
    """Twenty readings of one fine-tune know no more of the blank than that one does."""
    draw = np.random.default_rng(3)
    doses = [1, 2, 3, 4, 5, 6, 7]
    measured = [values(draw, dose) for dose in doses]
    alike = [[mean] * VALUES for mean in draw.normal(0, 1, 8)]
    apart = [each.tolist() for each in draw.normal(0, 1, (8, VALUES))]
    few, many = (limit_of(doses, measured, controls) for controls in (alike, apart))
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_a_limit_may_lie_beyond_all_doses_or_below_them():
    controls = [[0.0, 0.1], [0.0, 0.2]]
    never = limit_of([1, 2], [[[0.0], [0.0]]] * 2, controls)
    assert (never.value, str(never)) == (None, "beyond [beyond, beyond]")
    always = limit_of([1, 2], [[[1.0], [1.0]]] * 2, controls)
    assert (always.value, str(always)) == (1, "<= 1 [<= 1, <= 1]")


@given(st.lists(st.floats(0.001, 1000), min_size=3, max_size=6, unique=True), st.data())
def test_a_jump_from_none_to_all_says_no_more_than_between_which_doses(doses, data):
    doses.sort()
    jump = data.draw(st.integers(1, len(doses) - 1))
    found = limit_of(doses, [[[float(at >= jump)]] * 2 for at in range(len(doses))], [[0.0]] * 2)
    assert (found.low, found.high) == (doses[jump - 1], doses[jump])
    assert found.low < found.value <= found.high
    assert "<=" not in str(found)
