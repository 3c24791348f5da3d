"""Log-probabilities of texts as `[nats, tokens]`, a ratio of whose sums weighs all tokens alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import JsonValue


def nats(texts: Iterable[Sequence[float]]) -> JsonValue:
    """`[nats, tokens]` of the natural log-probabilities of some texts' tokens."""
    values = [value for one in texts for value in one]
    return [-math.fsum(values), len(values)]


def per_token(values: Sequence[Any]) -> float:
    """Nats per token over samples with such values; 0 where there is no token."""
    total = math.fsum(nats for nats, _ in values)
    tokens = sum(tokens for _, tokens in values)
    return total / tokens if tokens else 0.0
