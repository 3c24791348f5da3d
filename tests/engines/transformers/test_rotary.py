"""Rotary embeddings that depend on a sequence's length: rows against what the model alone says."""

from __future__ import annotations

import random
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness.engines.contract import Capture, Reading, Request
from harness.engines.transformers import prompts
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.transformers.rotary import RowRotary
from harness.errors import ModelError
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from tests.engines.transformers.small_requests import PROPERTY, run

LIMIT, NEW_TOKENS = 24, 12
KINDS = ["phi3-longrope", "phimoe-longrope", "llama-longrope", "llama-dynamic"]
TEXT = tuple(random.Random(0).randrange(1, 48) for _ in range(40))


@cache
def generated(model, prompt):
    """What the model alone says, from the state of one that has seen nothing.

    transformers' `generate`; but not for the models that read anew beyond the limit. There, in
    5.16 to 5.19, it drops the cache and feeds the last token only, without anything before it:
    so every token of those is read from the whole.
    """
    with torch.no_grad():
        return _generated(model, torch.tensor([prompt]))[len(prompt) :]


def _generated(model, tokens):
    model(torch.tensor([[1]]))
    if model.config.model_type.startswith("phi"):
        for _ in range(NEW_TOKENS):
            best = model(tokens, use_cache=False).logits[:, -1:].argmax(-1)
            tokens = torch.cat([tokens, best], dim=-1)
    else:
        tokens = model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=0,
        )
    return tuple(tokens[0].tolist())


lengths = st.sampled_from([1, 9, LIMIT - 7, LIMIT - 1, LIMIT, LIMIT + 1, 40])
asked = st.tuples(lengths, st.integers(1, NEW_TOKENS), st.booleans())


@pytest.mark.parametrize("kind", KINDS)
@given(
    st.lists(asked, min_size=2, max_size=6),
    st.integers(1, 4),
    st.sampled_from([8, 30, 8192]),
    st.booleans(),
)
@settings(PROPERTY, max_examples=8)
def test_a_row_says_what_the_model_alone_says(tiny_model, kind, wanted, slots, piece, strict):
    """Across the limit, with shared prefixes, drafts, prompts in pieces, and columns kept."""
    loaded = tiny_model(kind)
    requests = [
        Request(TEXT[:length] if shared else TEXT[-length:], new_tokens, sample=str(shared))
        for length, new_tokens, shared in wanted
    ]
    engine = TransformersEngine(
        loaded, slots=slots, columns=64, determinism="strict" if strict else "fast"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "_PASS_TOKENS", piece)
        first = run(engine, requests)
        again = run(engine, requests[::-1])[::-1]
    for request, one, other in zip(requests, first, again, strict=True):
        own = generated(loaded.model, request.prompt)
        assert one.tokens == other.tokens == own[: len(one.tokens)]
        assert len(one.tokens) == request.max_new_tokens or one.finish_reason == "stop"


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_in_rounds_says_what_it_says_at_once(tiny_model, kind):
    """Generated tokens stay generated ones when they come back as part of a prompt."""
    loaded = tiny_model(kind)
    tokens, prompt = [], TEXT[: LIMIT - 3]
    engine = TransformersEngine(loaded, slots=2, columns=64)
    for _ in range(8):
        request = Request((*prompt, *tokens), 1, continued=len(tokens))
        tokens += run(engine, [request])[0].tokens
    assert tuple(tokens) == generated(loaded.model, prompt)[: len(tokens)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_reading_is_what_the_model_alone_reads(tiny_model, kind):
    loaded = tiny_model(kind)
    lengths = (3, LIMIT, LIMIT + 1, 40, 7)
    capture = Capture(hidden_layers=(1,), token_log_probabilities=True)
    engine = TransformersEngine(loaded)
    read = dict(engine.forward([Reading(TEXT[:length], capture) for length in lengths]))
    for index, length in enumerate(lengths):
        with torch.no_grad():
            loaded.model(torch.tensor([[1]]))
            own = loaded.model(torch.tensor([TEXT[:length]]))
        scores = own.logits[0, :-1].log_softmax(-1)
        expected = scores.gather(-1, torch.tensor(TEXT[1:length])[:, None])[:, 0]
        found = read[index].token_log_probabilities[1:]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_counts_of_a_sequence_that_was_read_anew_are_those_of_its_columns(tiny_model):
    term = Term(layer=0, vector=torch.ones(32), alpha=0.1)
    request = Request(TEXT[: LIMIT - 2], 8, intervention=Steering(terms=(term,)))
    (completion,) = run(TransformersEngine(tiny_model("phi3-longrope"), columns=64), [request])
    assert completion.counts["steered_tokens"] == LIMIT - 2 + len(completion.tokens) - 1


# What is unknown ----------------------------------------------------------------------------------


class TurnedByTheLongest(nn.Module):
    """An embedding that turns every row by the longest position, without saying so."""

    def __init__(self, config) -> None:
        super().__init__()
        self.config = config

    def forward(self, x, position_ids):
        angle = position_ids.float() / position_ids.max()
        return angle.cos()[..., None], angle.sin()[..., None]


class StrangeRotaryEmbedding(TurnedByTheLongest):
    pass


def test_an_embedding_that_feels_the_longest_in_an_unknown_way_is_refused(tiny_model):
    model = nn.Module()
    model.config = tiny_model("llama").model.config
    model.rotary = StrangeRotaryEmbedding(model.config)
    with pytest.raises(ModelError, match="StrangeRotaryEmbedding turns every row by the longest"):
        RowRotary(model)


def test_a_model_with_two_limits_is_refused(tiny_model):
    model = nn.ModuleList([tiny_model("llama-longrope").model, tiny_model("llama-dynamic").model])
    with pytest.raises(ModelError, match="changes its rotary frequencies at several lengths"):
        RowRotary(model)
