"""Requests of every kind of intervention, for models of the zoo."""

from __future__ import annotations

import torch

from harness.engines.contract import Request
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.residual import Condition, Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.sampling.chosen import SamplingRules
from tests.kinds.ablate import ablate
from tests.kinds.ban import Ban
from tests.kinds.clamp import Clamp

GREEDY = SamplingRules()
DRAWS = (
    SamplingRules(temperature=1.0, top_p=0.9),
    SamplingRules(temperature=1.3, top_k=20, min_p=0.02),
    SamplingRules(temperature=1.0, greedy_threshold=0.4),
)
_TEXTS = (
    "def add(a, b):\n    return",
    'def multiply(x, y):\n    """Multiply two numbers."""\n' * 8,  # several blocks of the cache
)


def vector(width: int, seed: int) -> Array:
    return Array(torch.randn(width, generator=torch.Generator().manual_seed(seed)))


def steerings(width: int) -> list[Intervention]:
    """Every rule of positions, site, schedule and condition."""
    one, other = vector(width, 5), vector(width, 6)
    cosine = Condition(kind="cosine", direction=other, threshold=0.02)
    probe = Condition(kind="probe", direction=other, threshold=0.5, bias=0.1)
    both = Term(layer=0, vector=one, alpha=2.0, site="mlp", positions="all")
    fading = {"schedule": "diminishing", "over": 6, "positions": "generated"}
    terms = [
        (Term(layer=1, vector=one, alpha=2.0),),
        (both, Term(layer=1, vector=one, alpha=-1.0, site="attention", **fading)),
        (
            Term(layer=1, vector=one, alpha=3.0, condition=cosine, positions="all"),
            Term(layer=1, vector=other, alpha=1.0, condition=probe, schedule="start_only"),
        ),
        (Term(layer=1, vector=one, alpha=1.0, schedule="given", given=(1.0, 0.0, 2.0, 0.5)),),
        (Term(layer=1, vector=_steps(width), alpha=1.0, schedule="given", given=(1.0,) * 3),),
        (Term(layer=0, vector=one, alpha=1.5, positions="prompt"),),
    ]
    return [Steering(terms=each) for each in terms]


def masks() -> list[Intervention]:
    """Both modes, light and heavy, with either rule for tokens that lose every expert."""
    light = tuple((layer, expert) for layer in range(4) for expert in range(0, 16, 3))
    heavy = tuple((layer, expert) for layer in range(4) for expert in range(12))
    return [
        RouterMask(points=light),
        RouterMask(points=light, mode="replace_topk"),
        RouterMask(points=heavy),
        RouterMask(points=heavy, on_empty="zero"),
        RouterMask(points=()),
    ]


def functions(config: object) -> list[Intervention]:
    """Two kinds' functions of hidden states, under every rule of positions."""
    return [
        ablate(config, 1.0),
        ablate(config, 8.0, layer=0, positions="prompt"),
        Clamp(layers=(0, 1), limit=0.02, positions="all"),
        Clamp(layers=(1,), limit=0.05, positions="generated"),
    ]


def interventions(
    config: object, *, logits: bool = True, eager: bool = True
) -> list[Intervention | None]:
    """Of every kind; functions of hidden states only for an eager engine.

    `logits` or without what changes these.
    """
    width: int = config.hidden_size  # type: ignore[attr-defined]
    own = masks() if hasattr(config, "num_experts") else []
    changes = [Ban(strength=0.5), Ban(first=1, strength=4.0)] if logits else []
    states = functions(config) if eager else []
    return [None, Steering(), *steerings(width), *own, *changes, *states]


def prompts(tokenizer: object) -> list[tuple[int, ...]]:
    return [tuple(tokenizer.encode(text)) for text in _TEXTS]  # type: ignore[attr-defined]


def requests(
    tokenizer: object, config: object, *, draws: bool = True, eager: bool = True
) -> list[Request]:
    """Every intervention, prompt and rule, in one queue; `draws` or as speculation takes them."""
    return [
        Request(prompt, 12 - 3 * number, each, sampling=rules, sample=str(number))
        for each in interventions(config, logits=draws, eager=eager)
        for number, prompt in enumerate(prompts(tokenizer))
        for rules in (GREEDY, *(DRAWS if draws else ()))
    ]


def _steps(width: int) -> Array:
    return Array(torch.randn(3, width, generator=torch.Generator().manual_seed(7)))
