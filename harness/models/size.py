"""How large a model is, from its configuration alone: enough to tell where the work lies."""

from __future__ import annotations

from typing import Any


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
