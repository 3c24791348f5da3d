"""What given texts measure: `nll`, nats per token over all of them."""

from __future__ import annotations

from harness.metrics.entry import MetricEntry
from harness.metrics.nats import per_token

METRICS = (
    MetricEntry(
        "nll",
        "nats per token of given texts",
        "lower",
        "loss",
        (0, None),
        aggregate=per_token,
    ),
)
