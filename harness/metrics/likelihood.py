"""What likelihoods measure, in the order of a report.

| metric | unit | better |
| --- | --- | --- |
| `reference_nll` | nats per token of the reference answer | lower: it is likelier |
| `reference_greedy` | share of these tokens that are the most probable ones | higher |
| `choice_accuracy` | share of samples whose reference beats every wrong choice | higher |
"""

from __future__ import annotations

from harness.metrics.entry import MetricEntry

METRICS = (
    MetricEntry(
        "reference_nll", "nats per token of the reference answer", "lower", "loss", (0, None)
    ),
    MetricEntry(
        "reference_greedy",
        "share of the reference answer's tokens that are the most probable ones",
        "higher",
        "rate",
        (0, 1),
    ),
    MetricEntry(
        "choice_accuracy",
        "share of samples whose reference is more probable than every wrong choice",
        "higher",
        "rate",
        (0, 1),
        needs=frozenset({"choices"}),
    ),
)
