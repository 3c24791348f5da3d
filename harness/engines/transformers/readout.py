"""Reads next-token distributions from the output of any block: the model's own norm and head.

The final norm is applied exactly once. Transformers' own `hidden_states` hold its result at the
last layer, so that reading them applies it twice there; block outputs do not.

Source: nostalgebraist (2020), "interpreting GPT: the logit lens", lesswrong.com.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.engines.contract import Capture, Reading
from harness.engines.transformers.reading import read
from harness.errors import ModelError
from harness.models.loading import LoadedModel

_NORMS = ("norm", "final_layer_norm", "final_layernorm", "ln_f")
_PROBE_TOKENS = 8
#: Relative error of the probe's logits. A second norm or a missing scale is off by far more than
#: bfloat16, which rounds each product to 3 digits.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
_TOLERANCE_OF_HALF = 0.03


class Readout:
    """Block outputs [..., H] to log-probabilities [..., V], float32 on the model's device.

    Raises:
        ModelError: reading the last block does not give the model's own logits (some models scale
            or cap them), so that no layer could be trusted.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        decoder = loaded.model.get_decoder()
        norm = next((getattr(decoder, name) for name in _NORMS if hasattr(decoder, name)), None)
        head = loaded.model.get_output_embeddings()
        if norm is None or head is None:
            lacking = "final norm" if norm is None else "output head"
            raise ModelError(f"{_named(loaded)} has no {lacking} that is known here")
        self._norm: Any = norm
        self._head: Any = head
        # Of a model that is spread over devices, each module moves what it is given to its own.
        self._place = (loaded.device, loaded.model.dtype)
        self._check(loaded)

    @torch.no_grad()
    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the model would predict if the block were its last."""
        return self._logits(hidden).log_softmax(dim=-1)

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._head(self._norm(hidden.to(*self._place)))
        return logits.float()

    @torch.no_grad()
    def _check(self, loaded: LoadedModel) -> None:
        """Compare with the model's own logits on a few tokens."""
        tokens = tuple(range(1, 1 + _PROBE_TOKENS))
        last = loaded.model.config.get_text_config().num_hidden_layers - 1
        ((_, seen),) = read(loaded, [Reading(tokens, Capture(hidden_layers=(last,)))])
        own = loaded.model(torch.tensor([tokens], device=loaded.device)).logits[0].float()
        read_out = self._logits(seen.hidden[last]).to(own.device)
        error = float((read_out - own).norm() / (own - own.mean(-1, keepdim=True)).norm())
        if not error <= _TOLERANCE.get(loaded.model.dtype, _TOLERANCE_OF_HALF):
            raise ModelError(
                f"{_named(loaded)}: norm and head applied to its last block miss its own logits by "
                f"{error:.1%}, so that no layer can be read; it scales or caps them elsewhere"
            )


def _named(loaded: LoadedModel) -> str:
    return f"{loaded.reference} ({type(loaded.model).__name__})"
