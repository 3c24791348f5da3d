"""The logit lens at the last block is the model itself, on every architecture or not at all."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig

from harness.engines.contract import Capture, Reading
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import ModelError
from harness.models.loading import LoadedModel

TOKENS = (7, 3, 41, 19, 2, 30, 11)


def read(engine, **capture):
    ((_, activations),) = engine.forward([Reading(TOKENS, Capture(**capture))])
    return activations


def test_the_last_layers_reading_is_the_models_cross_entropy(loaded):
    engine = TransformersEngine(loaded)
    last = loaded.model.config.num_hidden_layers - 1
    seen = read(engine, hidden_layers=(last,), token_log_probabilities=True)
    scores = engine.readout(seen.hidden[last][:-1])
    following = torch.tensor(TOKENS[1:])
    nll = -scores.gather(-1, following[:, None])[:, 0]
    torch.testing.assert_close(nll, -seen.token_log_probabilities[1:], atol=1e-4, rtol=1e-4)
    own = torch.nn.functional.cross_entropy(
        loaded.model(torch.tensor([TOKENS])).logits[0, :-1], following, reduction="none"
    )
    torch.testing.assert_close(nll, own.detach(), atol=1e-4, rtol=1e-4)


def test_a_reading_is_a_distribution(loaded):
    engine = TransformersEngine(loaded)
    hidden = read(engine, hidden_layers=(0,)).hidden[0]
    scores = engine.readout(hidden)
    assert scores.shape == (len(TOKENS), loaded.model.config.vocab_size)
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(len(TOKENS)))


def test_the_norm_is_applied_once(moe):
    """Reading transformers' last hidden state, which the norm has seen, is another number."""
    engine = TransformersEngine(moe)
    last = moe.model.config.num_hidden_layers - 1
    block = read(engine, hidden_layers=(last,)).hidden[last]
    with torch.no_grad():
        output = moe.model(torch.tensor([TOKENS]), output_hidden_states=True)
    once = output.logits[0].log_softmax(-1)
    torch.testing.assert_close(engine.readout(block), once, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(engine.readout(output.hidden_states[-1][0]), once, atol=1e-2)


def _tiny(config):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    return TransformersEngine(LoadedModel("a/model", model, None, content_hash=""))


_SIZES = {
    "vocab_size": 48,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": None,
}


def test_a_model_that_caps_its_logits_elsewhere_is_refused_by_name():
    engine = _tiny(Gemma2Config(**_SIZES, final_logit_softcapping=0.5, query_pre_attn_scalar=8))
    with pytest.raises(ModelError, match=r"a/model \(Gemma2ForCausalLM\): norm and head appl"):
        engine.readout(torch.zeros(1, 32))


def test_a_model_without_a_known_norm_is_refused_by_name():
    engine = _tiny(LlamaConfig(**_SIZES))
    decoder = engine.loaded.model.get_decoder()
    decoder.last_norm = decoder.norm
    del decoder.norm
    with pytest.raises(ModelError, match=r"a/model \(LlamaForCausalLM\) has no final norm that is"):
        engine.readout(torch.zeros(1, 32))
