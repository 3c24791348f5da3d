"""Dynamic activation composition: how strongly to steer is decided anew for every token.

Shapes: S steps that differences were measured for, H the width of the hidden states, V vocabulary.
A property is what steering should bring about. Its difference at a layer is [S, H], a row per
generated token (step t acts at position P - 1 + t after a prompt of P tokens, on which token t
depends; nothing is added after the last row), or [H] for all steps alike.

At step t three models are asked for the next token, on the prompt and the t tokens so far:

    unsteered   no edit at any position
    steered     one per property: its difference times `strongest` at steps 0..t
    composed    every property's difference times its own alpha_i at steps i = 0..t

A property's alpha_t is the divergence of steered from unsteered (`divergence.py`), clipped to
0..strongest; alphas of earlier steps stay what they were. The token is drawn from the composed one.
Where steering would change little there is little of it, and the text stays fluent.

Source: Scalena, Sarti and Nissim 2024, arXiv:2406.17563, and its published code, which takes
`strongest` 2, and the divergence KL(unsteered || steered) divided by the size of the union
(`mean_divergence`; its comment calls it the mean). Differences there are added to the input of the
attention's output projection. That projection is linear, so that its image of the difference,
added to its output, is the same edit: hence the site `attention`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator

from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.dac.divergence import divergence
from harness.interventions.policy import Draw, Next, Policy, Probe, Probed
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.interventions.steering_terms import Direction, Site

if TYPE_CHECKING:
    from torch import Tensor


class LayerDifference(BaseModel):
    """What a property adds at one layer for alpha 1: [S, H], or [H] for every step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: Annotated[int, Field(ge=0, strict=True)]
    vector: Array

    @model_validator(mode="after")
    def _has_steps_or_none(self) -> Self:
        if len(self.vector.shape) not in (1, 2):
            shape = list(self.vector.shape)
            raise ValueError(f"a difference is [H] or [S, H], not of the shape {shape}")
        return self


class Property(BaseModel):
    """One thing that steering should bring about, by its differences at any layers of one site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What its alphas are called in traces, samples and plots."""
    site: Site = "attention"
    differences: tuple[LayerDifference, ...]

    @property
    def steps(self) -> int | None:
        """Steps at which it adds something: those of its longest difference, None for all.

        A property without any difference has none.
        """
        acting = [each.vector for each in self.differences if each.vector.norm > 0]
        if any(len(vector.shape) == 1 for vector in acting):
            return None
        return max((vector.shape[0] for vector in acting), default=0)

    def acts_at(self, step: int) -> bool:
        """Whether there is anything to add at a step."""
        return self.steps is None or step < self.steps

    def terms(self, alphas: Sequence[float]) -> Iterator[Term]:
        """Its edits with these alphas at the first steps, and nothing after them."""
        for each in self.differences:
            rows = len(alphas) if len(each.vector.shape) == 1 else each.vector.shape[0]
            if each.vector.norm > 0 and alphas:
                yield Term(
                    layer=each.layer,
                    site=self.site,
                    vector=each.vector,
                    alpha=1.0,
                    schedule="given",
                    given=tuple(alphas[:rows]),
                )


