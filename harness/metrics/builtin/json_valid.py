"""`json_valid`: whether a completion is JSON."""

from __future__ import annotations

from typing import Literal

from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.json_text import json_in
from harness.metrics.kind import MetricKind
from harness.spec.metric import MetricSettings


class JsonSettings(MetricSettings):
    """The share of completions that are JSON."""

    kind: Literal["json_valid"]
    """The kind of metric is json_valid: completions that are JSON."""
    fenced: bool = True
    """Whether what stands in the first Markdown fence counts, where there is one; true by default.
    false wants the whole completion to be JSON."""


def _made(settings: JsonSettings) -> MetricEntry:
    def valid(_: Seen, answer: Answer) -> float:
        try:
            json_in(answer.text, fenced=settings.fenced)
        except ValueError:
            return 0.0
        return 1.0

    return MetricEntry(
        "json_valid",
        "share of completions that are JSON",
        "higher",
        "rate",
        (0, 1),
        value=per_answer(valid),
    )


METRIC = MetricKind("json_valid", "share of completions that are JSON", JsonSettings, _made)
