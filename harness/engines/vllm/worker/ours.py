"""Which of vLLM's models in this process are ours, and what our engine asks of them."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from harness.engines.vllm.worker.model import ModelInterventions

#: Our key in `VllmConfig.additional_config`, which is part of the key of vLLM's compile cache.
SETTINGS = "titrate"

#: What is done to each model of this process that our engine asked for.
MODELS: WeakKeyDictionary[nn.Module, ModelInterventions] = WeakKeyDictionary()


def settings_of(config: Any) -> dict[str, Any] | None:
    """What our engine asks of the model of a configuration; None for a model that is not ours."""
    additional = getattr(config, "additional_config", None)
    return additional.get(SETTINGS) if isinstance(additional, dict) else None
