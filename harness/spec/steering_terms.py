"""The words in which a spec says where, when and by what a model is steered; no torch, no numbers.

What they mean exactly is defined in `harness.interventions.steering` (sites, positions, schedules)
and in `harness.measure.steering_vectors` (methods and position rules of vectors).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Site: TypeAlias = Literal["block", "attention", "mlp"]
Positions: TypeAlias = Literal["all", "prompt", "generated", "from_last_prompt_token"]
#: `given` says the dose of every step; only methods that choose it as they go use it.
Schedule: TypeAlias = Literal["constant", "start_only", "diminishing", "given"]
Method: TypeAlias = Literal["mean", "mean_centred", "pca", "pca_centred", "probe"]
PositionRule: TypeAlias = Literal["last", "answer", "mean"] | int
#: Which of two distributions a divergence is taken from: see `harness.interventions.divergence`.
Direction: TypeAlias = Literal["unsteered_to_steered", "steered_to_unsteered"]
