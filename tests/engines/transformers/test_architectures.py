"""Every causal language model that transformers has: rows of a batch are those alone, or refused.

Configurations are made small by the names that their sizes go by; what cannot be made small so, or
does not generate by itself, is left out, and how much of it there is has a limit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import TitrateError
from harness.models.loading import LoadedModel
from tests.engines.transformers.small_requests import run

NEW_TOKENS = 5
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "intermediate_size", "ffn_dim"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "decoder_ffn_dim", "encoder_ffn_dim", "d_ff"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 128),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts"), 4),
    **dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "head_dim"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "moe_intermediate_size"), 16),
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "window_size"), 16),
    **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), None),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts"), 1),
    "vocab_size": 48,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
    "rotary_dim": 4,
    "is_decoder": True,
}
_WITHOUT = (
    (),
    ("head_dim",),
    ("head_dim", "num_key_value_heads"),
    ("bos_token_id", "eos_token_id", "pad_token_id"),
)
_MOST_WEIGHTS = 2 * 10**7


def _small(kind: str) -> Iterator[Any]:
    """Models of a kind under one choice of sizes after the other."""
    text = CONFIG_MAPPING[kind]().get_text_config()
    own = CONFIG_MAPPING[kind] is type(text)
    known = {name: size for name, size in _SIZES.items() if hasattr(text, name)}
    if getattr(text, "sliding_window", 1) is None:
        del known["sliding_window"]
    for names in _WITHOUT:
        sizes = {name: size for name, size in known.items() if name not in names}
        config = CONFIG_MAPPING[kind](**sizes if own else {"text_config": sizes})
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        if sum(weights.numel() for weights in model.parameters()) <= _MOST_WEIGHTS:
            yield AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def _prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(5, 47, (n,), generator=generator).tolist() for n in (3, 40, 23, 11, 7)]


@torch.no_grad()
def _alone(model: Any, prompt: list[int]) -> list[int]:
    tokens = torch.tensor([prompt])
    rules = {"max_new_tokens": NEW_TOKENS, "do_sample": False}
    said = model.generate(tokens, attention_mask=torch.ones_like(tokens), **rules)
    return said[0, len(prompt) :].tolist()


@torch.no_grad()
def _generating(kind: str) -> tuple[Any, list[list[int]]] | None:
    """A small model and what it says alone; None where transformers makes or runs none."""
    try:
        for model in _small(kind):
            generator = torch.Generator().manual_seed(1)
            for name, weights in model.named_parameters():
                noise = torch.randn(weights.shape, generator=generator)
                norm = "norm" in name.lower() or "ln_" in name
                weights.copy_(1 + 0.1 * noise if norm else 0.3 * noise)
            model.generation_config = GenerationConfig(pad_token_id=0)
            model.config.eos_token_id = None
            return model, [_alone(model, prompt) for prompt in _prompts()]
    except Exception:
        return None
    return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
def test_rows_are_those_of_the_model_alone_or_refused(kind, tiny_model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = _generating(kind)
    if made is None:
        pytest.skip(f"transformers makes no small {kind}, or does not run it")
    model, expected = made
    loaded = LoadedModel(f"./{kind}", model, tiny_model("llama").tokenizer, content_hash=kind)
    refusal = ""
    try:
        engine = TransformersEngine(loaded, slots=3, columns=64)
    except TitrateError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        return
    found = run(engine, [Request(tuple(prompt), NEW_TOKENS) for prompt in _prompts()])
    for completion, own in zip(found, expected, strict=True):
        # The tokenizer ends a sequence at 0, which the model alone does not.
        assert list(completion.tokens) == own[: len(completion.tokens)]
