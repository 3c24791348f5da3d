"""Draws follow the distribution that the rules describe; truncation equals transformers' own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from harness.engines.decoding.cutting import applied
from harness.engines.decoding.rules import RowRules, choose
from harness.sampling.chosen import SamplingRules

CPU = torch.device("cpu")


def draw(logits: torch.Tensor, rule: SamplingRules, count: int) -> torch.Tensor:
    rules = RowRules.of([rule] * count, CPU)
    positions = torch.zeros(count, dtype=torch.long)
    return choose(logits.expand(count, -1), rules, torch.arange(count), positions).tokens


def cut(logits: torch.Tensor, **values) -> torch.Tensor:
    """Logits under one row's rules, at a temperature of 1."""
    own = RowRules.of([SamplingRules(temperature=1.0, **values)] * len(logits), CPU)
    return applied(logits, own.acting, {})


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_tempered_distribution(temperature):
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0, 0.5])
    drawn = draw(logits, SamplingRules(temperature=temperature), 20_000)
    expected = (logits / temperature).softmax(0) * 20_000
    observed = torch.bincount(drawn, minlength=5)
    assert stats.chisquare(observed.numpy(), expected.numpy(), sum_check=False).pvalue > 0.001


def test_truncated_tokens_are_never_drawn():
    logits = torch.tensor([3.0, 2.9, 0.0, -1.0])
    assert set(draw(logits, SamplingRules(temperature=2.0, top_k=2), 500).tolist()) == {0, 1}
    assert set(draw(logits, SamplingRules(temperature=9.0, top_p=0.01), 500).tolist()) == {0}


def test_the_nucleus_ends_with_the_token_that_reaches_its_mass():
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    for mass, kept in ((0.5, 1), (0.501, 2), (0.75, 2), (0.76, 3), (1.0, 4)):
        assert (cut(logits, top_p=mass) > -torch.inf).sum() == kept


def test_greedy_takes_the_first_of_equal_maxima():
    logits = torch.tensor([0.0, 5.0, 5.0])
    assert draw(logits, SamplingRules(), 1).item() == 1


@given(
    seed=st.integers(0, 10_000),
    top_k=st.integers(1, 20),
    top_p=st.floats(0.05, 1.0),
    min_p=st.floats(0.0, 0.9),
)
def test_truncation_equals_transformers_warpers(seed, top_k, top_p, min_p):
    logits = torch.randn(3, 20, generator=torch.Generator().manual_seed(seed)) * 3
    expected = TopKLogitsWarper(top_k)(None, logits)
    expected = TopPLogitsWarper(top_p)(None, expected) if top_p < 1 else expected
    expected = MinPLogitsWarper(min_p)(None, expected) if min_p else expected
    own = cut(logits, top_k=top_k, top_p=top_p, min_p=min_p)
    assert torch.equal(own == -torch.inf, expected == -torch.inf)
    assert torch.equal(own[own > -torch.inf], logits[own > -torch.inf])


@given(st.integers(0, 1000), st.permutations(range(4)))
def test_rows_with_different_rules_do_not_touch_each_other(seed, order):
    all_rules = [
        SamplingRules(),
        SamplingRules(temperature=1.0),
        SamplingRules(temperature=2.0, top_k=3),
        SamplingRules(temperature=0.7, top_p=0.5, min_p=0.1),
    ]
    logits = torch.randn(4, 12, generator=torch.Generator().manual_seed(seed))
    keys, positions = torch.arange(4) + seed, torch.arange(4)
    rules = RowRules.of([all_rules[i] for i in order], CPU)
    index = torch.tensor(order)
    together = choose(logits[index], rules, keys[index], positions[index])
    for row, i in enumerate(order):
        alone = choose(
            logits[i : i + 1],
            RowRules.of([all_rules[i]], CPU),
            keys[i : i + 1],
            positions[i : i + 1],
        )
        assert together.tokens[row] == alone.tokens[0]
        assert torch.isclose(together.log_probabilities[row], alone.log_probabilities[0])


def test_log_probabilities_are_untempered():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    rules = RowRules.of([SamplingRules(temperature=0.3)], CPU)
    choice = choose(logits, rules, torch.tensor([1]), torch.tensor([0]))
    assert choice.log_probabilities[0] == logits.log_softmax(-1)[0, choice.tokens[0]]


@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_row_that_is_unsure_of_every_token_has_one_candidate(seed, threshold):
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(seed))
    own = cut(logits, greedy_threshold=threshold)
    best = logits.softmax(dim=-1).amax(dim=-1)
    for row in range(4):
        left = own[row].isfinite()
        assert left.sum() == (1 if best[row] < threshold else 9)
        assert torch.equal(own[row][left], logits[row][left])
        assert left[logits[row].argmax()]


def test_greedy_threshold_of_one_is_greedy_and_of_nothing_is_off():
    logits = torch.randn(6, 30, generator=torch.Generator().manual_seed(1))
    keys, positions = torch.arange(6), torch.zeros(6, dtype=torch.int64)

    def drawn(**rules):
        own = RowRules.of([SamplingRules(temperature=1.0, **rules)] * 6, logits.device)
        return choose(logits, own, keys, positions).tokens

    assert torch.equal(drawn(greedy_threshold=1.0), logits.argmax(dim=-1))
    assert torch.equal(drawn(greedy_threshold=0.0), drawn())
    assert not torch.equal(drawn(), logits.argmax(dim=-1))


def test_draws_stay_what_they_were():
    """Stored completions were drawn like this, whatever the rows beside them asked for."""
    logits = torch.randn(16, 500, generator=torch.Generator().manual_seed(0)) * 3
    rules = [
        SamplingRules(),
        SamplingRules(temperature=1.0),
        SamplingRules(temperature=2.0, top_k=3),
        SamplingRules(temperature=0.7, top_p=0.5, min_p=0.1),
        SamplingRules(temperature=1.5, greedy_threshold=0.3),
        SamplingRules(temperature=1.3, top_k=40, top_p=0.9, min_p=0.02, greedy_threshold=0.05),
        SamplingRules(temperature=3.0, min_p=0.01),
        SamplingRules(temperature=1.2, top_p=0.95),
    ]
    own = choose(logits, RowRules.of(rules * 2, CPU), torch.arange(16), torch.arange(16) % 5)
    first, second = [393, 38, 472, 48, 228, 5, 373, 474], [226, 335, 65, 476, 6, 22, 341, 327]
    assert own.tokens.tolist() == first + second
