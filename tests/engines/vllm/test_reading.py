"""Readings inside vLLM against those of the transformers engine; which of them are refused."""

from __future__ import annotations

import pytest
import torch

from harness.engines.contract import Capture, Reading
from harness.errors import RequestError
from tests.engines.vllm.requests_of import interventions, prompts


def test_captures_equal_those_of_transformers(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    one, other = prompts(vllm.tokenizer)
    captures = [
        Capture(router_logits=True, positions=(0, 3, 40)),
        Capture(hidden_layers=(0, 3), hidden_site="block"),
        Capture(hidden_layers=(1,), hidden_site="attention", positions=(2,)),
        Capture(hidden_layers=(1,), hidden_site="mlp", token_log_probabilities=True),
        Capture(token_log_probabilities=True, top_log_probabilities=5),
    ]
    readings = [
        Reading(one + other, capture, each, len(one))
        for capture in captures
        for each in interventions(config)
    ]
    theirs = dict(transformers.forward(readings))
    for place, own in vllm.forward(readings):
        expected = theirs[place]
        for name in ("router_logits", "token_log_probabilities", "top_log_probabilities"):
            mine, other = getattr(own, name), getattr(expected, name)
            assert (mine is None) == (other is None)
            assert mine is None or torch.allclose(mine, other, atol=1e-4)
        assert own.hidden.keys() == expected.hidden.keys()
        for layer, states in own.hidden.items():
            assert torch.allclose(states, expected.hidden[layer], atol=1e-4)


def test_the_readout_is_the_models_own(served):
    vllm, transformers = served
    states = torch.randn(2, 3, 96, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(vllm.readout(states), transformers.readout(states), atol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "positions", "message"),
    [
        ((5, 999999), None, "reading 0: token id 999999 is outside 0..767"),
        ((-1,), None, "reading 0: token id -1 is outside 0..767"),
        ((5, 6), (2,), "reading 0: position 2 is outside 0..1"),
        ((5, 6), (-1,), "reading 0: position -1 is outside 0..1"),
    ],
)
def test_an_impossible_reading_is_refused(served, tokens, positions, message):
    capture = Capture(token_log_probabilities=True, top_log_probabilities=1, positions=positions)
    with pytest.raises(RequestError, match=message):
        list(served[0].forward([Reading(tokens, capture)]))


def test_a_reading_of_no_position_is_empty(served):
    vllm, _ = served
    layers = {"hidden_layers": (1,), "positions": ()}
    capture = Capture(token_log_probabilities=True, top_log_probabilities=2, **layers)
    ((_, found),) = vllm.forward([Reading((5, 6), capture)])
    assert found.hidden[1].shape[0] == len(found.token_log_probabilities) == 0
    assert found.top_tokens.shape == found.top_log_probabilities.shape == (0, 2)


def test_attention_weights_are_refused(served):
    vllm, _ = served
    with pytest.raises(RequestError, match="do not give attention weights away"):
        list(vllm.forward([Reading((1, 2, 3), Capture(attention_layers=(0,)))]))
