"""`oracle_calls`: how often the oracle was asked in an answer."""

from __future__ import annotations

from harness.interventions.policy import AUTHOR
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import plain


def _calls(_: Seen, answer: Answer) -> float:
    return max(answer.traces.get(AUTHOR, ()), default=0.0)


METRIC = plain(
    MetricEntry(
        "oracle_calls",
        "mean number of consultations of an answer",
        kind="count",
        bounds=(0, None),
        value=per_answer(_calls),
    )
)
