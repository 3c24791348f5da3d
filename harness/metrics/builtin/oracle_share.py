"""`oracle_share`: how much of the answers the oracle has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from harness.interventions.policy import AUTHOR
from harness.metrics.entry import MetricEntry, Seen
from harness.metrics.kind import plain


def _written(seen: Seen) -> JsonValue:
    """`[tokens of the oracle, all tokens]` of a sample's completions."""
    authors = [answer.traces.get(AUTHOR, (0.0,) * len(answer.tokens)) for answer in seen.answers]
    asked = sum(author > 0 for each in authors for author in each)
    return [asked, sum(map(len, authors))]


def _share(values: Sequence[Any]) -> float:
    every = sum(tokens for _, tokens in values)
    return sum(asked for asked, _ in values) / every if every else 0.0


METRIC = plain(
    MetricEntry(
        "oracle_share",
        "share of generated tokens that are the oracle's",
        kind="ratio",
        bounds=(0, 1),
        aggregate=_share,
        value=_written,
    )
)
