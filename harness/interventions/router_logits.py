"""The mechanism `router_logits`: where tokens go in the layers of a mixture-of-experts model.

Shapes: N tokens, E experts of a layer, k experts that each token selects, L layers with a router.
A kind derives its description from `RouterLogits`: `rows` says what a dose is, as tensors, and
`routed` is the pure function that engines call behind every router, with the rows of every token.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

from harness.errors import FieldError
from harness.interventions.base import Intervention
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor  # what reads descriptions back, as reports do, needs no torch

TokenRows: TypeAlias = "Mapping[str, Tensor | None]"
"""Tensors [N, ...] by name, a row for each token; None where every row of the pass is 0."""


Point: TypeAlias = tuple[int, int]
"""(layer, expert): the layer's index in the model, and the column of its gate; both from 0."""


@dataclass(frozen=True, slots=True)
class ExpertMask:
    """Experts that leave the routings of their layers, as `route` defines it."""

    points: tuple[Point, ...]
    replace: bool
    """Whether the next experts fill in."""
    zero: bool
    """Whether a token without any expert left gets none, instead of its unmasked routing."""


class Routing(NamedTuple):
    """Where each token goes, and what was done to it.

    scores [N, k] weigh the experts indices [N, k]. changed [N]: the routing is not the model's
    own. emptied [N]: nothing was left of the model's selection; what then happened is up to the
    kind.
    """

    scores: Tensor
    indices: Tensor
    changed: Tensor
    emptied: Tensor


class RouterLogits(Intervention):
    """Base of what changes routings."""

    mechanism: ClassVar[Mechanism] = "router_logits"

    @abstractmethod
    def rows(self, layers: Sequence[int], experts: int) -> Mapping[str, Tensor]:
        """The dose at every router: tensors [L, ...] by name, row i for the layer `layers[i]`.

        Rows that are all 0 do nothing. Every description of a class has the same names, shapes
        and types. Raises FieldError for what a model with these routers does not have.
        """

    @staticmethod
    @abstractmethod
    def routed(logits: Tensor, scores: Tensor, indices: Tensor, rows: TokenRows) -> Routing:
        """The routing of N tokens, given the model's own: logits [N, E], scores, indices [N, k].

        A token whose rows are all 0 has no intervention: it is returned bit for bit, and neither
        changed nor emptied. No branch may depend on a tensor's values.
        """

    def first_layer(self) -> int | None:
        """That of its first masked expert, where it is a mask."""
        mask = self.masked()
        if mask is None:
            return 0
        return min((layer for layer, _ in mask.points), default=None)

    def acts_in(self, layer: int) -> bool:
        """Whether an expert is masked there, where it is a mask."""
        mask = self.masked()
        return mask is None or any(at == layer for at, _ in mask.points)

    def masked(self) -> ExpertMask | None:
        """The same effect as a mask of experts; None where no mask has that effect.

        Engines whose forward pass is compiled apply masks, and refuse everything else.
        """
        return None


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


def spans(numbers: Sequence[int]) -> str:
    """Sorted integers as a person writes them: `0-3, 5, 7-8`, or `none`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "none"
