"""The search for a strength: a bracket that halves, the same in batches as one by one."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.diffing.strength import DECISIONS, MOST, strongest


@given(st.floats(0, 120), st.integers(1, 6))
def test_batches_decide_as_one_by_one(limit, ahead):
    def passes(strengths):
        return [each <= limit for each in strengths]

    plain = strongest(passes, ahead=1)
    assert strongest(passes, ahead=ahead) == plain
    steps = plain / MOST * 2**DECISIONS
    assert steps == int(steps)
    assert plain <= limit
    assert plain == MOST - MOST / 2**DECISIONS or limit < plain + MOST / 2**DECISIONS


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_grades_without_an_order_give_the_same_in_batches(seed):
    random = Random(seed)
    grades = [random.random() < 0.5 for _ in range(2**12)]

    def passes(strengths):
        return [grades[round(each / MOST * 2**12)] for each in strengths]

    assert strongest(passes, ahead=3) == strongest(passes, ahead=1)


def test_nothing_that_passes_is_no_strength():
    assert strongest(lambda strengths: [False] * len(strengths)) == 0.0
