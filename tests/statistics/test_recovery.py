"""What is recovered of a gap: where it is known, and how its intervals cover."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.recovery import Recovery


def recovery(right, shares, weak, strong, **fields) -> Recovery:
    n = len(weak)
    tokens = np.full((len(right), n), 10.0)
    return Recovery(
        right=np.array(right, dtype=float),
        asked=tokens * np.array(shares)[:, None],
        tokens=tokens,
        weak=np.array(weak, dtype=float),
        strong=np.array(strong, dtype=float),
        weak_tokens=np.full(n, 10.0),
        strong_tokens=np.full(n, 10.0),
        **fields,
    )


WEAK, STRONG = [0] * 20, [1] * 20
HALF = [1, 0] * 10


def test_the_models_themselves_recover_nothing_and_all():
    found = recovery([WEAK, STRONG], [0.0, 1.0], WEAK, STRONG)
    assert (found.pgr(0).value, found.pgr(1).value) == (0, 1)
    assert found.apgr().value == pytest.approx(0.5)
    assert found.cpt(0.5).value == pytest.approx(0.5)
    assert found.cpt(0.8).value == pytest.approx(0.8)


def test_half_of_the_gap_for_a_tenth_of_the_tokens():
    found = recovery([HALF], [0.1], WEAK, STRONG)
    assert found.pgr(0).value == pytest.approx(0.5)
    assert found.pgr(0).low < 0.5 < found.pgr(0).high
    assert found.share(0).value == pytest.approx(0.1)
    assert found.apgr().value == pytest.approx(0.1 * 0.25 + 0.9 * 0.75)
    assert found.cpt(0.5).value == pytest.approx(0.1)
    assert found.cpt(0.8).value == pytest.approx(0.1 + 0.9 * 0.6)


def test_cost_counts_every_token_by_who_made_it():
    found = recovery([HALF], [0.25], WEAK, STRONG, weak_weight=2.0, strong_weight=10.0)
    assert found.cost(0).value == pytest.approx((7.5 * 2 + 2.5 * 10) / 20)
    assert found.strong_costs[0] == pytest.approx(5)


def test_without_a_gap_nothing_is_recovered():
    same = recovery([HALF], [0.1], HALF, HALF)
    assert not same.has_gap
    assert same.pgr(0).value is None
    assert recovery([HALF], [0.1], WEAK, STRONG).has_gap


def test_intervals_of_pgr_cover():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        chance = generator.random(60)
        weak, mixed, strong = chance < 0.3, chance < 0.5, chance < 0.9
        interval = recovery([mixed], [0.1], weak, strong).pgr(0)
        covered += interval.low <= 1 / 3 <= interval.high
    assert covered >= 180


def area(conditions, weak, strong):
    """Under the line from (0, 0) through (share, PGR) to (1, 1), in fractions."""
    gap = sum(strong) - sum(weak)
    points = sorted((share, Fraction(sum(right) - sum(weak), gap)) for share, right in conditions)
    line = [(Fraction(0), Fraction(0)), *points, (Fraction(1), Fraction(1))]
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(line))


@st.composite
def two_lines(draw):
    """The samples of two lines: tenths of the tokens, and who is right under each condition."""
    n = draw(st.integers(2, 8))
    answers = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    weak, strong = draw(answers), draw(answers)
    tenths = st.lists(st.integers(0, 10), min_size=1, max_size=4, unique=True)
    lines = [[(Fraction(t, 10), draw(answers)) for t in draw(tenths)] for _ in range(2)]
    return weak, strong, lines


@given(two_lines())
@settings(max_examples=15, deadline=None)
def test_regret_is_the_area_between_two_lines_of_the_same_samples(drawn):
    weak, strong, lines = drawn
    best, own = (
        recovery([right for _, right in line], [float(share) for share, _ in line], weak, strong)
        for line in lines
    )
    regret = own.regret(best)
    if sum(strong) <= sum(weak):
        assert regret.value is None
        return
    expected = area(lines[0], weak, strong) - area(lines[1], weak, strong)
    assert regret.value == pytest.approx(float(expected))
    # Draws are shared, so that a line is behind itself by nothing, and the interval is none.
    itself = own.regret(own)
    if np.isfinite(own.areas).all():
        assert (itself.value, itself.low, itself.high) == (0, 0, 0)
