"""Router masks: a router point is (layer, expert), one expert's column in one layer's gate output.

Shapes: N tokens, E experts of a layer, k experts that each token selects, L layers with a router.
A masked point takes its expert out of the routing of that layer; expert weights, attention and
shared experts are never touched. Two modes, described and defined by the router-masking study of
agentic and assisted prompts (XAI4Agent, `pair_decode_mask.py`):

- keep_topk: masked experts drop out of a token's own top-k, and nothing takes their place;
- replace_topk: masked experts leave before the top-k, so that the next best experts fill in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator

from harness.errors import FieldError
from harness.interventions.router_logits import (
    ExpertMask,
    Point,
    RouterLogits,
    Routing,
    TokenRows,
    check_points,
    route,
)

if TYPE_CHECKING:
    from torch import Tensor  # what reads descriptions back, as reports do, needs no torch

Mode: TypeAlias = Literal["keep_topk", "replace_topk"]
OnEmpty: TypeAlias = Literal["fallback", "zero"]

_Index = Annotated[int, Field(ge=0, strict=True)]


class RouterMask(RouterLogits):
    """The experts that are masked, as a set: order and repetition of points mean nothing."""

    kind: Literal["router_mask"] = "router_mask"
    mode: Mode = "keep_topk"
    on_empty: OnEmpty = "fallback"
    points: tuple[tuple[_Index, _Index], ...] = ()

    @field_validator("points")
    @classmethod
    def _as_set(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple(sorted(set(points)))

    def neutral(self) -> Self:
        """The same mask with no points."""
        return self.model_copy(update={"points": ()})

    def mask(self, layers: Sequence[int], experts: int) -> Tensor:
        """Which experts are masked: bool [L, E], row i for the model's layer `layers[i]`.

        Raises FieldError for a point that the model does not have.
        """
        import torch

        check_points(self.points, layers=layers, experts=experts)
        mask = torch.zeros(len(layers), experts, dtype=torch.bool)
        row = {layer: i for i, layer in enumerate(layers)}
        for layer, expert in self.points:
            mask[row[layer], expert] = True
        return mask

    def rows(self, layers: Sequence[int], experts: int) -> Mapping[str, Tensor]:
        """What `routed` takes: mask bool [L, E], replace, zero bool [L]; all 0 without points."""
        import torch

        own = self.masked()
        every = torch.full((len(layers),), bool(self.points))
        return {
            "mask": self.mask(layers, experts),
            "replace": every & own.replace,
            "zero": every & own.zero,
        }

    @staticmethod
    def routed(logits: Tensor, scores: Tensor, indices: Tensor, rows: TokenRows) -> Routing:
        """Masked routing: `route` with the tokens' own masks."""
        import torch

        mask, zero = rows["mask"], rows["zero"]
        if mask is None:  # no token has any
            mask = torch.zeros_like(logits, dtype=torch.bool)
        if zero is None:
            zero = torch.zeros_like(mask[:, 0])
        return route(
            logits, scores, indices, mask=mask, replace=rows["replace"], zero_on_empty=zero
        )

    def masked(self) -> ExpertMask:
        """All that it does."""
        return ExpertMask(self.points, self.mode == "replace_topk", self.on_empty == "zero")

    def saturated(self, counts: Mapping[str, int]) -> str | None:
        """That most routing decisions have no expert left and fall back to their own."""
        routed, emptied = counts.get("routed", 0), counts.get("emptied", 0)
        if self.on_empty != "fallback" or 2 * emptied <= routed:
            return None
        share = f"{100 * emptied / routed:.0f} %"
        return (
            f"the whole top-k of {share} of routing decisions is masked, and these keep their own"
        )

    def in_words(self) -> str:
        """The mode, how many experts are masked, and where."""
        layers = sorted({layer for layer, _ in self.points})
        return f"{self.mode}, {len(self.points)} experts of layers {layers}"


def check_count(
    ordering: Sequence[Point], count: int, *, mode: Mode, experts: int, top_k: int
) -> None:
    """Raise FieldError when the first `count` points of an ordering cannot be masked.

    A dose beyond the end of the ordering would silently repeat the last one. replace_topk must
    leave `top_k` of a layer's `experts`; keep_topk has no such limit. Needs no model in memory.
    """
    if count > len(ordering):
        raise FieldError(
            "intervention.count",
            f"{count} points to mask, but the ordering has {len(ordering)}; "
            f"use at most {len(ordering)}",
        )
    if mode == "keep_topk":
        return
    room = experts - top_k
    usable, first_full = _usable(ordering[:count], room)
    if first_full is not None:
        masked = len({expert for layer, expert in ordering[:count] if layer == first_full})
        raise FieldError(
            "intervention.count",
            f"{count} points mask {masked} routers of layer {first_full}, which has {experts} and "
            f"needs {top_k} of them in mode replace_topk; use at most {usable} of this ordering",
        )


def _usable(points: Sequence[Point], room: int) -> tuple[int, int | None]:
    """How many leading points leave at most `room` masked per layer, and the layer that ends it."""
    masked: Counter[int] = Counter()
    seen: set[Point] = set()
    for i, point in enumerate(points):
        masked[point[0]] += point not in seen
        seen.add(point)
        if masked[point[0]] > room:
            return i, point[0]
    return len(points), None
