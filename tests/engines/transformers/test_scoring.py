"""Scores in shared rows equal what the model itself says of each continuation alone."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Capture, Reading, Request, Scoring
from harness.engines.transformers import scoring as scoring_module
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from tests.engines.conftest import LENGTH_DEPENDENT, VOCABULARY, tiny
from tests.engines.transformers.small_requests import PROPERTY, prompts, run

TEXT = tuple(random.Random(3).randrange(1, VOCABULARY) for _ in range(40))
VECTOR = Array(torch.randn(32, generator=torch.Generator().manual_seed(5)))
INTERVENTIONS = [
    None,
    RouterMask(points=tuple((layer, expert) for layer in (0, 1) for expert in range(5))),
    Steering(terms=(Term(layer=0, vector=VECTOR, alpha=2.0, positions="generated"),)),
    Steering(terms=(Term(layer=1, vector=VECTOR, alpha=2.0, positions="prompt"),)),
]

tokens = st.integers(1, VOCABULARY - 1)
texts = st.lists(tokens, min_size=1, max_size=30).map(tuple)
continuations = st.lists(st.lists(tokens, max_size=7).map(tuple), max_size=5).map(tuple)
scorings = st.builds(
    Scoring, st.lists(tokens, max_size=25).map(tuple), continuations, st.sampled_from(INTERVENTIONS)
)


@cache
def moe_engine() -> TransformersEngine:
    return TransformersEngine(tiny("qwen3_moe"))


def scored(engine, asked):
    found = dict(engine.score(asked))
    assert sorted(found) == list(range(len(asked)))
    return [found[index] for index in range(len(asked))]


def flat(result):
    return [value for values in result.log_probabilities for value in values]


@torch.no_grad()
def by_hand(model, context, continuation):
    """One sequence, one pass of the model's own code."""
    sequence = [*context, *continuation]
    scores = model(torch.tensor([sequence]), use_cache=False).logits[0].log_softmax(-1)
    places = range(len(context) - 1, len(sequence) - 1)
    values = [float(scores[at, sequence[at + 1]]) for at in places]
    return values, [int(scores[at].argmax()) == sequence[at + 1] for at in places]


def check_against_model(loaded, asked):
    for each, found in zip(asked, scored(TransformersEngine(loaded), asked), strict=True):
        for index, continuation in enumerate(each.continuations):
            values, greedy = by_hand(loaded.model, each.context, continuation)
            assert found.log_probabilities[index] == pytest.approx(values, abs=1e-4)
            assert list(found.greedy[index]) == greedy


def test_scores_are_those_of_a_plain_loop(loaded):
    """Every architecture: windows, chunks and mixed layers see branches as sequences."""
    asked = [
        Scoring(context, (TEXT[:9], TEXT[3:4], TEXT[:4] + TEXT[20:31], TEXT[30:38]))
        for context in prompts(7, longest=25)
    ]
    check_against_model(loaded, asked)


def test_texts_behind_contexts_of_one_length_are_those_of_a_plain_loop(loaded, monkeypatch):
    """Where nothing branches, the model masks its rows itself: windows, chunks, and padding."""
    monkeypatch.setattr(scoring_module, "AttentionMasks", None)  # none is built
    for context in (1, 6):
        asked = [
            Scoring(TEXT[at : at + context], (TEXT[at + context : at + context + length],))
            for at, length in ((0, 25), (2, 9), (5, 1), (3, 17))
        ]
        check_against_model(loaded, asked)


@pytest.mark.parametrize("kind", list(LENGTH_DEPENDENT))
def test_rows_that_are_turned_by_their_length_are_those_of_a_plain_loop(tiny_model, kind):
    """Continuations on both sides of the limit, and of several lengths beyond it."""
    asked = [
        Scoring(TEXT[:length], (TEXT[:2], TEXT[5:12], TEXT[7:14], TEXT[2:13], TEXT[9:10]))
        for length in (3, 20, 23, 24, 25)
    ]
    check_against_model(tiny_model(kind), asked)


@given(texts, st.data(), st.sampled_from(INTERVENTIONS))
@PROPERTY
def test_any_split_of_a_text_gives_the_same_log_probabilities(text, data, intervention):
    """What of it is the prompt stays the same, whichever part is scored."""
    prompt = data.draw(st.integers(0, len(text)))
    cuts = data.draw(st.lists(st.integers(prompt, len(text)), min_size=1, max_size=3))
    capture = Capture(token_log_probabilities=True)
    ((_, read),) = moe_engine().forward([Reading(text, capture, intervention, prompt)])
    whole = read.token_log_probabilities.tolist()
    asked = [Scoring(text[:cut], (text[cut:],), intervention, cut - prompt) for cut in cuts]
    for cut, found in zip(cuts, scored(moe_engine(), asked), strict=True):
        assert flat(found) == pytest.approx(whole[cut:], abs=1e-4)


@given(scorings, st.data())
@PROPERTY
def test_a_continuation_has_its_scores_in_any_company(asked, data):
    order = data.draw(st.permutations(range(len(asked.continuations))))
    chosen = order[: data.draw(st.integers(0, len(order)))]
    some = replace(asked, continuations=tuple(asked.continuations[index] for index in chosen))
    whole, part = scored(moe_engine(), [asked, some])
    for place, index in enumerate(chosen):
        expected = whole.log_probabilities[index]
        assert part.log_probabilities[place] == pytest.approx(expected, abs=1e-4)
        assert part.greedy[place] == whole.greedy[index]