class DAC(Policy):
    """Properties that are composed at doses chosen step by step; the class does not choose them.

    Its course does, as an engine runs it in rounds (`harness.engines.decoding.rounds`).
    """

    model_config = ConfigDict(allow_inf_nan=False)

    kind: Literal["dac"] = "dac"
    properties: Annotated[tuple[Property, ...], Field(min_length=1)]
    strongest: NonNegativeFloat = 2.0
    """The dose of the steered model, and the largest alpha. 0 is neutral."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.5
    direction: Direction = "unsteered_to_steered"
    mean_divergence: bool = False

    @model_validator(mode="after")
    def _has_names_of_its_own(self) -> Self:
        names = [each.name for each in self.properties]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two properties are called {twice!r}; their alphas need two names")
        return self

    def neutral(self) -> Self:
        """No steering, whatever the divergence."""
        return self.model_copy(update={"strongest": 0.0})

    def course(self) -> DACPolicy:
        """Doses are decided step by step, and frozen once they are."""
        return DACPolicy(self, [[] for _ in self.properties])

    def at_rest(self) -> Steering:
        """No additions."""
        return Steering()

    def rows(self, tokens: int) -> tuple[Intervention | None, ...]:
        """Composed, unsteered and steered ones, all at full strength."""
        strongest = [self.strongest] * max(tokens, 0)
        steered = (Steering(terms=tuple(each.terms(strongest))) for each in self.properties)
        return self.composed([strongest for _ in self.properties]), None, *steered

    def acts_at(self, step: int) -> bool:
        """Whether any property has something to add at a step."""
        return any(each.acts_at(step) for each in self.properties)

    def steered(self, which: int, step: int) -> Steering:
        """One property at full strength at all steps up to this one."""
        alphas = [self.strongest] * (step + 1)
        return Steering(terms=tuple(self.properties[which].terms(alphas)))

    def composed(self, alphas: Sequence[Sequence[float]]) -> Steering:
        """All properties, each with its own alphas so far: a sequence per property."""
        return Steering(
            terms=tuple(
                term
                for each, own in zip(self.properties, alphas, strict=True)
                for term in each.terms(own)
            )
        )

    def alpha(self, unsteered: Tensor, steered: Tensor) -> float:
        """The dose for one step, from the two log-distributions [V] of its next token."""
        distance = divergence(
            unsteered,
            steered,
            top_p=self.top_p,
            direction=self.direction,
            mean=self.mean_divergence,
        )
        return min(float(distance), self.strongest)

    def described(self) -> dict[str, Any]:
        """Differences by their shapes, norms and digests: they are [S, H] for every layer."""
        properties = [
            {
                "name": each.name,
                "site": each.site,
                "differences": [
                    {
                        "layer": own.layer,
                        "shape": list(own.vector.shape),
                        "norm": own.vector.norm,
                        "sha256": own.vector.digest,
                    }
                    for own in each.differences
                ],
            }
            for each in self.properties
        ]
        return self.model_dump(mode="json", exclude={"properties"}) | {"properties": properties}

    @cached_property
    def _digest(self) -> str:
        plain = self.model_dump(mode="json", exclude={"properties"})
        properties = [
            [each.name, each.site, [[own.layer, own.vector.digest] for own in each.differences]]
            for each in self.properties
        ]
        content = json.dumps([plain, properties], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass
class DACPolicy:
    """The doses of one sequence: a list for each property, a dose for each step decided."""

    dac: DAC
    alphas: list[list[float]]

    def next(self, step: int, answers: Sequence[Probed]) -> Next:
        """Ask the unsteered and the steered models, then draw from the composed one."""
        if self.dac.acts_at(step):
            if not answers:
                return Probe((None, *(self._steered(which, step) for which in self._each)))
            unsteered, *steered = (each.distribution for each in answers)
            for own, distribution in zip(self.alphas, steered, strict=True):
                own.append(self.dac.alpha(unsteered, distribution))
        return Draw(self.dac.composed(self.alphas), rest=not self.dac.acts_at(step))

    def traces(self, tokens: int) -> Mapping[str, tuple[float, ...]]:
        """Each property's doses; 0 where nothing was left to add."""
        return {
            f"alpha {each.name}": (*own[:tokens], *[0.0] * (tokens - len(own)))
            for each, own in zip(self.dac.properties, self.alphas, strict=True)
        }

    @property
    def _each(self) -> range:
        return range(len(self.dac.properties))

    def _steered(self, which: int, step: int) -> Steering | None:
        """A property at full strength; None, which asks for nothing else, where it adds nothing."""
        if not self.dac.properties[which].acts_at(step):
            return None
        steering = self.dac.steered(which, step)
        return None if steering.is_neutral else steering
