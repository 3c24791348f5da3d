"""Identities of router masks on whole models, numbered as in the router-masking study's list.

N tokens, E experts, k selected per token; S0 is a token's own top-k, M the masked experts of its
layer, S' the selection under the mask. All are checked where the experts receive their tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from harness.interventions.router_logits import Point
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.router_points import random_points
from harness.invariants.bench import Bench
from harness.invariants.finding import Finding, first_violation
from harness.invariants.router_mask_routing import Observed, observe
from harness.models.routers import RouterShape

if TYPE_CHECKING:
    from torch import Tensor

# Relative error of weights: softmax in float32, stored in the model's own type.
_RELATIVE = {"torch.float32": 1e-4, "torch.bfloat16": 2e-2, "torch.float16": 4e-3}


def doses(shape: RouterShape) -> tuple[RouterMask, ...]:
    """Masks of both modes, light to heavy, that fit any model with routers.

    Each concerns every layer, first and last expert included, so that what is off by one is seen.
    """
    experts, layers = range(shape.experts), shape.layers
    points = random_points(layers, shape.experts, seed=0)
    quarter = points[: len(points) // 4] + tuple(
        (layer, expert) for layer in layers for expert in (0, shape.experts - 1)
    )
    # A whole layer, whose tokens lose all their experts, and half of every other one.
    heavy = points[: len(points) // 2] + tuple((layers[0], expert) for expert in experts)
    room = shape.experts - shape.top_k
    full = [point for layer in layers for point in [p for p in points if p[0] == layer][:room]]
    few = [point for layer in layers for point in [p for p in quarter if p[0] == layer][:room]]
    masks = (
        RouterMask(points=quarter),
        RouterMask(points=heavy),
        RouterMask(points=heavy, on_empty="zero"),
        RouterMask(points=few, mode="replace_topk"),
        RouterMask(points=full, mode="replace_topk"),
    )
    return tuple(mask for mask in masks if mask.points)


def unhit_token_keeps_every_bit(bench: Bench) -> Finding:
    """S0 and M disjoint: the token's experts and weights are its own, bit for bit.

    Identities 1 and 2. The study holds 2 for normalised weights only; here a token keeps the mass
    that the model routed, so that it holds for every model.
    """

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        hit = seen.own_masked(mask).any(1)
        return ~hit & _differs(seen)

    return _tokens(bench, check, "its routing changed, though no masked expert was in it")


def masked_expert_gets_no_weight(bench: Bench) -> Finding:
    """No weight reaches a masked expert, but for tokens whose selection was masked as a whole.

    Identities 4 and 5: the support of either mode lies in the complement of M, and the fallback is
    the only exception.
    """
    import torch

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        leaked = (seen.weights() * seen.masked(mask)).any(1)
        exempt = torch.zeros_like(leaked)
        if mask.on_empty == "fallback":
            exempt = _emptied(mask, seen)
        return leaked & ~exempt

    return _tokens(bench, check, "a masked expert has weight")


def keep_restricts_and_rescales(bench: Bench) -> Finding:
    """keep: the weights are the token's own, restricted to S0 without M and rescaled.

    Identity 3: ratios of survivors are preserved. Rescaled to the mass that the model routed.
    """

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        own = seen.weights(own=True)
        left = own * ~seen.masked(mask)
        scale = own.sum(1, keepdim=True) / left.sum(1, keepdim=True)
        wrong = _far(bench, seen.weights(), left * scale).any(1)
        # Nothing survives, or only what has no weight in this precision: another identity's case.
        return wrong & (left.sum(1) > 1e-6 * own.sum(1))

    return _tokens(bench, check, "weights are not the own ones rescaled", mode="keep_topk")


def replace_fills_up(bench: Bench) -> Finding:
    """replace: S' is the top-k of what is not masked, and its weights are in their logits' ratios.

    Identity 4. Where equal logits compete for the last place, either may win.
    """
    import torch

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        left = seen.logits.double().masked_fill(seen.masked(mask), -torch.inf)
        k = seen.indices.shape[1]
        best = left.topk(k, dim=1).values
        chosen = left.gather(1, seen.indices)
        wrong = (chosen.sort(dim=1, descending=True).values != best).any(1)
        mass = seen.own_scores.double().sum(1, keepdim=True)
        weights = chosen.softmax(1) * mass
        return wrong | _far(bench, seen.scores.double(), weights).any(1)

    return _tokens(bench, check, "it is not the top-k of the rest", mode="replace_topk")


def replace_selects_what_remains(bench: Bench) -> Finding:
    """Where k experts are left, replace selects exactly these, for every token.

    Identity 7.
    """
    shape = bench.shape
    full = [
        mask
        for mask in masks(bench)
        if mask.mode == "replace_topk"
        and len(mask.points) == len(shape.layers) * (shape.experts - shape.top_k)
    ]

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        rest = (~seen.masked(mask)[0]).nonzero()[:, 0]
        return (seen.indices.sort(dim=1).values != rest).any(1)

    return _tokens(bench, check, "not all that remain are selected", only=full)


def keep_chooses_among_what_replace_chooses(bench: Bench) -> Finding:
    """The support of keep lies in that of replace, where anything of S0 survives.

    Identity 5. Masks of one layer at a time, so that both see the same tokens.
    """

    def problems() -> Iterator[str | None]:
        for layer in bench.shape.layers:
            points = [p for p in few(bench).points if p[0] == layer]
            for number, tokens in enumerate(bench.prompts):
                keep, fill = (
                    _layer(observe(bench, RouterMask(points=points, mode=mode), tokens), layer)
                    for mode in ("keep_topk", "replace_topk")
                )
                survives = ~keep.own_masked(few(bench)).all(1)
                outside = (keep.weights() != 0) & (fill.weights() == 0)
                wrong = survives & outside.any(1)
                yield _problem(number, layer, wrong, "keep selects what replace does not")

    return first_violation(problems(), "layers of prompts")


def wholly_masked_falls_back(bench: Bench) -> Finding:
    """S0 within M: keep leaves the token its own routing bit for bit, or no expert at all.

    Identity 6, for on_empty fallback and zero.
    """

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        emptied = _emptied(mask, seen)
        wrong = seen.scores.any(1) if mask.on_empty == "zero" else _differs(seen)
        return emptied & wrong

    return _tokens(bench, check, "a wholly masked token is neither itself nor empty")


def weights_keep_the_mass(bench: Bench) -> Finding:
    """Weights are finite, and sum to what the model routed: 1 where it normalises.

    Identity 12: never 0/0.
    """

    def check(mask: RouterMask, seen: Observed) -> Tensor:
        mass = seen.own_scores.double().sum(1)
        if mask.on_empty == "zero":
            mass = mass.masked_fill(_emptied(mask, seen), 0)
        total = seen.scores.double().sum(1)
        return _far(bench, total, mass) | ~total.isfinite()

    return _tokens(bench, check, "the weights do not sum to the routed mass")


def _tokens(
    bench: Bench,
    check: Callable[[RouterMask, Observed], Tensor],
    problem: str,
    *,
    mode: str | None = None,
    only: list[RouterMask] | None = None,
) -> Finding:
    """Check every token of every prompt in every layer; `check` says which are wrong, [N]."""
    chosen = [mask for mask in only or masks(bench) if mode in {None, mask.mode}]

    def problems() -> Iterator[str | None]:
        for mask in chosen:
            for number, tokens in enumerate(bench.prompts):
                for seen in observe(bench, mask, tokens):
                    wrong = check(mask, seen)
                    yield _problem(number, seen.layer, wrong, f"{mask.mode}: {problem}")

    return first_violation(problems(), "layers of prompts under masks")


def _problem(prompt: int, layer: int, wrong: Tensor, problem: str) -> str | None:
    """The first wrong token in words."""
    if not wrong.any():
        return None
    token = int(wrong.nonzero()[0, 0])
    return f"prompt {prompt}, layer {layer}, token {token}: {problem}"


def masks(bench: Bench) -> list[RouterMask]:
    """The masks among a bench's doses."""
    return [dose for dose in bench.doses if isinstance(dose, RouterMask)]


