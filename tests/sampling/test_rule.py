"""What every registered rule owes, whichever rules there are; and rules that others register."""

from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from harness.engines.contract import Request
from harness.engines.decoding.cutting import Acting, applied
from harness.engines.decoding.rules import RowRules, choose, initial_states
from harness.errors import RegistryError, RequestError
from harness.sampling import CountRule, LogitsRule, MaskRule, registered
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS
from tests.sampling.other_rules import COOLING, EVEN_RANKS, UNREPEATED

CPU = torch.device("cpu")
OURS = registered()
EVERY = (*OURS, COOLING, UNREPEATED, EVEN_RANKS)
STATELESS = [rule for rule in EVERY if isinstance(rule, CountRule | LogitsRule | MaskRule)]


def logits_of(seed: int, rows: int = 4, vocabulary: int = 30) -> torch.Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * 3


def left_by(rule, value, logits):
    """Which tokens a stateless rule leaves of every row."""
    return under([value] * len(logits), rule, logits) > -torch.inf


def under(values, rule, logits):
    """Logits under a stateless rule, in the rows in which its value is not neutral."""
    rows = [row for row, value in enumerate(values) if not rule.is_neutral(value)]
    own = rule.tensors([values[row] for row in rows], CPU)
    return applied(logits, [Acting(rule, own, rows, COMPOSITIONS["hf"])], {})


def test_rules_that_are_older_than_names_in_keys_act_in_their_order():
    old = [rule for rule in OURS if rule.column is not None]
    assert list(OURS[: len(old)]) == old
    names = ["temperature", "top_k", "top_p", "min_p", "greedy_threshold"]
    assert [rule.name for rule in old] == names
    by_place = ["temperature", "greedy_threshold", "top_k", "top_p", "min_p"]
    assert [rule.name for rule in sorted(old, key=lambda rule: rule.place)] == by_place


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_a_rule_says_what_a_spec_needs(rule):
    values = TypeAdapter(rule.field)
    for value in (rule.neutral, rule.example, rule.strictest, rule.idle):
        if value is not None or value is rule.neutral:
            assert values.validate_python(value) == value
            assert hash(value) == hash(value)
    assert rule.description.endswith(".")
    assert rule.column is not None or rule.content(rule.neutral) == ()


@pytest.mark.parametrize("rule", STATELESS, ids=lambda rule: rule.name)
@given(st.integers(0, 10_000))
def test_the_best_token_stays_and_neutral_rows_keep_every_bit(rule, seed):
    logits = logits_of(seed)
    for value in (rule.example, rule.strictest, rule.idle):
        if value is None:
            continue
        left = left_by(rule, value, logits)
        if rule.keeps_best:
            assert left.gather(-1, logits.argmax(dim=-1, keepdim=True)).all()
        if value == rule.strictest:
            assert left.sum(dim=-1).eq(1).all()
        if value == rule.idle:
            assert left.all()
    # A neutral row between rows in which the rule acts.
    values = [rule.neutral, rule.example, rule.strictest or rule.example, rule.neutral]
    assert torch.equal(under(values, rule, logits)[::3], logits[::3])


NUMBERED = [rule for rule in OURS if not rule.draws and rule.neutral is not None]


@pytest.mark.parametrize("compose", COMPOSITIONS)
@given(st.integers(0, 10_000))
def test_a_rule_that_is_tried_runs_and_changes_nothing(compose, seed):
    values = {rule.name: rule.neutral for rule in NUMBERED}
    logits = logits_of(seed)
    own = SamplingRules(temperature=1.0, compose=compose, tried=values, **values)
    assert len(own.acting) == len(NUMBERED) + 1
    assert torch.equal(applied(logits, RowRules.of([own] * 4, CPU).acting, {}), logits)
    plain = SamplingRules(temperature=1.0, compose=compose, **values)
    assert own != plain
    assert len({Request((1,), 2, sampling=rules).key() for rules in (own, plain)}) == 2


def test_the_default_order_and_what_is_greedy_have_no_key_of_their_own():
    one, other = SamplingRules(temperature=1.0), SamplingRules(temperature=1.0, compose="hf")
    assert one == other
    assert one.content == [1.0, None, 1.0, 0.0]
    assert SamplingRules(top_k=3, compose="vllm") == SamplingRules(top_k=3)
    composed = SamplingRules(temperature=1.0, compose="llamacpp", eta=0.1)
    assert composed.content == [1.0, None, 1.0, 0.0, ["eta", 0.1], ["compose", "llamacpp"]]
    assert pickle.loads(pickle.dumps(composed)) == composed == SamplingRules.of(composed.plain())


