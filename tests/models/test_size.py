from __future__ import annotations

import pytest
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MixtralConfig

from harness.models.loading import load, load_config
from harness.models.size import weights_per_token


def llama(**fields):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 100}
    return LlamaConfig(**(sizes | fields))


def test_a_dense_models_weights_are_counted():
    config = llama(num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True)
    model = AutoModelForCausalLM.from_config(config)
    weights = sum(each.numel() for each in model.parameters() if each.dim() == 2)
    assert weights_per_token(config) == weights


def test_the_zoos_dense_model_is_estimated_within_a_third():
    model = load("zoo/base", device="cpu").model
    weights = sum(each.numel() for each in model.parameters())
    assert weights_per_token(load_config("zoo/base")) == pytest.approx(weights, rel=0.34)


@pytest.mark.parametrize("field", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_every_size_counts(field):
    assert weights_per_token(llama(**{field: 320})) > weights_per_token(llama())


def test_only_the_experts_that_a_token_selects_count():
    def mixtral(experts, selected):
        return MixtralConfig(num_local_experts=experts, num_experts_per_tok=selected)

    assert weights_per_token(mixtral(64, 2)) == weights_per_token(mixtral(8, 2))
    assert weights_per_token(mixtral(8, 4)) > weights_per_token(mixtral(8, 2))


def test_a_configuration_that_names_its_sizes_otherwise_is_read_too():
    assert weights_per_token(GPT2Config()) > 0
