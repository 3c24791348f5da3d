"""EDT: a temperature that falls where the model is sure (Zhang et al. 2024, arXiv 2403.14541)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from harness.sampling.builtin.temperature import COLDEST
from harness.sampling.rule import LogitsRule, Value

if TYPE_CHECKING:
    from torch import Tensor, device


class EntropyTemperature(BaseModel):
    """T = t0 * n^(theta / H), H being the entropy of the step in nats."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    t0: float = Field(default=1.0, gt=0)
    """The temperature of a step whose entropy is large; 1.0 by default."""
    theta: float = Field(ge=0)
    """How fast the temperature falls with the entropy, in nats; at 0 it does not."""
    n: float = Field(default=0.8, gt=0, le=1)
    """The share of t0 (0 to 1) that the temperature has at an entropy of theta nats; 0.8, the
    paper's, by default."""


class EntropyDependentTemperature(LogitsRule):
    """Divides the logits by a temperature that depends on the entropy of the step."""

    name = "edt"
    field = EntropyTemperature | None
    description = (
        "Logits are divided by t0 * n^(theta / H) before a token is drawn, H being the entropy of "
        "the model's distribution in nats. null, the default, leaves this to temperature."
    )
    neutral = None
    place = 0
    draws = True
    keeps_best = True
    excludes = frozenset({"temperature"})
    example = EntropyTemperature(theta=0.5)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """t0, theta and n of every row, [R, 3]."""
        return super().tensors([(each.t0, each.theta, each.n) for each in rows], device)

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The logits [R, V], divided."""
        probabilities = logits.softmax(dim=-1)
        entropy = probabilities.xlogy(probabilities).sum(dim=-1).abs()  # -0.0 is none
        t0, theta, n = rows.unbind(dim=-1)
        # 0 / 0, of a sure step and a theta of 0, is a temperature of t0.
        exponents = (theta / entropy).where(theta > 0, 0.0)
        temperatures = (t0 * n.pow(exponents)).clamp(min=COLDEST)
        return logits / temperatures[:, None]


RULE = EntropyDependentTemperature()
