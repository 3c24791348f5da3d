"""The grid against a plain loop and its identities; the line against scipy and a known law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.calibration import Traces, grid


def traces(seed, *, tokens=400, words=8, kept=8, samples=20, law=None):
    """Tokens drawn from their own distribution, or with chances c = exp(a) p^b of each rank."""
    rng = np.random.default_rng(seed)
    sharp = rng.gamma(1.0, 3.0, size=(tokens, 1))
    p = np.exp(sharp * rng.standard_normal((tokens, words)))
    p = -np.sort(-p / p.sum(axis=1, keepdims=True), axis=1)
    if law is None:
        ranks = (rng.random((tokens, 1)) > p.cumsum(axis=1)).sum(axis=1) + 1
    else:
        c = np.exp(law[0]) * p ** law[1]
        ranks = (rng.random((tokens, 1)) > c.cumsum(axis=1)).sum(axis=1) + 1
    ranks[ranks > kept] = 0
    return Traces(p[:, :kept], ranks, rng.integers(0, samples, tokens))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), kept=st.integers(1, 8), bins=st.integers(1, 12))
def test_it_is_what_a_plain_loop_counts_and_keeps_its_identities(seed, kept, bins):
    given_ = traces(seed, tokens=60, kept=kept)
    found = grid(given_, bins)
    for index in range(bins):
        inside = [
            (row, rank)
            for row, rank in zip(given_.probabilities, given_.ranks, strict=True)
            if index / bins < row[0] <= (index + 1) / bins
        ]
        assert found.support[index] == len(inside)
        for rank in range(kept):
            hits = [row[rank] for row, each in inside if each == rank + 1]
            if inside:
                assert found.observed[index, rank] == pytest.approx(len(hits) / len(inside))
                mean = np.mean([row[rank] for row, _ in inside])
                assert found.predicted[index, rank] == pytest.approx(mean)
            else:
                assert math.isnan(found.observed[index, rank])
            if hits:
                assert found.predicted_of_hits[index, rank] == pytest.approx(np.mean(hits))
            else:
                assert math.isnan(found.predicted_of_hits[index, rank])
    used = found.support > 0
    assert found.support.sum() == 60
    assert (found.observed[used].sum(axis=1) <= 1 + 1e-12).all()
    assert (found.predicted[used].sum(axis=1) <= 1 + 1e-12).all()
    assert (np.diff(found.predicted[used], axis=1) <= 1e-12).all()
    edges = np.arange(bins + 1) / bins
    assert (edges[:-1][used] < found.predicted[used, 0]).all()
    assert (found.predicted[used, 0] <= edges[1:][used] + 1e-12).all()
    if kept == 8:  # the whole vocabulary
        assert found.observed[used].sum(axis=1) == pytest.approx(1)


def test_an_edge_belongs_to_the_bin_below():
    edges = np.arange(1, 11) / 10
    found = grid(Traces(edges[:, None], np.ones(10, dtype=np.int64), np.arange(10)))
    assert found.support.tolist() == [1] * 10


def test_what_is_drawn_from_its_own_distribution_is_calibrated():
    found = grid(traces(0, tokens=60_000, samples=300))
    wide = found.support > 2000
    assert found.observed[wide] == pytest.approx(found.predicted[wide], abs=0.03)
    error = found.error()
    assert error.value < 0.01
    assert error.interval[0] <= error.value <= error.interval[1]


@pytest.mark.parametrize("weights", ["none", "hits"])
def test_the_line_is_that_of_the_law_that_made_the_tokens(weights):
    found = grid(traces(1, tokens=60_000, samples=300, law=(-0.5, 0.9)))
    law = found.power_law(weights)
    if weights == "hits":
        assert (law.a, law.b) == pytest.approx((-0.5, 0.9), abs=0.05)
    assert law.a_interval[0] < law.a < law.a_interval[1]
    assert law.b_interval[0] < law.b < law.b_interval[1]
    cells = (found.observed > 0) & (found.predicted > 0)
    if weights == "none":
        peer = stats.linregress(np.log(found.predicted[cells]), np.log(found.observed[cells]))
        assert (law.a, law.b) == pytest.approx((peer.intercept, peer.slope))
    assert law.cells == cells.sum()
    assert math.exp(law.a) * law.kept_above(0.05) ** law.b == pytest.approx(0.05)
    assert 10**law.a10 == pytest.approx(math.exp(law.a))


def test_top_k_is_the_largest_rank_above_the_threshold_and_counts_down_from_full_confidence():
    rows = np.array([[0.55, 0.3, 0.1, 0.05]] * 20 + [[0.95, 0.03, 0.01, 0.01]] * 9)
    ranks = np.array([1] * 10 + [3] * 8 + [0] * 2 + [1] * 8 + [2])
    found = grid(Traces(rows, ranks, np.arange(29)))
    assert found.top_k(0.1) == [1, 1, 1, 1, 3, 1, 1, 1, 1, 1]  # a gap at 2; nine tokens say little
    assert found.top_k(0.4) == [1] * 10  # strictly more
    assert found.top_k(0.39)[4] == 3


def test_tokens_of_one_sample_are_drawn_together():
    """Ten tokens each that agree: the interval is that of the samples, about sqrt(10) wider."""
    rng = np.random.default_rng(3)
    right = rng.integers(1, 3, 40)
    rows = np.array([[0.5, 0.4]] * 400)
    together = grid(Traces(rows, np.repeat(right, 10), np.repeat(np.arange(40), 10)))
    apart = grid(Traces(rows, np.repeat(right, 10), np.arange(400)))
    width = [np.ptp(each.observed_interval()[4, 0]) for each in (together, apart)]
    assert width[0] / width[1] == pytest.approx(math.sqrt(10), rel=0.15)


def test_one_sample_has_no_interval():
    found = grid(Traces(np.array([[0.5, 0.4], [0.9, 0.1]]), np.array([1, 2]), np.zeros(2, int)))
    assert np.isnan(found.observed_interval()).all()
    assert found.error().interval == (None, None)


@pytest.mark.parametrize(
    ("rows", "ranks", "complaint"),
    [
        ([[0.4, 0.5]], [1], "token 0 has .*use falling numbers"),
        ([[1.5, 0.5]], [1], "token 0 has .*use falling numbers"),
        ([[0.5, 0.4]], [3], "token 0 has rank 3; use 0 to 2"),
        ([[0.5, 0.4]], [1, 1], "1 tokens have 2 ranks"),
    ],
)
def test_what_is_no_trace_is_refused(rows, ranks, complaint):
    with pytest.raises(ValueError, match=complaint):
        Traces(np.array(rows), np.array(ranks), np.arange(len(rows)))


def test_a_line_needs_two_cells():
    with pytest.raises(ValueError, match="needs two cells that differ, and the grid has 1"):
        grid(Traces(np.array([[0.5]]), np.array([1]), np.arange(1))).power_law()
