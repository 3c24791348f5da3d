"""Nuclei and divergences against their definitions, over all kinds of distributions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.interventions.dac.divergence import divergence, nucleus

SIZE = 6
LOGITS = st.lists(
    st.one_of(st.integers(-4, 4).map(float), st.floats(-8, 8)), min_size=SIZE, max_size=SIZE
)
TOP_P = st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.95, 1.0])


def log_softmax(logits) -> torch.Tensor:
    return torch.tensor(logits, dtype=torch.float64).log_softmax(-1)


def defined_nucleus(log_probabilities, top_p) -> set[int]:
    """Token by token: the most probable first, until the mass is reached."""
    probabilities = log_probabilities.exp().tolist()
    if top_p == 1:
        return set(range(len(probabilities)))
    inside, mass = set(), 0.0
    for token in sorted(range(len(probabilities)), key=lambda t: (-probabilities[t], t)):
        if mass >= top_p:
            break
        inside.add(token)
        mass += probabilities[token]
    return inside


def tokens(mask) -> set[int]:
    return set(mask.nonzero()[:, 0].tolist())


@given(LOGITS, TOP_P)
def test_a_nucleus_is_the_smallest_prefix_that_reaches_the_mass(logits, top_p):
    found = tokens(nucleus(log_softmax(logits), top_p))
    assert found == defined_nucleus(log_softmax(logits), top_p)
    probabilities = log_softmax(logits).exp()
    assert sum(probabilities[token] for token in found) >= top_p - 1e-9


def test_the_token_that_crosses_is_in_and_a_nucleus_is_never_empty():
    sure = log_softmax([20.0, 0, 0, 0, 0, 0])
    assert tokens(nucleus(sure, 0.4)) == {0}
    halves = torch.tensor([0.45, 0.35, 0.2]).log()
    assert tokens(nucleus(halves, 0.5)) == {0, 1}
    assert tokens(nucleus(halves, 0.45)) == {0}


@given(LOGITS, LOGITS, TOP_P)
def test_a_divergence_is_that_of_the_renormalised_distributions(p, q, top_p):
    log_p, log_q = log_softmax(p), log_softmax(q)
    union = defined_nucleus(log_p, top_p) | defined_nucleus(log_q, top_p)
    own, other = log_p.exp().tolist(), log_q.exp().tolist()
    of_p, of_q = (sum(each[token] for token in union) for each in (own, other))
    expected = sum(
        own[t] / of_p * (math.log(own[t] / of_p) - math.log(other[t] / of_q)) for t in union
    )
    found = float(divergence(log_p, log_q, top_p=top_p))
    assert found == pytest.approx(max(expected, 0), abs=1e-9)
    mean = float(divergence(log_p, log_q, top_p=top_p, mean=True))
    assert mean == pytest.approx(found / len(union))


@given(LOGITS, LOGITS, TOP_P)
def test_the_other_direction_exchanges_the_two(p, q, top_p):
    log_p, log_q = log_softmax(p), log_softmax(q)
    turned = divergence(log_p, log_q, top_p=top_p, direction="steered_to_unsteered")
    assert torch.equal(turned, divergence(log_q, log_p, top_p=top_p))


@given(LOGITS, TOP_P)
def test_equal_distributions_do_not_diverge_at_all(logits, top_p):
    assert float(divergence(log_softmax(logits), log_softmax(logits), top_p=top_p)) == 0


@given(LOGITS, LOGITS, TOP_P)
def test_rows_do_not_feel_each_other(p, q, top_p):
    rows = torch.stack([log_softmax(p), log_softmax(q)])
    both = divergence(rows, rows.flip(0), top_p=top_p)
    assert float(both[0]) == float(divergence(rows[0], rows[1], top_p=top_p))


def test_what_one_excludes_is_infinitely_far_and_never_not_a_number():
    sure = torch.tensor([0.0, -math.inf, -math.inf])
    other = torch.tensor([-math.inf, math.log(0.5), math.log(0.5)])
    assert float(divergence(sure, other, top_p=0.5)) == math.inf
    half = torch.tensor([math.log(0.5), math.log(0.5), -math.inf])
    assert float(divergence(sure, half, top_p=1.0)) == pytest.approx(math.log(2))
