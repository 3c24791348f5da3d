"""`answer_perplexity`: how sure the model is of what it says. Sampling rules are not in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from harness.metrics.entry import MetricEntry, Seen
from harness.metrics.kind import plain
from harness.metrics.nats import nats, per_token


def _surprise(seen: Seen) -> JsonValue:
    """`[nats, tokens]` of all that was generated for a sample."""
    return nats(answer.log_probabilities for answer in seen.answers)


def _perplexity(values: Sequence[Any]) -> float:
    """Exp of nats per token over all samples; 1 where no token was generated."""
    return math.exp(per_token(values))


METRIC = plain(
    MetricEntry(
        "answer_perplexity",
        "perplexity of the model's own answers, over all their tokens",
        kind="ratio",
        bounds=(1, None),
        aggregate=_perplexity,
        value=_surprise,
    )
)
