"""Identities of steering: linear at its place, nothing before it, and doses that add up.

Vectors are random and long, so that every dose changes something in any model: they are scaled to
the hidden states that they are added to. Sources are the identities of steering by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.engines.contract import Activations, Capture
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.interventions.steering_terms import Positions
from harness.invariants.bench import Bench, named
from harness.invariants.family import Family
from harness.invariants.finding import Finding, equal, first_violation
from harness.models.sites import hidden_shape

_ALPHA = 6.0
# Of the largest state. Measured on zoo/moe: 7e-8, where the steered positions differ by 0.2 to 1.
_ROUNDING = 1e-5


def doses(config: Any) -> tuple[Steering, ...]:
    """One dose for each site and rule of positions, and one of two layers."""
    layers, width = hidden_shape(config)
    middle, last = layers // 2, layers - 1
    one, other = _vector(width, 0), _vector(width, 1)
    return (
        Steering(terms=(Term(layer=middle, vector=one, alpha=_ALPHA),)),
        Steering(terms=(Term(layer=0, site="mlp", vector=one, alpha=_ALPHA, positions="all"),)),
        Steering(
            terms=(
                Term(layer=0, site="attention", vector=one, alpha=-_ALPHA, positions="prompt"),
                Term(layer=last, vector=other, alpha=_ALPHA, positions="generated"),
            )
        ),
        Steering(
            terms=(Term(layer=middle, vector=other, alpha=_ALPHA, schedule="diminishing", over=4),)
        ),
    )


def effect_is_alpha_times_the_vector(bench: Bench) -> Finding:
    """At the steered place h(alpha) - h(0) = alpha v on the rule's positions, and 0 on others.

    Identity 3.
    """
    rules: tuple[Positions, ...] = ("all", "prompt", "generated", "from_last_prompt_token")

    def problems() -> Iterator[str | None]:
        for positions in rules:
            for alpha in (_ALPHA, -0.5 * _ALPHA):
                yield _difference(bench, positions, alpha)

    return first_violation(problems(), "rules and doses")


def _difference(bench: Bench, positions: Positions, alpha: float) -> str | None:
    import torch

    layers, width = hidden_shape(bench.loaded.model.config)
    layer, vector, prompt = layers // 2, _vector(width, 2), bench.prompts[0]
    boundary = len(prompt) - 3
    steering = Steering(terms=(Term(layer=layer, vector=vector, alpha=alpha, positions=positions),))
    capture = Capture(hidden_layers=(layer,))
    moved = (
        bench.read(prompt, capture, steering, prompt=boundary).hidden[layer]
        - bench.read(prompt, capture).hidden[layer]
    )
    expected = torch.zeros_like(moved)
    first = {"generated": boundary, "from_last_prompt_token": boundary - 1}.get(positions, 0)
    end = boundary if positions == "prompt" else len(prompt)
    expected[first:end] = alpha * vector.tensor()
    # Adding to a large state rounds the sum, so that the difference is off by its last bits.
    size = float(bench.read(prompt, capture).hidden[layer].abs().max()) + abs(alpha)
    wrong = (moved - expected).abs().amax(1) > bench.rounding * size
    if wrong.any():
        token = int(wrong.nonzero()[0])
        return f"{positions}, alpha {alpha:g}: token {token} of {len(prompt)} is not alpha times v"
    return None


def earlier_layers_and_positions_unchanged(bench: Bench) -> Finding:
    """Layers before the steered one keep every bit; in it and after it, so do earlier positions.

    After it, where there are experts, they keep their values up to rounding: experts multiply their
    tokens in groups, the steered tokens change which group is how large, and that the last bits.
    Identity 3.
    """
    layers, width = hidden_shape(bench.loaded.model.config)
    prompt = bench.prompts[0]
    capture = Capture(hidden_layers=tuple(range(layers)))
    boundary = len(prompt) - 3
    baseline = bench.read(prompt, capture)

    def problems() -> Iterator[str | None]:
        for layer in range(layers):
            term = Term(layer=layer, vector=_vector(width, 3), alpha=_ALPHA)
            own = bench.read(prompt, capture, Steering(terms=(term,)), prompt=boundary)
            yield _touched(own, baseline, layer, boundary - 1)

    return first_violation(problems(), "layers")


def _touched(own: Activations, baseline: Activations, layer: int, first: int) -> str | None:
    import torch

    for index, states in own.hidden.items():
        upto = len(states) if index < layer else first
        kept, changed = baseline.hidden[index][:upto], states[:upto]
        rounding = _ROUNDING * float(kept.abs().max()) if index > layer else 0.0
        if not torch.allclose(changed, kept, rtol=0.0, atol=rounding):
            return f"steering layer {layer} from token {first} on changed layer {index} before it"
    return None


def doses_add_up(bench: Bench) -> Finding:
    """Alpha v twice is 2 alpha v once, and alpha v is (alpha / 4) (4 v).

    Identity 4.
    """
    layers, width = hidden_shape(bench.loaded.model.config)
    vector = _vector(width, 4)
    longer = Array(4 * vector.tensor())

    def steering(*parts: tuple[float, Array]) -> Steering:
        layer = layers // 2
        return Steering(terms=tuple(Term(layer=layer, vector=v, alpha=a) for a, v in parts))

    whole = steering((_ALPHA, vector))
    same = (
        steering((_ALPHA / 2, vector), (_ALPHA / 2, vector)),
        steering((_ALPHA / 4, longer)),
        steering((-_ALPHA, Array(-vector.tensor()))),
    )
    return equal(
        (
            (named(request), bench.alone(request), bench.alone(expected))
            for other in same
            for request, expected in zip(bench.requests(other), bench.requests(whole), strict=True)
        ),
        tolerance=bench.rounding,
        counts=False,
    )


def _vector(width: int, seed: int) -> Array:
    import torch

    return Array(torch.randn(width, generator=torch.Generator().manual_seed(seed)))


FAMILY = Family(
    "steering",
    doses=doses,
    own=(
        effect_is_alpha_times_the_vector,
        earlier_layers_and_positions_unchanged,
        doses_add_up,
    ),
)
