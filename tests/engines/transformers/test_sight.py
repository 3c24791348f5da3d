"""What requests see of a pass: the attention and the states that a plain forward pass has."""

from __future__ import annotations

import pytest
import torch

from harness.engines.contract import Capture, Reading, Request
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.certainty import attention_statistics
from harness.models.loading import load

PLACES = ((0, "block"), (1, "mlp"), (1, "attention"))


@pytest.fixture(scope="module", params=["zoo/base", "zoo/moe"])
def engine(request):
    return TransformersEngine(load(request.param, device="cpu"))


def tokens(length: int, seed: int = 1) -> tuple[int, ...]:
    drawn = torch.randint(4, 60, (length,), generator=torch.Generator().manual_seed(seed))
    return tuple(drawn.tolist())


def looking(prompt: tuple[int, ...], place=PLACES[0], **fields) -> Request:
    return Request(prompt, 1, attention=True, hidden=place, distribution=True, **fields)


def read(engine, prompt: tuple[int, ...], place):
    """The same by transformers' own attention, written out."""
    layer, site = place
    last = engine.loaded.model.config.num_hidden_layers - 1
    capture = Capture(
        hidden_layers=(layer,),
        hidden_site=site,
        attention_layers=(last,),
        positions=(len(prompt) - 1,),
    )
    ((_, found),) = engine.forward([Reading(prompt, capture)])
    return found.attentions[last][:, 0], found.hidden[layer][0]


@pytest.mark.parametrize("place", PLACES)
def test_rows_of_unequal_lengths_see_their_own(engine, place):
    prompts = [tokens(length, length) for length in (3, 40, 17)]
    for at, seen in engine.generate([looking(each, place) for each in prompts]):
        attention, hidden = read(engine, prompts[at], place)
        weights, scores = seen.attention
        torch.testing.assert_close(weights, attention, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(scores.softmax(-1), weights)
        torch.testing.assert_close(seen.hidden, hidden, atol=1e-4, rtol=1e-4)


def test_kept_columns_are_seen_and_only_by_who_asks(engine):
    prompt = tokens(50)
    ((_, begun),) = engine.generate([Request(prompt, 6)])
    assert begun.attention is None
    whole = (*prompt, *begun.tokens)
    asked = [looking(whole, continued=6), Request(whole, 1, continued=6, seed=1)]
    found = dict(engine.generate(asked))
    attention, hidden = read(engine, whole, PLACES[0])
    torch.testing.assert_close(found[0].attention[0], attention, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[0].hidden, hidden, atol=1e-4, rtol=1e-4)
    assert found[1].attention is None
    assert found[1].hidden is None
    numbers = attention_statistics(*found[0].attention)
    heads, keys = attention.shape
    assert 0 <= numbers["attention_entropy"] <= torch.tensor(float(keys)).log2()
    assert numbers["interaction"] != pytest.approx(1 / keys)
    assert heads > 1


def test_a_place_that_is_not_there_ends_its_request_alone(engine):
    made = dict(engine.generate([looking(tokens(5), (9, "block")), looking(tokens(5))]))
    assert "there is no layer 9" in made[0].error
    assert made[1].error is None
