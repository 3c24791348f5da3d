"""Which tokens end a sequence: the tokenizer's, and those of the generation configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import GenerationConfig


def end_tokens(source: Path | str, config: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end a sequence of a model, whose folder or Hugging Face id is `source`."""
    try:
        configured = GenerationConfig.from_pretrained(source).eos_token_id
    except OSError:  # a checkpoint without generation_config.json
        configured = GenerationConfig.from_model_config(config).eos_token_id
    ids = [configured] if isinstance(configured, int) else list(configured or [])
    return frozenset(id_ for id_ in [*ids, tokenizer.eos_token_id] if id_ is not None)
