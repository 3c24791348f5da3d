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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self, TypeAlias

from pydantic import Field, field_validator

from harness.errors import FieldError
from harness.interventions.base import Intervention

if TYPE_CHECKING:
    from torch import Tensor  # what reads descriptions back, as reports do, needs no torch

Point: TypeAlias = tuple[int, int]
"""(layer, expert): the layer's index in the model, and the column of its gate; both from 0."""

Mode: TypeAlias = Literal["keep_topk", "replace_topk"]
OnEmpty: TypeAlias = Literal["fallback", "zero"]

_Index = Annotated[int, Field(ge=0, strict=True)]


class RouterMask(Intervention):
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


class Routing(NamedTuple):
    """Where each token goes, and what the mask did to it.

    scores [N, k] weigh the experts indices [N, k]. changed [N]: the routing is not the model's
    own. emptied [N]: every expert of the selection was masked; what then happened is up to
    `on_empty`.
    """

    scores: Tensor
    indices: Tensor
    changed: Tensor
    emptied: Tensor


def route(
    logits: Tensor,
    scores: Tensor,
    indices: Tensor,
    mask: Tensor,
    replace: Tensor | None,
    zero_on_empty: Tensor,
) -> Routing:
    """Route N tokens under their own masks, given the model's unmasked routing of each.

    Args:
        logits: [N, E] the gate's finite logits.
        scores: [N, k] the model's own weights, of whatever dtype the model uses; kept.
        indices: [N, k] the experts they belong to.
        mask: [N, E] bool, the experts that are masked for each token.
        replace: [N] bool, replace_topk instead of keep_topk; None, which is cheaper, for nowhere.
        zero_on_empty: [N] bool, no expert at all instead of the unmasked routing when every
            expert of the selection is masked.

    A token whose own selection holds no masked expert is returned bit for bit. Otherwise the
    weights are the softmax of the logits over the surviving selection, times the token's routed
    mass: the sum of its own weights. With normalised weights (norm_topk_prob, Mixtral, GPT-OSS) the
    mass is 1 and this is the study's definition. Without, the study rescales every token of a
    masked layer, hit or not (to mass 1, or by what was masked of the softmax); here a token keeps
    the mass that the model routed, so that a mask does only what it says. Masked experts have
    weight exactly 0.

    Runs without host synchronisation: no branch depends on a tensor's values.
    """
    import torch

    own_masked = mask.gather(1, indices)

    if replace is None:
        picked, masked = indices, own_masked
    else:
        # Survivors of a token's own selection stay even where logits tie, which bfloat16 gates do;
        # sorting makes the order of equals, and with it the sums, independent of the batch.
        rank_of_own = torch.where(own_masked, -torch.inf, torch.inf).to(logits.dtype)
        ranking = logits.masked_fill(mask, -torch.inf).scatter(1, indices, rank_of_own)
        refilled = ranking.topk(indices.shape[1], dim=1).indices.sort(dim=1).values
        picked = torch.where(replace[:, None], refilled, indices)
        masked = mask.gather(1, picked)
    emptied = masked.all(1)

    # A softmax over the survivors' logits, not a division of probabilities: those may all have
    # underflowed to 0. Without a survivor it is NaN, which the last fill takes away.
    survivors = logits.float().gather(1, picked).masked_fill(masked, -torch.inf)
    mass = scores.float().sum(1, keepdim=True)
    weights = (survivors.softmax(1) * mass).masked_fill(masked, 0).to(scores.dtype)

    changed = own_masked.any(1) & (~emptied | zero_on_empty)
    return Routing(
        scores=torch.where(changed[:, None], weights, scores),
        indices=indices if picked is indices else torch.where(changed[:, None], picked, indices),
        changed=changed,
        emptied=emptied,
    )


def check_points(points: Sequence[Point], *, layers: Sequence[int], experts: int) -> None:
    """Raise FieldError for the first point that names no router of a model.

    `layers` are the indices of the layers that have a router, `experts` the experts of each.
    """
    known = set(layers)
    for layer, expert in points:
        if layer not in known:
            problem = f"the routers are in layers {spans(layers)}"
        elif not 0 <= expert < experts:
            problem = f"the experts of a layer are {spans(range(experts))}"
        else:
            continue
        raise FieldError(
            "intervention.points", f"there is no layer {layer}, expert {expert}; {problem}"
        )


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


def spans(numbers: Sequence[int]) -> str:
    """Sorted integers as a person writes them: `0-3, 5, 7-8`, or `none`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "none"


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
