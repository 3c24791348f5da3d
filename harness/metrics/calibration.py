"""What a calibration measures, in the order of a report.

| metric | unit | better |
| --- | --- | --- |
| `ece` | expected calibration error of the most probable token, over all tokens | lower |
| `top_accuracy` | share of reference tokens that are the most probable ones | higher |
| `top_probability` | mean probability of the most probable token: the confidence | neither |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.metrics.entry import MetricEntry


def _error(values: Sequence[Any]) -> float:
    """Of samples' sums by bin, [tokens, hits, mass]: the mean over tokens of |hits - mass|."""
    tokens, hits, mass = np.asarray(values, np.float64).sum(axis=0)
    return float(np.abs(hits - mass).sum() / tokens.sum())


METRICS = (
    MetricEntry(
        "ece",
        "expected calibration error of the most probable token, by tenths of its probability",
        "lower",
        "loss",
        (0, 1),
        aggregate=_error,
    ),
    MetricEntry(
        "top_accuracy",
        "share of reference tokens that are the most probable ones",
        "higher",
        "rate",
        (0, 1),
    ),
    MetricEntry(
        "top_probability",
        "mean probability of the most probable token",
        "neither",
        "score",
        (0, 1),
    ),
)
