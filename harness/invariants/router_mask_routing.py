"""What routers decided and what reached the experts, observed beside whatever an engine does.

Shapes: N tokens of one sequence, E experts of a layer, k that each token selects. The router's own
decision is seen before any hook of an engine changes it, the final one where the experts receive
it; neither goes through the code that is being checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.engines.contract import Capture
from harness.errors import ModelError
from harness.interventions.router_mask.description import RouterMask
from harness.invariants.bench import Bench
from harness.models.routers import RouterSite, router_sites

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Observed:
    """One layer's routing of N tokens: logits [N, E]; scores and indices [N, k], own and final."""

    layer: int
    logits: Tensor
    own_scores: Tensor
    own_indices: Tensor
    scores: Tensor
    indices: Tensor

    def masked(self, mask: RouterMask) -> Tensor:
        """Which experts a mask takes out of this layer, [N, E] bool."""
        import torch

        masked = torch.zeros_like(self.logits, dtype=torch.bool)
        masked[:, [expert for layer, expert in mask.points if layer == self.layer]] = True
        return masked

    def own_masked(self, mask: RouterMask) -> Tensor:
        """Which of the own selection are masked, [N, k] bool."""
        return self.masked(mask).gather(1, self.own_indices)

    def weights(self, *, own: bool = False) -> Tensor:
        """The weight of every expert, [N, E] float64; 0 for those not selected."""
        import torch

        scores, indices = (
            (self.own_scores, self.own_indices) if own else (self.scores, self.indices)
        )
        weights = torch.zeros(self.logits.shape, dtype=torch.float64)
        return weights.scatter_add(1, indices, scores.double())


def observe(bench: Bench, mask: RouterMask | None, tokens: Sequence[int]) -> tuple[Observed, ...]:
    """The routing of every layer with a router while a sequence is read under a mask.

    Beside an engine whose modules are out of reach, it is what the model itself routes that is
    observed: what the engine counted, or left alone, is held against that.
    """
    key = ("routing", mask, tuple(tokens))
    if key not in bench.memory:
        own: dict[int, Any] = {}
        final: dict[int, Any] = {}
        with _watched(bench.loaded.model, own, final):
            bench.watched.read(tokens, Capture(), mask)
        bench.memory[key] = tuple(
            Observed(layer, *(part.detach().cpu() for part in (*own[layer], *final[layer])))
            for layer in bench.shape.layers
        )
    observed: tuple[Observed, ...] = bench.memory[key]
    return observed


@contextmanager
def _watched(model: Any, own: dict[int, Any], final: dict[int, Any]) -> Iterator[None]:
    """Hooks that only look. Set before an engine's, they see a router's decision unchanged."""
    hooks = []
    for site in router_sites(model):

        def keep_own(_module: Any, _inputs: Any, output: Any, layer: int = site.layer) -> None:
            own[layer] = tuple(part.clone() for part in output)

        def keep_final(_module: Any, inputs: Any, layer: int = site.layer) -> None:
            _, indices, scores = inputs
            final[layer] = scores.clone(), indices.clone()

        hooks.append(site.module.register_forward_hook(keep_own))
        hooks.append(_experts(model, site).register_forward_pre_hook(keep_final))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _experts(model: Any, site: RouterSite) -> Any:
    """The experts beside a router: called with (hidden states, indices, scores)."""
    for module in model.modules():
        if any(child is site.module for child in module.children()):
            return module.experts
    raise ModelError(f"layer {site.layer}: no block owns the router")


@contextmanager
def replaced_in_the_gate(model: Any, mask: RouterMask) -> Iterator[None]:
    """replace_topk as the router-masking study defines it, without our own code: by the logits.

    Masked logits become -1e9 before the top-k. The mass of the own selection is kept, which is 1
    where the model normalises its weights.
    """
    hooks = []
    for site in router_sites(model):
        masked = [expert for layer, expert in mask.points if layer == site.layer]

        def replace(_module: Any, _inputs: Any, output: Any, masked: list[int] = masked) -> Any:
            logits, scores, indices = output
            logits = logits.clone()
            logits[:, masked] = -1e9
            kept, chosen = logits.topk(indices.shape[1], dim=1)
            mass = scores.float().sum(1, keepdim=True)
            return logits, (kept.float().softmax(1) * mass).to(scores.dtype), chosen

        hooks.append(site.module.register_forward_hook(replace))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
