"""Calibrated accuracy: keeps tokens that a fit expects to be right often enough (2510.05987).

The fit is of a model's own calibration: `log c = A + B log p`, c how often a token of probability p
is the reference's. B is positive, so that the rule is an epsilon of (threshold / base^A)^(1 / B).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.sampling.masks import ThresholdRule
from harness.sampling.rule import Value

if TYPE_CHECKING:
    from torch import Tensor, device


class Calibrated(BaseModel):
    """A fit of how often tokens are right, and how often they have to be."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    a: float
    """A of the fit log c = A + B log p."""
    b: float = Field(gt=0)
    """B of the fit log c = A + B log p; positive."""
    threshold: float = Field(default=0.0, ge=0, lt=1)
    """Tokens stay where the fit expects at least this accuracy; 0, the default, keeps all."""
    base: Literal["e", 10] = "e"
    """The base of A's logarithm: e, the default, or 10."""

    @property
    def least(self) -> float:
        """The probability at which the fit expects the threshold's accuracy."""
        if self.threshold == 0:
            return 0.0
        unit = 1.0 if self.base == "e" else math.log(10)
        exponent = (math.log(self.threshold) - self.a * unit) / self.b
        return math.exp(min(exponent, 1.0))  # above 1 the best token alone stays


class CalibratedAccuracy(ThresholdRule):
    """Keeps tokens whose expected accuracy, by a fit, reaches a threshold."""

    name = "calibrated"
    field = Calibrated | None
    description = (
        "Tokens are drawn from those that a fit of the model's calibration expects to be right at "
        "least so often. null, the default, is all."
    )
    neutral = None
    place = 13
    idle = Calibrated(a=0.0, b=1.0, threshold=1e-30)
    strictest = Calibrated(a=-1.0, b=0.5, threshold=0.9)
    example = Calibrated(a=-1.165, b=0.5376, threshold=0.05)

    def is_neutral(self, value: Value) -> bool:
        """Where there is no fit, or no threshold."""
        return value is None or value.threshold == 0

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """The least probabilities [R], in float32."""
        return super().tensors([row.least for row in rows], device)

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The value itself."""
        del probabilities
        return rows

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token that is expected to be right less often."""
        if score < min(math.log(value.least), best[0]) - slack:
            return f"probability {math.exp(score):.4f}, the fit asks for {value.least:.4f}"
        return None


RULE = CalibratedAccuracy()
