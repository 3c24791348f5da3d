"""What a started engine can do to its model: to hidden states, to routing and to logits.

A compiled or captured forward pass cannot be changed any more, so what requests will need is said
when the engine starts; an eager one takes more at any time. Everything here is plain data, because
it travels to vLLM's processes and into the key of its compile cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from harness.interventions.adapted_weights import AdaptedWeights
from harness.interventions.base import Intervention
from harness.interventions.hidden_states import HiddenStates
from harness.interventions.next_token_logits import NextTokenLogits
from harness.interventions.policy import Policy
from harness.interventions.residual import Residual, Term
from harness.interventions.router_logits import RouterLogits
from harness.interventions.steering_terms import Site

Place: TypeAlias = tuple[int, Site]
"""(layer, site)."""


def places(layers: Iterable[int], site: Site = "block") -> frozenset[Place]:
    """One site of several layers."""
    return frozenset((layer, site) for layer in layers)


@dataclass(frozen=True, slots=True)
class Steered:
    """What one place holds: additions per token, and whether any of them has a condition."""

    terms: int = 0
    conditional: bool = False


@dataclass(frozen=True)
class Declared:
    """Masks of routers, steered places, places that are read or changed, changed logits."""

    masks: bool = False
    router_logits: bool = False
    steered: Mapping[Place, Steered] = ()  # type: ignore[assignment]
    read: frozenset[Place] = frozenset()
    logits: bool = False
    changed: frozenset[Place] = frozenset()
    """Where functions of hidden states put others in their place."""
    adapters: int = 0
    """The largest rank of products that are added to weights; 0 where none are."""
    adapted: frozenset[str] = frozenset()
    """The last names of the modules that these are added to."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "steered", dict(self.steered))

    @classmethod
    def of(cls, interventions: Iterable[Intervention | None]) -> Self:
        """What these interventions need; neutral ones need nothing."""
        declared = cls()
        for intervention in interventions:
            if intervention is None or intervention.is_neutral:
                continue
            if isinstance(intervention, RouterLogits):
                declared |= cls(masks=True)
            elif isinstance(intervention, Residual):
                declared |= cls(steered=_steered(intervention.additions()))
            elif isinstance(intervention, HiddenStates):
                declared |= cls(changed=intervention.places())
            elif isinstance(intervention, NextTokenLogits):
                declared |= cls(logits=True)
            elif isinstance(intervention, AdaptedWeights):
                ranks = (len(each.a) for each in intervention.factors().values())
                names = (module.rpartition(".")[2] for module in intervention.modules())
                declared |= cls(adapters=max(ranks), adapted=frozenset(names))
            elif isinstance(intervention, Policy):
                declared |= cls.of(intervention.rows(1))
        return declared

    def __or__(self, other: Declared) -> Self:
        steered = dict(self.steered)
        for place, needed in other.steered.items():
            have = steered.get(place, Steered())
            steered[place] = Steered(
                max(have.terms, needed.terms), have.conditional or needed.conditional
            )
        return type(self)(
            self.masks or other.masks,
            self.router_logits or other.router_logits,
            steered,
            self.read | other.read,
            self.logits or other.logits,
            self.changed | other.changed,
            max(self.adapters, other.adapters),
            self.adapted | other.adapted,
        )

    def lacks(self, other: Declared) -> str | None:
        """What `other` needs and this does not have, in words; None if it has everything."""
        if other.masks and not self.masks:
            return "router masks"
        if other.router_logits and not self.router_logits:
            return "reading router logits"
        if other.logits and not self.logits:
            return "changing next-token logits"
        if other.adapters > self.adapters:
            return f"adapters of rank {other.adapters}"
        if other.adapted - self.adapted:
            return f"adapters of {min(other.adapted - self.adapted)}"
        for (layer, site), needed in other.steered.items():
            have = self.steered.get((layer, site), Steered())
            if have.terms < needed.terms:
                return f"{needed.terms} steering term(s) at layer {layer}, {site}"
            if needed.conditional and not have.conditional:
                return f"conditional steering at layer {layer}, {site}"
        for doing, needs, has in (
            ("reading", other.read, self.read),
            ("a function of hidden states at", other.changed, self.changed),
        ):
            missing = min(needs - has, default=None)
            if missing is not None:
                return f"{doing} layer {missing[0]}, {missing[1]}"
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain values, equal for equal declarations."""
        return {
            "masks": self.masks,
            "router_logits": self.router_logits,
            "steered": [
                [layer, site, needed.terms, needed.conditional]
                for (layer, site), needed in sorted(self.steered.items())
            ],
            "read": [list(place) for place in sorted(self.read)],
            "logits": self.logits,
            "changed": [list(place) for place in sorted(self.changed)],
            "adapters": self.adapters,
            "adapted": sorted(self.adapted),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The declaration that `to_json` wrote."""
        return cls(
            bool(document["masks"]),
            bool(document["router_logits"]),
            {
                (layer, site): Steered(terms, conditional)
                for layer, site, terms, conditional in document["steered"]
            },
            frozenset((layer, site) for layer, site in document["read"]),
            bool(document["logits"]),
            frozenset((layer, site) for layer, site in document["changed"]),
            int(document["adapters"]),
            frozenset(document["adapted"]),
        )


def _steered(additions: Sequence[Term]) -> dict[Place, Steered]:
    counts = Counter((term.layer, term.site) for term in additions)
    conditional = {(term.layer, term.site) for term in additions if term.condition}
    return {place: Steered(terms, place in conditional) for place, terms in counts.items()}
