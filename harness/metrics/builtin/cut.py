"""`cut`: how many completions were cut off at their length limit. Every run counts them."""

from __future__ import annotations

from statistics import fmean

from pydantic import JsonValue

from harness.metrics.entry import MetricEntry, Seen
from harness.metrics.kind import plain


def _cut(seen: Seen) -> JsonValue:
    return fmean(answer.finish == "length" for answer in seen.answers)


METRIC = plain(
    MetricEntry(
        "cut",
        "share of completions that were cut off at their length limit",
        "lower",
        "rate",
        (0, 1),
        value=_cut,
    )
)
