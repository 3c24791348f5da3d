"""The words that say where, when and by what a model is steered; no torch, no numbers.

What they mean exactly is defined in `harness.interventions.residual` (sites, positions, schedules)
and in `harness.measure.steering_vectors` (methods and position rules of vectors).
"""

from __future__ import annotations

import struct
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, NonNegativeInt


def as_float32(value: float) -> float:
    """The value as it is; raises ValueError where float32 would make infinity or zero of it."""
    try:
        (held,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        held = 0.0
    if value and not held:
        raise ValueError(f"{value:g} is beyond what float32 holds (1.4e-45 to 3.4e38)")
    return value


def _each_once(layers: list[int]) -> list[int]:
    """A layer that is listed twice would be steered twice as much as the dose says."""
    if len(set(layers)) < len(layers):
        raise ValueError(f"{layers} is not accepted; it should name each layer once")
    return layers


LayerList: TypeAlias = Annotated[
    list[NonNegativeInt], Field(min_length=1), AfterValidator(_each_once)
]
#: A number that hidden states, which are float32 where they are steered, can be multiplied with.
Float32: TypeAlias = Annotated[float, AfterValidator(as_float32)]
Site: TypeAlias = Literal["block", "attention", "mlp"]
Positions: TypeAlias = Literal["all", "prompt", "generated", "from_last_prompt_token"]
#: `given` says the dose of every step; only methods that choose it as they go use it.
Schedule: TypeAlias = Literal["constant", "start_only", "diminishing", "given"]
Method: TypeAlias = Literal["mean", "mean_centred", "pca", "pca_centred", "probe"]
PositionRule: TypeAlias = Literal["last", "answer", "mean"] | int
#: Which of two distributions a divergence is taken from: `harness.interventions.dac.divergence`.
Direction: TypeAlias = Literal["unsteered_to_steered", "steered_to_unsteered"]
