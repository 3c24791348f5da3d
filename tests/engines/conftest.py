"""The smallest real models: two or three layers of random weights, with a tokenizer of words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    OlmoConfig,
    OlmoeConfig,
    Phi3Config,
    PhiConfig,
    PhimoeConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

from harness.models.loading import LoadedModel

VOCABULARY = 48
_SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": None,
}
_EXPERTS = {**_SMALL, "moe_intermediate_size": 16, "num_experts": 8, "num_experts_per_tok": 2}
_LOCAL = {**_SMALL, "num_local_experts": 8, "num_experts_per_tok": 2}

CONFIGS = {
    "llama": lambda: LlamaConfig(**_SMALL),
    "llama-tied": lambda: LlamaConfig(**_SMALL, tie_word_embeddings=True),
    "qwen2": lambda: Qwen2Config(**_SMALL),
    "qwen2-window": lambda: Qwen2Config(
        **_SMALL, use_sliding_window=True, sliding_window=7, max_window_layers=1
    ),
    "qwen3": lambda: Qwen3Config(**_SMALL),
    "olmo": lambda: OlmoConfig(**_SMALL),
    "olmo2": lambda: Olmo2Config(**_SMALL),
    "phi": lambda: PhiConfig(**_SMALL, resid_pdrop=0.0, embd_pdrop=0.0),
    "phi3": lambda: Phi3Config(**_SMALL),
    "gpt_neox": lambda: GPTNeoXConfig(**_SMALL, hidden_dropout=0.0, attention_dropout=0.0),
    "mistral-window": lambda: MistralConfig(**_SMALL, sliding_window=7),
    "gemma3-mixed": lambda: Gemma3TextConfig(
        **_SMALL,
        sliding_window=7,
        layer_types=["sliding_attention", "full_attention"],
        query_pre_attn_scalar=8,
    ),
    "qwen2_moe": lambda: Qwen2MoeConfig(
        **_EXPERTS, shared_expert_intermediate_size=16, norm_topk_prob=False
    ),
    "qwen3_moe": lambda: Qwen3MoeConfig(**_EXPERTS, norm_topk_prob=True),
    "qwen3_moe-unnormalised": lambda: Qwen3MoeConfig(**_EXPERTS, norm_topk_prob=False),
    "olmoe": lambda: OlmoeConfig(**{**_SMALL, "num_experts": 8, "num_experts_per_tok": 2}),
    "mixtral": lambda: MixtralConfig(**_LOCAL),
    "gpt_oss-mixed": lambda: GptOssConfig(
        **_LOCAL, sliding_window=7, layer_types=["sliding_attention", "full_attention"]
    ),
}

LIMIT = 24
"""The length beyond which the rotary embeddings of these change."""
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": LIMIT,
}
LENGTH_DEPENDENT = {
    # The first two read a sequence anew once it is longer; the others keep what they have.
    "phi3-longrope": lambda: Phi3Config(
        **_SMALL, original_max_position_embeddings=LIMIT, rope_parameters=_LONG
    ),
    "phimoe-longrope": lambda: PhimoeConfig(
        **_LOCAL, rope_parameters={**_LONG, "short_mscale": 1.0, "long_mscale": 1.3}
    ),
    "llama-longrope": lambda: LlamaConfig(**_SMALL, rope_parameters=_LONG),
    "llama-dynamic": lambda: LlamaConfig(
        **{**_SMALL, "max_position_embeddings": LIMIT},
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 3.0},
    ),
}


@cache
def tiny(kind: str) -> LoadedModel:
    """A model of a kind, its weights drawn from a seeded normal; never changed by a test."""
    config = {**CONFIGS, **LENGTH_DEPENDENT}[kind]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(), dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.4 if "norm" not in name else 0.1
            centre = 1.0 if "norm" in name and "gemma" not in kind else 0.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread + centre)
    model.generation_config.eos_token_id = 0
    return LoadedModel(kind, model, _tokenizer(), content_hash=kind)


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    words = {"<end>": 0} | {f"w{index}": index for index in range(1, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


@pytest.fixture(params=list(CONFIGS))
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    """Every architecture in turn."""
    return tiny(request.param)


@pytest.fixture(scope="session")
def moe() -> LoadedModel:
    """One mixture-of-experts model."""
    return tiny("qwen3_moe")


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[str], LoadedModel]:
    """Any of them by its kind."""
    return tiny
