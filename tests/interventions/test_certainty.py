"""Statistics of distributions and attention: the identities that their definitions have."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.interventions.certainty import (
    OF_DISTRIBUTIONS,
    attention_statistics,
    entropy,
    kl_divergence,
    margin,
    top_probability,
    varentropy,
)

LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=40).map(torch.tensor)


@given(LOGITS)
def test_all_are_in_their_bounds_and_know_no_shift(logits):
    scores, shifted = logits.log_softmax(-1), (logits.double() + 7).log_softmax(-1)
    assert 0 <= entropy(scores) <= math.log2(len(logits)) + 1e-6
    assert varentropy(scores) >= 0
    assert 0 <= margin(scores) <= top_probability(scores) <= 1 + 1e-6
    for number in OF_DISTRIBUTIONS.values():
        assert number(scores) == pytest.approx(number(shifted), abs=1e-3)


@given(LOGITS)
def test_varentropy_is_the_variance_of_a_tokens_information(logits):
    scores = logits.double().log_softmax(-1)
    bits = -scores / math.log(2)
    mean = (scores.exp() * bits).sum()
    expected = (scores.exp() * bits**2).sum() - mean**2
    assert varentropy(scores) == pytest.approx(float(expected), abs=1e-6)


def test_the_uniform_and_the_certain():
    uniform = torch.zeros(8).log_softmax(-1)
    certain = torch.full((8,), -torch.inf).scatter(0, torch.tensor(3), 0.0)
    assert entropy(uniform) == pytest.approx(3)
    assert varentropy(uniform) == pytest.approx(0, abs=1e-9)
    assert (entropy(certain), varentropy(certain), margin(certain)) == (0, 0, 1)
    assert margin(uniform) == pytest.approx(0)


def test_divergence_is_that_of_the_oracle_from_the_model():
    own, oracle = torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.0]).log()
    assert kl_divergence(own, oracle) == pytest.approx(math.log(2))
    assert kl_divergence(oracle, own) == math.inf
    assert kl_divergence(own, own) == 0


def test_equal_heads_agree_and_weights_are_taken_as_they_are():
    scores = torch.tensor([[0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    found = attention_statistics(scores.softmax(-1), scores)
    # Uniform over four keys: two bits, and not those of a second softmax.
    first = attention_statistics(scores[:1].softmax(-1), scores[:1])
    assert first["attention_entropy"] == pytest.approx(2)
    assert (first["agreement"], first["attention_varentropy"]) == (0, 0)
    assert found["attention_entropy"] < 2
    assert found["attention_varentropy"] > 0
    assert 0 < found["agreement"] <= 2 / 4
    assert found["interaction"] == pytest.approx(0.25)