@pytest.mark.parametrize("rule", STATELESS, ids=lambda rule: rule.name)
@given(st.integers(0, 10_000))
def test_what_a_rule_leaves_is_what_it_does_not_exclude(rule, seed):
    if type(rule).excluded is type(EVEN_RANKS).excluded:
        return  # says nothing of single tokens
    logits = logits_of(seed, rows=1)
    (left,) = left_by(rule, rule.example, logits)
    scores = logits[0].log_softmax(-1).tolist()
    best = sorted(scores, reverse=True)
    for token, score in enumerate(scores):
        if left[token]:
            assert rule.excluded(rule.example, score, best, 1e-4) is None
        elif min(abs(score - other) for other in scores if other != score) > 0.01:
            # Not next to the edge, where rounding may turn it.
            further = score - 0.02 if rule.keeps_best else score
            assert rule.excluded(rule.example, further, best, 0.0)


@given(st.lists(st.sampled_from(OURS), unique=True), st.integers(0, 1000))
def test_rows_draw_alone_what_they_draw_beside_others(some, seed):
    logits = logits_of(seed, rows=len(some) + 1, vocabulary=60)
    values = [{}, *({"temperature": 1.0, rule.name: rule.example} for rule in some)]
    rules = [SamplingRules(**own) for own in values]
    keys, positions = torch.arange(len(rules)), torch.arange(len(rules))
    together = choose(logits, RowRules.of(rules, CPU), keys, positions)
    for row, own in enumerate(rules):
        at = slice(row, row + 1)
        alone = choose(logits[at], RowRules.of([own], CPU), keys[at], positions[at])
        assert alone.tokens[0] == together.tokens[row]


def test_nothing_runs_for_greedy_rows_and_neutral_values():
    cut = {rule.name: rule.example for rule in OURS if not rule.draws}
    for values in ({}, {rule.name: rule.neutral for rule in OURS}, cut):
        stacked = RowRules.of([SamplingRules(**values)] * 3, CPU)
        assert stacked.acting == ()
        assert not stacked.any_random
    assert SamplingRules(**{rule.name: rule.neutral for rule in OURS}) == SamplingRules() == {}


def test_equal_content_is_an_equal_object():
    one = SamplingRules(top_k=3, temperature=1.0, min_p=0.0)
    other = SamplingRules(temperature=1.0, top_k=3)
    assert one == other == pickle.loads(pickle.dumps(one))
    assert len({one, other, SamplingRules(temperature=1.0)}) == 2
    assert list(one) == ["temperature", "top_k"]
    assert repr(one) == "SamplingRules(temperature=1.0, top_k=3)"
    with pytest.raises(AttributeError):
        one.top_k = 4


def test_a_name_that_is_no_rule_is_refused():
    with pytest.raises(RegistryError, match="'top_kk' is not a sampling rule; did you mean top_k"):
        SamplingRules(top_kk=3)


def test_keys_of_requests_stay_when_a_rule_is_registered(other_rules):
    rules = SamplingRules(temperature=0.7, cooling=0.0)
    assert Request((1,), 2, sampling=rules).key() == (
        Request((1,), 2, sampling=SamplingRules(temperature=0.7)).key()
    )
    named = SamplingRules(temperature=0.7, cooling=0.5, even_ranks=2)
    assert named.content == [0.7, None, 1.0, 0.0, ["cooling", 0.5], ["even_ranks", 2]]
    assert len({Request((1,), 2, sampling=own).key() for own in (rules, named)}) == 2


def test_a_state_that_is_none_of_a_rules_is_refused(other_rules):
    rules = SamplingRules(cooling=0.5)
    assert initial_states(Request((1, 2), 2, sampling=rules)) == {"cooling": (2.0,)}
    carried = Request((1, 2), 2, sampling=rules, state=(("cooling", (0.25,)),))
    assert initial_states(carried) == {"cooling": (0.25,)}
    for state, problem in (
        ((("unrepeated", (1.0,)),), "a state of unrepeated, which is no stateful rule"),
        ((("cooling", (1.0, 2.0)),), "a state of cooling with 2 numbers; it keeps 1"),
    ):
        with pytest.raises(RequestError, match=problem):
            initial_states(Request((1, 2), 2, sampling=rules, state=state))
