"""How far steering moves the next token: the divergence of two truncated distributions.

A distribution's nucleus is the smallest set of most probable tokens whose mass reaches `top_p`, the
token that crosses it included, so that it is never empty. Two distributions p (unsteered) and q
(steered) are compared on the union U of their nuclei, each renormalised on it:

    unsteered_to_steered    KL(p || q) = sum over U of p log(p / q)
    steered_to_unsteered    KL(q || p)

in nats. Scalena et al. 2024 (arXiv:2406.17563) choose the dose of a step by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.interventions.steering_terms import Direction

if TYPE_CHECKING:
    from torch import Tensor


def nucleus(log_probabilities: Tensor, top_p: float) -> Tensor:
    """Which tokens are in the nucleus: bool [..., V] for log-probabilities [..., V].

    Of equally probable tokens the first ones come in. A `top_p` of 1 takes every token.
    """
    import torch

    if top_p >= 1:
        return torch.ones_like(log_probabilities, dtype=torch.bool)
    ordered, order = log_probabilities.double().sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.exp()
    mass_before = probabilities.cumsum(dim=-1) - probabilities
    inside = mass_before < top_p
    return torch.zeros_like(inside).scatter(-1, order, inside)


def divergence(
    unsteered: Tensor,
    steered: Tensor,
    *,
    top_p: float,
    direction: Direction = "unsteered_to_steered",
    mean: bool = False,
) -> Tensor:
    """Divergence [...] (float64, at least 0) of two log-distributions [..., V].

    With `mean` it is divided by the number of tokens in the union, as the method's published code
    does. It is infinite where the second distribution excludes a token of the first one.
    """
    import torch

    union = nucleus(unsteered, top_p) | nucleus(steered, top_p)
    of, given = (unsteered, steered)
    if direction == "steered_to_unsteered":
        of, given = given, of
    log_p, log_q = (
        part.double().masked_fill(~union, -torch.inf).log_softmax(dim=-1) for part in (of, given)
    )
    # A token that p excludes adds nothing; written out it would be 0 * inf.
    terms = torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0)
    total = terms.sum(dim=-1).clamp(min=0.0)  # rounding leaves equal ones a hair below
    return total / union.sum(dim=-1) if mean else total
