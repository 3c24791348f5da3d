"""Dynamic activation composition: at every step, the dose that steering still has to give.

Scalena, Sarti and Nissim 2024 (arXiv:2406.17563) steer with the differences Delta[i] of two
conditions' mean activations at generation step i, at every layer, on the attention's output
projection. (They add to its input, per head; the projection is linear, so that adding the
projected difference to its output is the same. Here the site is the attention's output.)

At step t the next token's distribution is computed twice on the tokens so far: unsteered, p, and
steered with the strongest dose at all steps, q. Both are cut to the union U of their nuclei and
renormalised; their divergence, cut off at the strongest dose, is the dose alpha_t of this step.
Earlier doses stay what they were. Where steering would change nothing any more, alpha_t is 0. Of
several properties each has its own q and its own alpha; their additions sum up.

A nucleus is the smallest set of most probable tokens whose mass exceeds top_p, the token that
crosses it included: it is never empty. (A published re-implementation leaves that token out, and
divides 0 by 0 where one token has more than top_p.)

Which divergence is an option, because sources differ: the paper's code computes KL(p || q), and
divides it by |U|, through a reduction that was meant as a mean over a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.steering import Steering, Term
from harness.spec.steering_terms import Divergence, Site


class Property(BaseModel):
    """What one property adds: per layer a vector for every step, [S, H]; nothing after step S."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    differences: tuple[tuple[Annotated[int, Field(ge=0)], Array], ...]

    def terms(self, doses: Sequence[float], site: Site) -> list[Term]:
        """The additions under given doses of the steps so far."""
        return [
            Term(
                layer=layer,
                site=site,
                vector=vectors,
                alpha=1.0,
                schedule="given",
                given=tuple(doses[: vectors.shape[0]]),
            )
            for layer, vectors in self.differences
        ]

    @property
    def steps(self) -> int:
        """Steps that have a vector."""
        return max((vectors.shape[0] for _, vectors in self.differences), default=0)


class DAC(Intervention):
    """Properties composed with doses that are chosen as the sequence grows."""

    kind: Literal["dac"] = "dac"
    properties: tuple[Property, ...]
    strongest: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    """The dose that q is steered with, and the most that a step can get. 0 is neutral."""
    top_p: Annotated[float, Field(gt=0, lt=1)] = 0.5
    divergence: Divergence = "kl_unsteered_steered"
    per_token: bool = False
    """Divide the divergence by the number of tokens in the union, as the paper's code does."""
    site: Site = "attention"

    def neutral(self) -> Self:
        """The same properties at most at dose 0."""
        return self.model_copy(update={"strongest": 0.0})

    def fully(self, index: int, steps: int) -> Steering:
        """One property at the strongest dose at each of so many steps."""
        chosen = self.properties[index]
        return Steering(terms=tuple(chosen.terms([self.strongest] * steps, self.site)))

    def composed(self, doses: Sequence[Sequence[float]]) -> Steering:
        """All properties, each under its own doses of the steps so far."""
        terms: list[Term] = []
        for chosen, own in zip(self.properties, doses, strict=True):
            terms += chosen.terms(own, self.site)
        return Steering(terms=tuple(terms))


def dose(unsteered: Tensor, steered: Tensor, settings: DAC) -> Tensor:
    """The dose of a step: [R], in [0, strongest], from logits [R, V] of both distributions."""
    p, q = unsteered.float().log_softmax(dim=-1), steered.float().log_softmax(dim=-1)
    union = nucleus(p, settings.top_p) | nucleus(q, settings.top_p)
    p = p.masked_fill(~union, -torch.inf).log_softmax(dim=-1)
    q = q.masked_fill(~union, -torch.inf).log_softmax(dim=-1)
    if settings.divergence == "kl_steered_unsteered":
        p, q = q, p
    # Outside of the union both are -inf, and their difference is not a number.
    terms = torch.where(union, p.exp() * (p - q), 0.0)
    divergence = terms.sum(dim=-1)
    if settings.per_token:
        divergence = divergence / union.sum(dim=-1)
    # Rounding may leave the divergence of equal distributions a hair below 0.
    return divergence.clamp(0.0, settings.strongest)


def nucleus(log_probabilities: Tensor, top_p: float) -> Tensor:
    """Bool [R, V]: the smallest set of most probable tokens whose mass exceeds `top_p`."""
    ordered, order = log_probabilities.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.exp()
    mass_before = probabilities.cumsum(dim=-1) - probabilities
    keep = mass_before <= top_p
    return torch.zeros_like(keep).scatter(-1, order, keep)


def check_properties(properties: Sequence[Property], *, layers: int, width: int) -> None:
    """Raise FieldError for a property that a model with so many layers and width cannot take."""
    for chosen in properties:
        for layer, vectors in chosen.differences:
            if layer >= layers:
                raise FieldError(
                    "intervention.properties",
                    f"{chosen.name} has a vector for layer {layer}; the layers are 0-{layers - 1}",
                )
            if len(vectors.shape) != 2 or vectors.shape[1] != width:
                raise FieldError(
                    "intervention.properties",
                    f"{chosen.name} has vectors of shape {list(vectors.shape)} at layer {layer}; "
                    f"expected [steps, {width}]",
                )
