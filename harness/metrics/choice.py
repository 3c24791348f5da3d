"""What choices measure, in the order of a report.

| metric | unit | better |
| --- | --- | --- |
| `acc` | share of samples whose right answer is the most probable | higher |
| `acc_norm` | the same, log-probabilities divided by characters | higher |
| `margin` | nats between the right answer and the most probable wrong one | higher |
"""

from __future__ import annotations

from harness.metrics.entry import MetricEntry

METRICS = (
    MetricEntry(
        "acc",
        "share of samples whose right answer is the most probable one",
        "higher",
        "rate",
        (0, 1),
        needs=frozenset({"choices"}),
    ),
    MetricEntry(
        "acc_norm",
        "share of samples whose right answer is the most probable one for its length in characters",
        "higher",
        "rate",
        (0, 1),
        needs=frozenset({"choices"}),
    ),
    MetricEntry(
        "margin",
        "nats by which the right answer is more probable than the most probable wrong one",
        "higher",
        needs=frozenset({"choices"}),
    ),
)
