"""Settings that vLLM's code would not heed, told by a configuration alone."""

from __future__ import annotations

import pytest
from transformers import (
    GptOssConfig,
    LlamaConfig,
    MixtralConfig,
    OlmoeConfig,
    Phi3Config,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)

from harness.engines.vllm.ignored import check_ignored
from harness.errors import FieldError, ModelError

_ALTERNATING = ["sliding_attention", "full_attention"]
_DYNAMIC = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 8,
    "long_factor": [2.0] * 8,
    "original_max_position_embeddings": 64,
}


def long_rope():
    return Phi3Config(
        hidden_size=64,
        num_attention_heads=4,
        max_position_embeddings=256,
        original_max_position_embeddings=64,
        rope_parameters=_LONG,
        pad_token_id=0,
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (OlmoeConfig(clip_qkv=0.5), "clip_qkv is 0.5, and vLLM's olmoe clips nothing"),
        (OlmoeConfig(attention_bias=True), "attention_bias is true, and vLLM's olmoe drops these"),
        (OlmoeConfig(hidden_act="gelu"), "hidden_act is 'gelu', and the experts of olmoe in vLLM"),
        (MixtralConfig(hidden_act="gelu"), "hidden_act is 'gelu', and the experts of mixtral"),
        (Qwen2MoeConfig(qkv_bias=False), "qkv_bias is false, and vLLM's qwen2_moe has these"),
        (
            Qwen2MoeConfig(use_sliding_window=True, sliding_window=7, max_window_layers=1),
            "some layers slide over 7 tokens, and none of vLLM's qwen2_moe does",
        ),
        (Qwen3MoeConfig(attention_bias=True), "attention_bias is true, and vLLM's qwen3_moe drops"),
        (
            GptOssConfig(rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
            "its rotary embedding is 'default', and vLLM's gpt_oss has YaRN alone",
        ),
        (
            GptOssConfig(num_hidden_layers=2, layer_types=_ALTERNATING[::-1]),
            "layer_types do not alternate from a sliding window on",
        ),
        (
            LlamaConfig(rope_parameters={**_DYNAMIC, "max_trained_positions": 64}),
            "its rotary embedding is dynamic from 64 tokens on",
        ),
    ],
)
def test_a_setting_that_vllm_ignores_is_refused_by_name(config, message):
    with pytest.raises(ModelError, match=rf"model './m': {message}.*; use engine\.name: transf"):
        check_ignored("./m", config, None)


@pytest.mark.parametrize(
    "config",
    [
        OlmoeConfig(norm_topk_prob=True, rms_norm_eps=0.1),
        MixtralConfig(sliding_window=7),
        Qwen2MoeConfig(norm_topk_prob=True),
        Qwen3MoeConfig(norm_topk_prob=True),
        GptOssConfig(num_hidden_layers=2, layer_types=_ALTERNATING),
        LlamaConfig(rope_parameters=_DYNAMIC),
    ],
    ids=lambda config: config.model_type,
)
def test_what_vllm_heeds_or_is_made_to_heed_is_left_to_it(config):
    check_ignored("./m", config, None)


@pytest.mark.parametrize("columns", [None, 65])
def test_angles_that_depend_on_the_length_of_a_sequence_are_refused_by_name(columns):
    message = r"engine\.columns: model './m' has LongRoPE.*beyond 64 tokens.*to at most 64, or use"
    with pytest.raises(FieldError, match=message):
        check_ignored("./m", long_rope(), columns)
    check_ignored("./m", long_rope(), 64)
