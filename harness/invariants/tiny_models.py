"""Random models of a few thousand weights, one per way in which models route or place tokens.

They need no download, take milliseconds, and differ where masks could go wrong: weights that are
normalised or not, layers without a router, shared experts, sliding windows, biases in the gate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from harness.models.loading import LoadedModel

_END = "<end>"
_SIZES: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 1024,
    "bos_token_id": None,
    "eos_token_id": 256,
    "pad_token_id": None,
}
_QWEN = {
    **_SIZES,
    "moe_intermediate_size": 16,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "mlp_only_layers": [],
    "decoder_sparse_step": 1,
}
_OTHER = {**_SIZES, "num_experts_per_tok": 2}

#: Their configurations as config.json would say them, by name, without `tiny/`.
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "gpt_oss": {
        **_OTHER,
        "model_type": "gpt_oss",
        "num_local_experts": 8,
        "sliding_window": 16,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    # As in its own checkpoints.
    "gpt_oss-yarn": {
        **_OTHER,
        "model_type": "gpt_oss",
        "num_local_experts": 8,
        "sliding_window": 16,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 256,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
        },
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "mixtral": {**_OTHER, "model_type": "mixtral", "num_local_experts": 8},
    "mixtral-one": {
        **_OTHER,
        "model_type": "mixtral",
        "num_local_experts": 8,
        "num_experts_per_tok": 1,
    },
    "olmoe": {**_OTHER, "model_type": "olmoe", "num_experts": 8},
    "olmoe-normalised": {
        **_OTHER,
        "model_type": "olmoe",
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "norm_topk_prob": True,
        "rms_norm_eps": 0.1,
    },
    # Every second layer is dense.
    "qwen2_moe": {
        **_QWEN,
        "model_type": "qwen2_moe",
        "num_hidden_layers": 4,
        "shared_expert_intermediate_size": 16,
        "decoder_sparse_step": 2,
    },
    "qwen2_moe-normalised": {
        **_QWEN,
        "model_type": "qwen2_moe",
        "num_experts_per_tok": 4,
        "shared_expert_intermediate_size": 48,
        "norm_topk_prob": True,
    },
    "qwen3_moe": {**_QWEN, "model_type": "qwen3_moe", "norm_topk_prob": True},
    "qwen3_moe-unnormalised": {
        **_QWEN,
        "model_type": "qwen3_moe",
        "norm_topk_prob": False,
        "mlp_only_layers": [0],
    },
}

# Between the lengths of a bench's two prompts, which do not grow across it.
_LIMIT = 55
_DENSE = {**_SIZES, "num_hidden_layers": 2}
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": _LIMIT,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
}


def _rotary(kind: str, **parameters: Any) -> Mapping[str, Any]:
    scaled = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, **parameters}
    return {**_DENSE, "model_type": "llama", "rope_parameters": scaled}


#: Dense models, one per way in which positions reach a model. What is done to a model elsewhere is
#: nothing to them: only the engine's own identities are checked on them.
POSITIONS: Mapping[str, Mapping[str, Any]] = {
    "linear": _rotary("linear"),
    "dynamic": {**_rotary("dynamic"), "max_position_embeddings": _LIMIT},
    "yarn": _rotary("yarn", original_max_position_embeddings=256),
    "llama3": _rotary(
        "llama3",
        original_max_position_embeddings=_LIMIT,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
    ),
    "longrope": {**_DENSE, "model_type": "llama", "rope_parameters": _LONG},
    "longrope-phi3": {
        **_DENSE,
        "model_type": "phi3",
        "original_max_position_embeddings": _LIMIT,
        "rope_parameters": _LONG,
    },
    # Learned positions; and none in every second layer.
    "learned": {
        **_DENSE,
        "model_type": "opt",
        "ffn_dim": 32,
        "word_embed_proj_dim": 32,
        "do_layer_norm_before": True,
    },
    "none": {**_DENSE, "model_type": "smollm3", "no_rope_layers": [0, 1]},
}


def tiny_config(name: str) -> Any:
    """The configuration of a tiny model, as transformers has it."""
    from transformers import AutoConfig

    return AutoConfig.for_model(**{**CONFIGS, **POSITIONS}[name])


def tiny_model(name: str) -> LoadedModel:
    """A model in float32 on the CPU, its weights drawn from a seeded normal, with a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    from harness.models.loading import LoadedModel

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(name), dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    digest = hashlib.sha256()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            # Wide enough that experts differ, that gates prefer, and that attention attends.
            parameter.copy_(1 + 0.1 * noise if "norm" in key else 0.4 * noise)
            digest.update(parameter.numpy().tobytes())
    model.generation_config.eos_token_id = 256
    return LoadedModel(f"tiny/{name}", model, _tokenizer(), digest.hexdigest())


def _tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and the end of a sequence."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate([*alphabet, _END])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END)