@given(st.lists(scorings, min_size=1, max_size=6), st.sampled_from([8, 40, 4096]), st.booleans())
@PROPERTY
def test_a_batch_gives_what_each_gives_alone(asked, most, strict):
    engine = TransformersEngine(
        tiny("qwen3_moe"), determinism="strict" if strict else "fast", slots=2, columns=64
    )
    alone = [scored(moe_engine(), [each])[0] for each in asked]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring_module, "_PASS_TOKENS", most)
        together = scored(engine, asked)
    for own, other in zip(together, alone, strict=True):
        assert flat(own) == pytest.approx(flat(other), abs=1e-4)
        assert own.greedy == other.greedy
        assert own.counts == other.counts


@pytest.mark.parametrize("intervention", INTERVENTIONS)
def test_what_greedy_decoding_says_is_greedy(moe, intervention):
    engine = TransformersEngine(moe)
    requests = [Request(prompt, 9, intervention) for prompt in prompts(6)]
    completions = run(engine, requests)
    asked = [
        Scoring(request.prompt, (completion.tokens, (*completion.tokens[:-1], 7)), intervention)
        for request, completion in zip(requests, completions, strict=True)
    ]
    for completion, found in zip(completions, scored(engine, asked), strict=True):
        assert all(found.greedy[0])
        assert found.greedy[1][-1] == (completion.tokens[-1] == 7)
        expected = completion.log_probabilities
        assert found.log_probabilities[0] == pytest.approx(expected, abs=1e-4)
        assert found.counts == {name: 2 * count for name, count in completion.counts.items()}


def test_fixed_shapes_give_the_same_bits_in_any_company(moe):
    engine = TransformersEngine(moe, determinism="strict", slots=2, columns=64)
    asked = [Scoring(TEXT[:length], (TEXT[:8], TEXT[9:13])) for length in (5, 9, 17)]
    together = scored(engine, asked)
    assert together == [scored(engine, [each])[0] for each in asked]
    single = [replace(each, continuations=each.continuations[1:]) for each in asked]
    for whole, part in zip(together, scored(engine, single), strict=True):
        assert whole.log_probabilities[1:] == part.log_probabilities


class Readings:
    """Watches how many tokens passes have, padding included."""

    def __init__(self):
        self.passes = []

    def read(self, tokens):
        self.passes.append(tokens)


def test_a_context_is_read_once_for_all_that_follow_it(moe):
    engine = TransformersEngine(moe)
    engine.watch = Readings()
    asked = Scoring(TEXT[:30], (TEXT[:4], TEXT[4:5], TEXT[5:6], TEXT[6:9]))
    scored(engine, [asked])
    assert engine.watch.passes == [30 + 3 + 0 + 0 + 2]


def test_what_cannot_be_scored_is_refused_by_name_and_the_others_go_on(moe):
    deep = Steering(terms=(Term(layer=9, vector=VECTOR, alpha=1.0),))
    asked = [
        Scoring(TEXT[:30], (TEXT[:3], TEXT[:36])),
        Scoring(TEXT[:3], ((4,), (5, VOCABULARY))),
        Scoring((-1,), ((4,),)),
        Scoring((1,), ((4,),), continued=2),
        Scoring((1,), ((4,),), deep),
        Scoring(TEXT[:30], (TEXT[:35],)),  # a last token is predicted, and not read
        Scoring((), ()),
    ]
    found = scored(TransformersEngine(moe), asked)
    assert [each.error and each.error.split(";")[0] for each in found] == [
        "the context of 30 tokens and continuation 1 of 36 are 66 tokens",
        "token id 48 of continuation 1 is outside 0..47",
        "token id -1 of the context is outside 0..47",
        "continued is 2, of a context of 1 tokens",
        "intervention.layer: there is no layer 9",
        None,
        None,
    ]
    assert found[0].log_probabilities == ()
    assert found[5].tokens == 35


def test_scores_that_are_not_finite_are_an_error(moe):
    endless = Steering(terms=(Term(layer=0, vector=VECTOR, alpha=3e37, positions="all"),))
    (found, other) = scored(
        TransformersEngine(moe), [Scoring(TEXT[:3], (TEXT[:2],), endless), Scoring((1,), ((2,),))]
    )
    assert found.error.startswith("continuation 0 has a log-probability of nan at token 0;")
    assert other.error is None


def test_the_key_is_that_of_the_content():
    asked = Scoring(TEXT[:9], (TEXT[:3], TEXT[3:5]))
    others = [
        replace(asked, context=TEXT[:8]),
        replace(asked, continuations=(TEXT[:3], TEXT[3:6])),
        replace(asked, continuations=(TEXT[3:5], TEXT[:3])),
        replace(asked, continuations=(TEXT[:3] + TEXT[3:5],)),
        replace(asked, intervention=INTERVENTIONS[1]),
        replace(asked, continued=1),
    ]
    assert len({each.key() for each in [asked, *others]}) == 1 + len(others)
    assert asked.key() == replace(asked).key()


def test_the_fingerprint_stays_in_the_middle_of_a_stream(moe):
    engine = TransformersEngine(moe)
    before = engine.fingerprint
    scored = engine.score([Scoring(TEXT[:3], (TEXT[:2],))] * 2)
    made = engine.generate([Request(TEXT[:3], 2), Request(TEXT[:2], 9)])
    for stream in (scored, made):
        next(stream)
        assert engine.fingerprint == before
        stream.close()
