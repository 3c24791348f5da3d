"""Identities of the rules and of their compositions, as properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.decoding.cutting import applied
from harness.engines.decoding.noise import gumbel
from harness.engines.decoding.rules import RowRules, choose
from harness.sampling import CountRule, MaskRule, registered
from harness.sampling.builtin.calibrated import Calibrated
from harness.sampling.builtin.edt import EntropyTemperature
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS
from harness.sampling.confidence import bins
from tests.engines.decoding.steps_of import CPU, first, left

CUTS = [rule for rule in registered() if isinstance(rule, CountRule | MaskRule)]
PREFIXES = [rule for rule in CUTS if rule.keeps_best]
VOCABULARY = 40
#: The orders in which what ties with the last of top_k stays, as in those that they are called by.
TIES_STAY = ("hf", "vllm")

seeds = st.integers(0, 10_000)
shares = st.floats(0.01, 0.99)
counts = st.integers(1, VOCABULARY)
tens = st.lists(counts, min_size=10, max_size=10).map(tuple)
VALUES = {
    "calibrated": st.builds(
        Calibrated, a=st.floats(-2, 0.5), b=st.floats(0.2, 2), threshold=st.floats(0.01, 0.9)
    ),
    "confidence_bin_only": st.integers(1, 10),
    "dynamic_top_k": tens,
    "p_less": st.just(True),
    "top_k": counts,
    "top_n_sigma": st.floats(0.1, 4),
}


def values_of(rule):
    return VALUES.get(rule.name, shares)


def some_rules(of):
    return st.lists(st.sampled_from(of), unique_by=lambda rule: rule.name, max_size=5).flatmap(
        lambda rules: st.fixed_dictionaries({rule.name: values_of(rule) for rule in rules})
    )


def logits_of(seed: int, *, ties: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(6, 1, generator=generator) * 4 + 0.1
    logits = torch.randn(6, VOCABULARY, generator=generator) * spread
    return logits.round() if ties else logits


def kept(logits, **values):
    return left(logits, **values) > -torch.inf


@given(seeds, some_rules(CUTS), st.sampled_from([*COMPOSITIONS]), st.floats(0.3, 3), st.booleans())
def test_cuts_leave_a_prefix_of_the_sorted_tokens_as_it_was(seed, values, compose, t, ties):
    logits = logits_of(seed, ties=ties)
    own = left(logits, compose=compose, temperature=t, **values)
    there = own > -torch.inf
    assert there.any(-1).all()
    # Ratios stay: what is kept is the tempered logits themselves.
    assert torch.equal(own[there], (logits / t)[there])
    if "typical" not in values:
        assert there.gather(-1, logits.argmax(-1, keepdim=True)).all()
        number = there.sum(-1)
        together = {"min_p", "epsilon", "eta", "p_less", "calibrated", "top_n_sigma"}
        if compose in TIES_STAY:
            together.add("top_k")
        if not (ties and together & values.keys()):
            assert torch.equal(there, first(logits, number) > -torch.inf)


@given(seeds, some_rules(PREFIXES), st.sampled_from([*COMPOSITIONS]))
def test_without_rules_nothing_changes_and_another_rule_only_cuts_more(seed, values, compose):
    logits = logits_of(seed)
    nothing = RowRules.of([SamplingRules(compose=compose)] * 6, CPU)
    assert applied(logits, nothing.acting, {}) is logits
    assert torch.equal(left(logits, temperature=1.0, compose=compose), logits)
    if compose == "min":
        together = kept(logits, compose="min", **values)
        each = [kept(logits, compose="min", **{name: value}) for name, value in values.items()]
        expected = torch.ones_like(together)
        for one in each:  # commutative, associative, idempotent: an intersection
            expected &= one
        assert torch.equal(together, expected)


@given(seeds, st.floats(0.2, 5), st.booleans())
def test_everything_that_leaves_one_token_is_greedy(seed, temperature, ties):
    logits = logits_of(seed, ties=ties)
    greedy = first(logits, torch.ones(6, dtype=torch.int64)) > -torch.inf
    for values in (
        {"top_k": 1, "compose": "min" if ties else "hf"},
        {"dynamic_top_k": (1,) * 10},
        {"top_p": 1e-6},
        {"top_h": 1e-6},
    ):
        assert torch.equal(kept(logits, temperature=temperature, **values), greedy), values
    # A probability that is 1 in float32 is not below 1: nothing else is drawn there anyway.
    unsure = (logits / temperature).softmax(dim=-1).amax(dim=-1) < 1
    strictest = kept(logits, temperature=temperature, greedy_threshold=1.0)
    assert torch.equal(strictest[unsure], greedy[unsure])
    if not ties:
        for values in ({"epsilon": 0.999999}, {"min_p": 0.999999}, {"top_n_sigma": 1e-6}):
            assert torch.equal(kept(logits, temperature=temperature, **values), greedy), values
    keys, positions = torch.arange(6), torch.zeros(6, dtype=torch.int64)
    plain = RowRules.of([SamplingRules()] * 6, CPU)
    assert torch.equal(choose(logits, plain, keys, positions).tokens, greedy.int().argmax(-1))


@given(seeds, counts, st.booleans())
def test_counts_beyond_the_vocabulary_are_off_and_ten_equal_ones_are_top_k(seed, k, ties):
    logits = logits_of(seed, ties=ties)
    assert kept(logits, top_k=VOCABULARY).all()
    assert kept(logits, dynamic_top_k=(10**9,) * 10).all()
    exactly = kept(logits, top_k=k, compose="min" if ties else "hf")
    assert torch.equal(kept(logits, dynamic_top_k=(k,) * 10), exactly)


@given(seeds, counts, st.sampled_from([*COMPOSITIONS]))
def test_what_ties_with_the_last_of_top_k_stays_in_two_orders_and_goes_in_the_others(
    seed, k, compose
):
    logits = logits_of(seed, ties=True)
    least = logits.sort(dim=-1, descending=True).values[:, k - 1 : k]
    expected = logits >= least
    if compose not in TIES_STAY:
        expected = first(logits, torch.full((6,), k)) > -torch.inf
    assert torch.equal(kept(logits, compose=compose, top_k=k), expected)


@given(seeds, st.integers(0, 10))
def test_a_greedy_threshold_at_an_edge_is_a_dynamic_top_k(seed, tenth):
    logits = logits_of(seed)
    dynamic = (VOCABULARY,) * (10 - tenth) + (1,) * tenth
    assert torch.equal(
        kept(logits, greedy_threshold=tenth / 10), kept(logits, dynamic_top_k=dynamic)
    )


@given(seeds, shares, st.floats(-2, 0.5), st.floats(0.2, 2), st.floats(0.01, 0.9))
def test_other_thresholds_are_an_epsilon(seed, share, a, b, threshold):
    logits = logits_of(seed)[:1]
    best = logits.softmax(-1).amax().item()
    # Beside the edge, where rounding may turn it.
    assert torch.equal(kept(logits, min_p=share), kept(logits, epsilon=share * best)) or near(
        logits, share * best
    )
    for base in ("e", 10):
        fit = Calibrated(a=a, b=b, threshold=threshold, base=base)
        scale = 10**a if base == 10 else math.exp(a)
        least = (threshold / scale) ** (1 / b)
        assert fit.least == pytest.approx(min(least, math.e), rel=1e-9)
        if least < 1:
            assert torch.equal(kept(logits, calibrated=fit), kept(logits, epsilon=fit.least))
        else:
            assert kept(logits, calibrated=fit).sum() == 1
    natural = Calibrated(a=a * math.log(10), b=b, threshold=threshold)
    ten = Calibrated(a=a, b=b, threshold=threshold, base=10)
    assert natural.least == pytest.approx(ten.least, rel=1e-9)


def near(logits, least):
    return (logits.softmax(-1) / least - 1).abs().min() < 1e-5


@given(seeds, shares)
def test_eta_keeps_what_epsilon_keeps_and_is_one_where_the_entropy_is_small(seed, e):
    logits = logits_of(seed)
    eta, epsilon = kept(logits, eta=e), kept(logits, epsilon=e)
    assert (eta | ~epsilon).all()
    probabilities = logits.softmax(-1)
    entropy = -probabilities.xlogy(probabilities).sum(-1)
    small = (-entropy).exp() >= math.sqrt(e) * (1 + 1e-5)
    assert torch.equal(eta[small], epsilon[small])


@given(seeds, some_rules(PREFIXES), st.data())
def test_support_grows_and_shrinks_with_the_setting(seed, values, data):
    logits = logits_of(seed)
    growing = {"top_k": counts, "top_p": shares, "top_h": shares, "top_n_sigma": st.floats(0.1, 4)}
    shrinking = {"min_p": shares, "epsilon": shares, "eta": shares, "greedy_threshold": shares}
    for name, strategy in (growing | shrinking).items():
        low, high = sorted(data.draw(st.tuples(strategy, strategy)))
        few, many = (low, high) if name in growing else (high, low)
        assert (kept(logits, **{name: many}) | ~kept(logits, **{name: few})).all(), name
    low, high = sorted(data.draw(st.tuples(shares, shares)))
    fits = (Calibrated(a=-1.0, b=0.5, threshold=each) for each in (high, low))
    few, many = (kept(logits, calibrated=fit) for fit in fits)
    assert (many | ~few).all()


@given(seeds)
def test_every_step_draws_under_exactly_one_bin(seed):
    logits = logits_of(seed)
    random = torch.stack(
        [kept(logits, confidence_bin_only=number).all(-1) for number in range(1, 11)]
    )
    assert random.sum(0).eq(1).all()


def test_bins_are_open_below_and_closed_above():
    tenths = torch.arange(1, 11) / 10
    assert bins(tenths).tolist() == list(range(1, 11))
    assert bins(tenths[:9] + 1e-6).tolist() == list(range(2, 11))
    assert bins(torch.tensor([0.0, 1e-9])).tolist() == [1, 1]


@given(seeds, some_rules(CUTS), st.sampled_from([*COMPOSITIONS]), st.integers(-30, 30))
def test_a_constant_changes_nothing_and_a_permutation_permutes(seed, values, compose, constant):
    logits = (logits_of(seed) * 64).round() / 64  # so that the constant is added without rounding
    logits += torch.arange(VOCABULARY) / 4096  # and no two are equal
    own = kept(logits, compose=compose, **values)
    order = torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(seed))
    for other, back in ((logits + constant, own), (logits[:, order], own[:, order])):
        # One step in six whose edge is next to a token may turn by rounding.
        same = (kept(other, compose=compose, **values) == back).all(-1)
        assert same.sum() >= 5


@given(seeds, shares)
def test_a_nucleus_has_its_mass_and_not_without_its_last_token(seed, p):
    logits = logits_of(seed)
    probabilities = logits.double().softmax(-1)
    for compose, at_least in (("hf", p - 1e-6), ("min", p)):
        there = kept(logits, compose=compose, top_p=p)
        mass = probabilities.where(there, 0).sum(-1)
        last = probabilities.where(there, 1).amin(-1)
        assert (mass >= at_least - 1e-6).all()
        assert (mass - last <= p + 1e-6).all()


@pytest.mark.parametrize(
    ("compose", "number"), [("hf", 2), ("vllm", 2), ("llamacpp", 2), ("min", 3)]
)
def test_a_nucleus_that_hits_its_mass_exactly(compose, number):
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    assert kept(logits, compose=compose, top_p=0.75).sum() == number


def tempered(logits, **settings):
    rule = {"edt": EntropyTemperature(**settings)}
    own = RowRules.of([SamplingRules(**rule)] * len(logits), CPU)
    (acting,) = own.acting
    return acting.rule.apply(logits, acting.values)


@given(seeds, st.floats(0.1, 3), st.floats(0.01, 3), st.floats(0.05, 0.99))
def test_entropy_dependent_temperature_is_the_papers(seed, t0, theta, n):
    logits = logits_of(seed)
    assert torch.equal(tempered(logits, t0=t0, theta=0.0, n=n), logits / t0)
    assert torch.equal(tempered(logits, t0=t0, theta=theta, n=1.0), logits / t0)
    temperatures = (logits / tempered(logits, t0=t0, theta=theta, n=n))[:, 0].double()
    double = logits.double()
    entropy = -(double.softmax(-1) * double.log_softmax(-1)).sum(-1)
    expected = t0 * n ** (theta / entropy)
    told = expected > 1e-20
    assert torch.allclose(temperatures[told], expected[told], rtol=1e-3)
    assert (expected < t0).all()
    order = entropy.argsort()
    assert expected[order].diff().ge(0).all()  # increasing in the entropy


@pytest.mark.parametrize("temperature", [1e-30, 1e-40, 5e-324])
def test_a_temperature_that_underflows_leaves_the_most_probable_token(temperature):
    logits = torch.tensor([[-3.0, 2.0, 7.5, -90.0]])
    assert left(logits, temperature=temperature).softmax(dim=-1).tolist() == [[0, 0, 1, 0]]


def test_entropy_dependent_temperature_at_its_limits():
    sure = torch.tensor([[200.0, 0.0, 0.0], [200.0, 200.0, 0.0]])
    left = tempered(sure, theta=0.5).softmax(-1)
    assert torch.equal(left, torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))
    flat = torch.zeros(1, 5000)
    assert tempered(flat + 3, theta=1e-6).eq(3).all()


@given(seeds, st.lists(some_rules(CUTS), min_size=6, max_size=6), st.data())
def test_rows_of_different_compositions_do_not_touch_each_other(seed, rows, data):
    logits = logits_of(seed)
    orders = data.draw(st.lists(st.sampled_from([*COMPOSITIONS]), min_size=6, max_size=6))
    rules = [
        SamplingRules(temperature=1.3, compose=compose, **values)
        for compose, values in zip(orders, rows, strict=True)
    ]
    before = logits.clone()
    together = applied(logits, RowRules.of(rules, CPU).acting, {})
    assert torch.equal(logits, before)
    for row, own in enumerate(rules):
        alone = applied(logits[row : row + 1], RowRules.of([own], CPU).acting, {})
        assert torch.equal(together[row : row + 1], alone)
    part = RowRules.of(rules, CPU)[2:5].repeat(2)
    twice = applied(logits[2:5].repeat_interleave(2, 0), part.acting, {})
    assert torch.equal(twice[::2], together[2:5])
    assert torch.equal(twice[1::2], together[2:5])


def test_few_tokens_are_drawn_as_among_many():
    """The noise of the kept tokens alone is the noise that they have among all."""
    logits = torch.randn(40, 5000, generator=torch.Generator().manual_seed(3)) * 2
    keys, positions = torch.arange(40), torch.arange(40) % 7
    few = RowRules.of([SamplingRules(temperature=1.5, top_k=50)] * 40, CPU)
    noisy = applied(logits, few.acting, {}).log_softmax(-1) + gumbel(keys, positions, 5000)
    assert torch.equal(choose(logits, few, keys, positions).tokens, noisy.argmax(-1))
