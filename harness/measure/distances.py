"""How far two distributions are apart."""

from __future__ import annotations

import math

import torch

LARGEST = math.log(2)


def jensen_shannon(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence [...] in nats of two log-distributions [..., V].

    Symmetric, between 0 (equal) and ln 2 (nothing in common). Exact over all of V; a probability
    that underflows contributes 0, which `0 * log 0` written out would turn into NaN.

    Source: Lin (1991), IEEE Transactions on Information Theory 37:145.
    """
    p, q = log_p.double().exp(), log_q.double().exp()
    mean = (p + q) / 2
    divergence = (_relative(p, mean) + _relative(q, mean)) / 2
    # Rounding leaves equal distributions a hair beside 0, and disjoint ones beside ln 2.
    return divergence.clamp(0.0, LARGEST)


def total_variation(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Half the sum of absolute differences [...] of two distributions [..., E]; from 0 to 1."""
    # Rounding takes distributions with nothing in common a hair beyond 1.
    return ((p - q).abs().sum(dim=-1) / 2).clamp(max=1.0)


def _relative(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of p from q, where q is nowhere 0 that p is not."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(dim=-1)
