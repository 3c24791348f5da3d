"""On which samples a threshold was fitted, and what it was fitted to keep, for the report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ValidationSplit(BaseModel):
    """Samples of the task that are not evaluated, drawn from all of these by a seed."""

    model_config = ConfigDict(frozen=True)

    seed: int
    """Of the permutation."""
    of: int
    """How many samples are not evaluated."""
    samples: int
    """How many of them, the first ones of the permutation, were drawn."""
    ids: str
    """SHA-256 of their ids in its order, a line each."""


class Promise(BaseModel):
    """A share of the performance gap that is promised of samples that were not seen.

    How it is shown: `harness/statistics/promise.py`.
    """

    model_config = ConfigDict(frozen=True)

    aim: float
    """The share of the gap that is promised, at 95 %."""
    samples: int
    """On how many samples it was shown."""
    recovered: float
    """What was recovered there."""
    at_least: float
    """The largest share of the gap that could have been shown there."""
