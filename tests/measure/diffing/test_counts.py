"""Identities of top-k counts, on differences that are drawn."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.diffing.counts import TokenCounts

V = 13


def differences(seed, positions=7):
    return torch.randn(positions, V, generator=torch.Generator().manual_seed(seed))


def counted(*parts, depth=4):
    counts, first = TokenCounts(V, depth), 0
    for part in parts:
        counts.add(part, torch.ones(len(part)), first)
        first += len(part)
    return counts


def same(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("positive", "negative", "above")
    ) and torch.allclose(one.total, other.total, atol=1e-12)


seeds = st.integers(0, 10_000)
depths = st.integers(1, V)


@given(seeds, depths)
@settings(max_examples=15, deadline=None)
def test_every_position_counts_as_many_tokens_as_it_is_deep(seed, depth):
    counts = counted(differences(seed), depth=depth)
    assert counts.positive.sum() == counts.negative.sum() == depth * counts.positions
    assert counts.positive.max() <= counts.positions
    assert counts.rate.min() >= 0
    assert counts.rate.max() <= 100
    assert counts.fraction_positive.min() >= 0
    assert counts.fraction_positive.max() <= 1


@given(seeds, depths)
@settings(max_examples=15, deadline=None)
def test_models_that_change_places_change_gains_into_losses(seed, depth):
    given_, swapped = (counted(sign * differences(seed), depth=depth) for sign in (1, -1))
    assert torch.equal(given_.positive, swapped.negative)
    assert torch.equal(given_.negative, swapped.positive)
    assert torch.equal(given_.total, -swapped.total)


@given(seeds, depths)
@settings(max_examples=15, deadline=None)
def test_a_constant_of_a_position_moves_no_count(seed, depth):
    values = differences(seed).double()
    shifted = counted(values + torch.arange(7.0)[:, None], depth=depth)
    plain = counted(values, depth=depth)
    assert torch.equal(plain.positive, shifted.positive)
    assert torch.equal(plain.negative, shifted.negative)
    assert not torch.allclose(plain.mean, shifted.mean)
    assert not torch.equal(plain.fraction_positive, shifted.fraction_positive)


@given(seeds, st.integers(1, V - 1))
@settings(max_examples=15, deadline=None)
def test_what_is_counted_is_counted_at_greater_depth_too(seed, depth):
    less, more = (counted(differences(seed), depth=k) for k in (depth, depth + 1))
    assert (less.positive <= more.positive).all()
    shallow, deep = (
        TokenCounts(V, k).add(differences(seed), torch.ones(7)) for k in (depth, depth + 1)
    )
    assert (shallow <= deep).all()
    assert (counted(differences(seed), depth=V).rate == 100).all()
    assert counted(differences(seed), depth=1).positive.sum() == 7


@given(seeds, st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_counts_add_up_over_parts_in_any_order(seed, cut):
    values = differences(seed)
    whole = counted(values)
    assert same(whole, counted(values[:cut], values[cut:]))
    assert same(whole, counted(values[cut:], values[:cut]))
    assert same(whole, counted(*values.split(1)))


@given(seeds, st.floats(0.1, 50))
@settings(max_examples=15, deadline=None)
def test_a_larger_difference_of_the_same_shape_has_the_same_rates(seed, factor):
    values = differences(seed).double()
    plain, scaled = counted(values), counted(factor * values)
    assert torch.equal(plain.rate, scaled.rate)
    assert torch.allclose(factor * plain.mean, scaled.mean)


def test_equal_models_name_no_token():
    counts = counted(torch.zeros(5, V), torch.full((3, V), 2.5))
    assert counts.nothing
    assert counts.silent == counts.positions == 8
    assert not counts.positive.any()
    assert not counts.total.any()
    assert (counts.where == -1).all()


def test_rounding_is_no_difference_and_what_is_more_is_one():
    noise = 3e-6 * differences(0)
    counts = TokenCounts(V, 4)
    counts.add(noise, torch.full((7,), 10.0))
    assert counts.nothing
    counts.add(100 * noise, torch.full((7,), 10.0))
    assert not counts.nothing


def test_of_equal_differences_the_lower_id_is_counted():
    counts = counted(torch.tensor([[0.0, 1.0, 1.0, 1.0] + [0.0] * (V - 4)]), depth=2)
    assert counts.positive.tolist()[:4] == [0, 1, 1, 0]


def test_examples_are_where_a_token_gained_most():
    values = differences(3, positions=20)
    counts = counted(values[:9], values[9:])
    for token in range(V):
        expected = values[:, token].topk(3).indices
        assert counts.where[:, token].tolist() == expected.tolist()
