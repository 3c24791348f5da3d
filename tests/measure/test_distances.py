"""Distances of distributions: their laws, over all kinds of distributions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.distances import jensen_shannon, total_variation

LOGITS = st.lists(st.floats(-300, 300, width=32), min_size=6, max_size=6)


def logs(values):
    return torch.tensor(values).log_softmax(-1)


@given(LOGITS, LOGITS)
def test_jensen_shannon_is_symmetric_and_between_nothing_and_ln_2(one, other):
    p, q = logs(one), logs(other)
    value = float(jensen_shannon(p, q))
    assert value == pytest.approx(float(jensen_shannon(q, p)), abs=1e-12)
    assert 0 <= value <= math.log(2)


@given(LOGITS)
def test_jensen_shannon_of_equal_distributions_is_nothing(values):
    assert float(jensen_shannon(logs(values), logs(values))) == 0


@given(LOGITS, LOGITS)
def test_jensen_shannon_of_different_distributions_is_something(one, other):
    p, q = logs(one), logs(other)
    apart = float(total_variation(p.double().exp(), q.double().exp()))
    # Lin's bound and Pinsker's: the two distances vanish together.
    value = float(jensen_shannon(p, q))
    assert apart**2 / 2 - 1e-6 <= value <= apart * math.log(2) + 1e-6


def test_jensen_shannon_of_disjoint_distributions_is_ln_2_and_never_not_a_number():
    p, q = torch.tensor([0.0, -math.inf]), torch.tensor([-math.inf, 0.0])
    assert float(jensen_shannon(p, q)) == pytest.approx(math.log(2))
    assert float(jensen_shannon(logs([500.0, -500.0]), logs([-500.0, 500.0]))) == pytest.approx(
        math.log(2)
    )


def test_jensen_shannon_against_its_definition():
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.6])
    mean = (p + q) / 2
    by_hand = ((p * (p / mean).log()).sum() + (q * (q / mean).log()).sum()) / 2
    assert float(jensen_shannon(p.log(), q.log())) == pytest.approx(float(by_hand), abs=1e-6)


def test_leading_dimensions_are_kept():
    p = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    assert jensen_shannon(p, p.flip(-1)).shape == (3, 4)


@given(LOGITS, LOGITS)
def test_total_variation_is_between_0_and_1(one, other):
    p, q = (logs(values).double().exp() for values in (one, other))
    assert 0 <= float(total_variation(p, q)) <= 1
    assert float(total_variation(p, p)) == 0
