"""A share of weights: of what raters call relevant, each token by its weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def weighted_share(samples: Sequence[Any]) -> float:
    """The mean over raters of the share of the weight that they call relevant; 0 without a weight.

    Args:
        samples: For each token what every rater calls relevant of its weight, and then the weight.
    """
    total = sum(weight for *_, weight in samples)
    if not total:
        return 0.0
    relevant = sum(sum(rated) / len(rated) for *rated, _ in samples)
    return float(relevant / total)
