"""What a threshold was fitted to keep, and on what: part of a description, for the report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


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
