"""A canary after start: a very strong intervention must have an effect where it was installed.

What a model is compiled to is kept and found again by keys; a stale artefact, a kernel that was
swapped or a hook that is not called would make every intervention do nothing, in silence. So one
token is generated with and without a heavy dose of everything that was installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Self

import torch
from torch import Tensor

from harness.engines.contract import Completion, Request
from harness.engines.declared import Declared
from harness.errors import ModelError
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.hidden_states import HiddenStates, PlaceRows
from harness.interventions.next_token_logits import NextTokenLogits
from harness.interventions.residual import Residual, Term
from harness.interventions.router_logits import ExpertMask, Point, RouterLogits, TokenRows
from harness.interventions.steering_terms import Positions, Site
from harness.models.routers import RouterShape

_ALPHA = 100.0
_LENGTH = 8

Generate = Callable[[list[Request]], list[Completion]]


def check_reached(
    declared: Declared, generate: Generate, vocabulary: int, width: int, routers: RouterShape | None
) -> None:
    """Raise `ModelError` for the first place where an intervention is not felt."""
    doses = _doses(declared, width, routers)
    if not doses:
        return
    tokens = torch.randint(vocabulary, (_LENGTH,), generator=torch.Generator().manual_seed(0))
    prompt = tuple(tokens.tolist())
    requests = [Request(prompt, 1, intervention) for intervention in (None, *doses.values())]
    baseline, *others = generate(requests)
    for name, own in zip(doses, others, strict=True):
        if own.finish_reason == "error":
            raise ModelError(f"{name} cannot be used in vLLM: {own.error}")
        if own.log_probabilities == baseline.log_probabilities:
            raise ModelError(
                f"{name} does not reach the model inside vLLM: a canary request was answered as "
                "without it; clear vLLM's compile cache, or set engine.enforce_eager: true"
            )


def _doses(declared: Declared, width: int, routers: RouterShape | None) -> dict[str, Intervention]:
    """One dose, by name, for every place and for the routers."""
    doses: dict[str, Intervention] = {}
    vector = Array(torch.randn(width, generator=torch.Generator().manual_seed(1)))
    for layer, site in declared.steered:
        term = Term(layer=layer, site=site, vector=vector, alpha=_ALPHA, positions="all")
        doses[f"steering at layer {layer}, {site},"] = _Addition(term=term)
    for layer, site in declared.changed:
        name = f"a function of hidden states at layer {layer}, {site},"
        doses[name] = _Inversion(layer=layer, site=site)
    if declared.masks and routers is not None:
        half = range(0, routers.experts, 2)
        points = tuple((layer, expert) for layer in routers.layers for expert in half)
        doses["a router mask"] = _Mask(points=points)
    if declared.logits:
        doses["a change of next-token logits"] = _Reversal(acts=True)
    return doses


class _Addition(Residual):
    """One heavy addition."""

    kind: str = "canary"
    term: Term | None

    def neutral(self) -> Self:
        return self.model_copy(update={"term": None})

    def additions(self) -> tuple[Term, ...]:
        return () if self.term is None else (self.term,)


class _Inversion(HiddenStates):
    """Hidden states point the other way."""

    kind: str = "canary"
    positions: Positions = "all"
    layer: int
    site: Site
    acts: bool = True

    def neutral(self) -> Self:
        return self.model_copy(update={"acts": False})

    def places(self) -> frozenset[tuple[int, Site]]:
        return frozenset({(self.layer, self.site)})

    def rows(self, width: int) -> PlaceRows:  # noqa: ARG002 - of any width
        return {(self.layer, self.site): {"acts": torch.tensor(float(self.acts))}}

    @staticmethod
    def changed(hidden: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        return hidden * (1 - 2 * rows["acts"])[:, None]


class _Reversal(NextTokenLogits):
    """What was most probable is least probable."""

    kind: str = "canary"
    acts: bool

    def neutral(self) -> Self:
        return self.model_copy(update={"acts": False})

    def rows(self, vocabulary: int) -> Mapping[str, Tensor]:  # noqa: ARG002 - of any size
        return {"acts": torch.tensor(float(self.acts))}

    @staticmethod
    def changed(logits: Tensor, rows: Mapping[str, Tensor], steps: Tensor) -> Tensor:  # noqa: ARG004
        return logits * (1 - 2 * rows["acts"])[:, None]


class _Mask(RouterLogits):
    """One heavy mask."""

    kind: str = "canary"
    points: tuple[Point, ...]

    def neutral(self) -> Self:
        return self.model_copy(update={"points": ()})

    def rows(self, layers: Sequence[int], experts: int) -> NoReturn:
        raise NotImplementedError

    @staticmethod
    def routed(logits: Tensor, scores: Tensor, indices: Tensor, rows: TokenRows) -> NoReturn:
        raise NotImplementedError

    def masked(self) -> ExpertMask:
        return ExpertMask(self.points, replace=False, zero=True)
