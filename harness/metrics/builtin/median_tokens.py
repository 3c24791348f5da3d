"""`median_tokens`: the length of a typical answer. A few that run into their limit move a mean."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from pydantic import JsonValue

from harness.metrics.entry import MetricEntry, Seen
from harness.metrics.kind import plain


def _tokens(seen: Seen) -> JsonValue:
    """Generated tokens of a sample, the mean over its draws; 0 of a request that was refused."""
    return fmean(len(answer.tokens) for answer in seen.answers)


def _median(values: Sequence[Any]) -> float:
    return float(median(values))


METRIC = plain(
    MetricEntry(
        "median_tokens",
        "median over samples of the tokens that were generated",
        kind="count",
        bounds=(0, None),
        aggregate=_median,
        value=_tokens,
    )
)
