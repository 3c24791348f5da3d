"""A function of hidden states at several places: no number of an MLP's output is beyond a limit."""

from __future__ import annotations

from typing import Literal

import torch

from harness.interventions.hidden_states import HiddenStates


class Clamp(HiddenStates):
    """Every number of an MLP's output is kept within a limit; 0 is no limit."""

    kind: Literal["clamp"] = "clamp"
    layers: tuple[int, ...] = (0,)
    limit: float = 0.0

    def neutral(self):
        return self.model_copy(update={"limit": 0.0})

    def places(self):
        return frozenset((layer, "mlp") for layer in self.layers)

    def rows(self, width):
        return {(layer, "mlp"): {"limit": torch.tensor([self.limit])} for layer in self.layers}

    @staticmethod
    def changed(hidden, rows):
        return torch.maximum(torch.minimum(hidden, rows["limit"]), -rows["limit"])