def few(bench: Bench) -> RouterMask:
    """A mask that both modes allow."""
    return next(mask for mask in masks(bench) if mask.mode == "replace_topk")


def _layer(observed: tuple[Observed, ...], layer: int) -> Observed:
    return next(seen for seen in observed if seen.layer == layer)


def _emptied(mask: RouterMask, seen: Observed) -> Tensor:
    """Tokens that the mask leaves without any expert, [N]."""
    import torch

    if mask.mode == "replace_topk":
        return torch.zeros(len(seen.logits), dtype=torch.bool)
    return seen.own_masked(mask).all(1)


def _differs(seen: Observed) -> Tensor:
    """Tokens whose final routing is not the own one bit for bit, [N]."""
    scores = (seen.scores != seen.own_scores).any(1)
    return scores | (seen.indices != seen.own_indices).any(1)


def _far(bench: Bench, own: Tensor, expected: Tensor) -> Tensor:
    """Where numbers part by more than their precision explains; NaN is far from everything."""
    relative = _RELATIVE.get(str(bench.loaded.model.dtype), 1e-4)
    return ~((own - expected).abs() <= relative * expected.abs() + 1e-6)


def points_of(bench: Bench, layer: int) -> tuple[Point, ...]:
    """The points of the heaviest mask in one layer."""
    heaviest = max(masks(bench), key=lambda mask: len(mask.points))
    return tuple(point for point in heaviest.points if point[0] == layer)
