"""What a checkpoint's configuration says and vLLM's code of its architecture does not do.

vLLM (0.32) writes its models anew, and some of their settings are constants there: such a model
would be served as another one. Known here are those of architectures with routers that we know, and
rotary embeddings; what is not known here is found by the self-test (`self_test.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.errors import FieldError, ModelError

# The activation that the experts of these architectures have in vLLM, whatever is configured.
_ACTIVATION = {"olmoe": "silu", "mixtral": "silu", "gpt_oss": "silu"}
# Rotary types whose angles transformers chooses by the length of a sequence.
_BY_LENGTH = "longrope"


def check_ignored(reference: str, config: Any, columns: int | None) -> None:
    """Raise `ModelError` or `FieldError` for the first setting that vLLM would not heed.

    Args:
        reference: The model, as in a spec.
        config: Its configuration.
        columns: The longest sequence in tokens that the engine is asked to hold; None for the
            model's whole context.
    """
    text = config.get_text_config()
    problem = next(_problems(text), None)
    if problem is not None:
        raise ModelError(f"model {reference!r}: {problem}; use engine.name: transformers")
    for rotary in _rotaries(text):
        original = rotary.get("original_max_position_embeddings")
        if rotary.get("rope_type") != _BY_LENGTH or original is None:
            continue
        longest = columns or text.max_position_embeddings
        if longest > original:
            raise FieldError(
                "engine.columns",
                f"model {reference!r} has LongRoPE, whose angles are others beyond {original} "
                f"tokens; vLLM would use those of long sequences for all, with {longest} columns: "
                f"set engine.columns to at most {original}, or use engine.name: transformers",
            )


def _problems(text: Any) -> Iterator[str]:
    kind = text.model_type
    activation = getattr(text, "hidden_act", None)
    if kind in _ACTIVATION and activation != _ACTIVATION[kind]:
        yield f"hidden_act is {activation!r}, and the experts of {kind} in vLLM are always silu"
    if kind == "olmoe" and text.clip_qkv is not None:
        yield f"clip_qkv is {text.clip_qkv:g}, and vLLM's olmoe clips nothing"
    if kind == "olmoe" and text.attention_bias:
        yield "attention_bias is true, and vLLM's olmoe drops these biases"
    if kind == "qwen2_moe" and not text.qkv_bias:
        yield "qkv_bias is false, and vLLM's qwen2_moe has these biases whatever a checkpoint holds"
    if kind == "qwen2_moe" and "sliding_attention" in text.layer_types:
        yield f"some layers slide over {text.sliding_window} tokens, and none of vLLM's {kind} does"
    if kind == "qwen3_moe" and text.attention_bias:
        yield "attention_bias is true, and vLLM's qwen3_moe drops that of the output"
    if kind == "gpt_oss":
        yield from _problems_of_gpt_oss(text)
    for rotary in _rotaries(text):
        trained = rotary.get("max_trained_positions")
        if rotary.get("rope_type") == "dynamic" and trained is not None:
            yield (
                f"its rotary embedding is dynamic from {trained} tokens on, which transformers "
                "computes by the length of a sequence, and vLLM once for all"
            )


def _problems_of_gpt_oss(text: Any) -> Iterator[str]:
    for rotary in _rotaries(text):
        found = rotary.get("rope_type", "default")
        if found != "yarn":
            yield f"its rotary embedding is {found!r}, and vLLM's gpt_oss has YaRN alone"
    kinds = ("sliding_attention", "full_attention")
    layers = list(text.layer_types)
    if layers != [kinds[layer % 2] for layer in range(len(layers))]:
        yield "layer_types do not alternate from a sliding window on, as vLLM's gpt_oss has them"


def _rotaries(text: Any) -> list[dict[str, Any]]:
    """The parameters of a model's rotary embeddings: one set, or one for each kind of layer."""
    found = getattr(text, "rope_parameters", None) or {}
    nested = [part for part in found.values() if isinstance(part, dict)]
    return nested or [found]
