"""How large a model is, from its configuration alone: where the work lies, what memory it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Memory:
    """What a model takes in memory, in bytes: its weights, and its cache for each token."""

    parameters: int
    dtype: str
    weights: int
    per_token: int


def memory_of(config: Any, dtype: str) -> Memory:
    """The memory of a model of this configuration, in transformers' own form, in a type.

    The weights are those of the model as transformers makes it, without memory. The cache holds
    keys and values of every layer.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = config.get_text_config()
    size = getattr(torch, dtype).itemsize
    parameters = model.num_parameters()
    return Memory(parameters, dtype, parameters * size, cached_per_token(text, size))


def cached_per_token(text: Any, size: int) -> int:
    """Bytes of a token's keys and values in all layers, by a text configuration; `size` of one."""
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 2 * int(text.num_hidden_layers) * int(heads) * int(width) * size


def weights_per_token(config: Any) -> int:
    """About how many weights one token is multiplied with: a model's cost per token.

    Attention (four square matrices), the feed-forward matrices of the experts that a token selects,
    and the output layer. Biases, norms, shared experts and smaller heads for keys are left out:
    this compares models, and measures nothing. The same on every machine, whatever was downloaded.
    """
    text = config.get_text_config()
    hidden = int(text.hidden_size)
    inner = getattr(text, "moe_intermediate_size", None) or getattr(text, "intermediate_size", None)
    selected = getattr(text, "num_experts_per_tok", None) or 1
    layer = 4 * hidden**2 + 3 * hidden * (inner or 4 * hidden) * selected
    return int(text.num_hidden_layers * layer + hidden * text.vocab_size)
