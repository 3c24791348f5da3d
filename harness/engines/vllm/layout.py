"""Whether a model can be laid out over as many workers as a spec asks for: by its configuration.

The rules are vLLM's own, which it applies one by one while it builds a model: heads in
`ModelConfig.verify_with_parallel_config`, heads of keys and values in `QKVParallelLinear`, experts
in the blocks of its mixture models (`qwen3_moe.py` and others).
"""

from __future__ import annotations

from typing import Any

from harness.errors import FieldError, ModelError
from harness.models.routers import router_shape
from harness.spec.experiment import EngineSettings


def check_layout(config: Any, settings: EngineSettings) -> None:
    """Raise `FieldError` for a layout that a model's configuration makes impossible.

    What a configuration does not say in plain numbers is left to vLLM.
    """
    text = config.get_text_config()
    tensor, pipeline = settings.tensor_parallel_size or 1, settings.pipeline_parallel_size or 1
    heads = _number(text, "num_attention_heads")
    shared = _number(text, "num_key_value_heads") or heads
    experts, layers = _experts(text), _number(text, "num_hidden_layers")
    if heads is not None and heads % tensor:
        raise _impossible("tensor", tensor, heads, "attention heads", "it has to divide them")
    if shared is not None and shared % tensor and tensor % shared:
        why = "one of the two has to divide the other"
        raise _impossible("tensor", tensor, shared, "heads of keys and values", why)
    if experts is not None and tensor > experts:
        raise _impossible("tensor", tensor, experts, "experts in a layer", "it can be no larger")
    if layers is not None and pipeline > layers:
        raise _impossible("pipeline", pipeline, layers, "layers", "every group needs one")


def _impossible(kind: str, size: int, count: int, parts: str, why: str) -> FieldError:
    problem = f"{size} does not go with the model's {count} {parts}; {why}"
    return FieldError(f"engine.{kind}_parallel_size", problem)


def _number(config: Any, name: str) -> int | None:
    """A number of a configuration; None where there is none, or one for each layer."""
    found = getattr(config, name, None)
    return found if isinstance(found, int) and found > 0 else None


def _experts(config: Any) -> int | None:
    try:
        return router_shape(config).experts
    except ModelError:
        return None
