"""Bins of confidence, which is the largest probability: ten, each open below and closed above.

Bin m of 1 to 10 holds (m - 1) / 10 < p <= m / 10, as the calibration of arXiv 2510.05987 has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BINS = 10


def bins(confidence: Tensor) -> Tensor:
    """The bins [R], from 1 to 10, int64, of probabilities [R] in float32."""
    import torch

    edges = torch.tensor([edge / BINS for edge in range(1, BINS)], device=confidence.device)
    return torch.bucketize(confidence, edges) + 1
