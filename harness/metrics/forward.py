"""What forward passes measure, in the order of a report.

| metric | unit | better |
| --- | --- | --- |
| `delta_nll` | nats per token | neither: it compares two prompts |
| `nll_agentic`, `nll_assisted` | nats per token | lower: the answer is likelier |
| `js` | nats, 0 to ln 2 | neither: how far two predictions are apart |
| `routing_tv`, `routing_jaccard` | none, 0 to 1 | neither: how far two routings are apart |

None of these is a rate: values that happen to lie between 0 and 1 are numbers all the same.
"""

from __future__ import annotations

import math

from harness.metrics.entry import MetricEntry

METRICS = (
    MetricEntry(
        "delta_nll",
        "agentic minus assisted: nats per token of the reference answer",
        kind="distance",
    ),
    MetricEntry(
        "nll_agentic",
        "nats per token of the reference answer after the agentic prompt",
        "lower",
        "loss",
        (0, None),
    ),
    MetricEntry(
        "nll_assisted",
        "nats per token of the reference answer after the assisted prompt",
        "lower",
        "loss",
        (0, None),
    ),
    MetricEntry(
        "js",
        "Jensen-Shannon divergence of the two styles' predictions, in nats",
        kind="distance",
        bounds=(0, math.log(2)),
    ),
    MetricEntry(
        "routing_tv",
        "total variation of the two styles' use of experts",
        kind="distance",
        bounds=(0, 1),
        needs=frozenset({"routers"}),
    ),
    MetricEntry(
        "routing_jaccard",
        "Jaccard distance of the experts that the two styles choose",
        kind="distance",
        bounds=(0, 1),
        needs=frozenset({"routers"}),
    ),
)
