"""Requests that differ in every dimension that an engine distinguishes, and some in one alone.

Whoever keys, shares or keeps what belongs to a request may forget a dimension: which layer or
expert is masked, in which mode, what happens to emptied tokens, where, when and how much is
steered, in which direction a condition looks. So every base intervention here has siblings that
differ from it in exactly one of these. Drawn from a seed; for models of `harness.invariants`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from harness.engines.contract import Capture, Reading, Request, Scoring, Stop
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.residual import Condition, Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.models.routers import has_routers, router_shape
from harness.sampling.chosen import SamplingRules

RULES = (
    SamplingRules(),
    SamplingRules(temperature=1.0, top_p=0.8),
    SamplingRules(temperature=1.4, top_k=12, min_p=0.02),
    SamplingRules(temperature=0.8, greedy_threshold=0.3),
)
_SITES = ("block", "attention", "mlp")
# Which of `prompts` the two requests of an intervention have: most share a prefix.
_PAIRS = ((0, 1), (2, 3), (4, 2), (3, 4))


def masks(config: Any, draw: random.Random) -> Iterator[RouterMask]:
    """Sparse, heavy and whole layers, other experts in every layer; then one change at a time."""
    shape = router_shape(config)
    experts = range(shape.experts)
    few = {layer: draw.sample(experts, 2) for layer in shape.layers}
    many = {layer: draw.sample(experts, shape.experts - shape.top_k) for layer in shape.layers}
    whole = dict(few) | {shape.layers[-1]: list(experts)}
    for chosen in (few, many, whole):
        base = RouterMask(points=_points(chosen))
        yield base
        yield base.model_copy(update={"mode": "replace_topk"})
        yield base.model_copy(update={"on_empty": "zero"})
        yield base.model_copy(update={"mode": "replace_topk", "on_empty": "zero"})
    yield RouterMask(points=())
    first, last = shape.layers[0], shape.layers[-1]
    yield RouterMask(points=_points(many | {first: many[last], last: many[first]}))
    yield RouterMask(points=_points(many)[1:])
    yield RouterMask(points=_points({last: many[last]}), mode="replace_topk")


def steerings(config: Any, draw: random.Random) -> Iterator[Steering]:
    """Every place, rule and schedule; then one change at a time."""
    width, layers = config.hidden_size, config.num_hidden_layers
    one, other = (_vector(width, draw) for _ in range(2))
    base: dict[str, Any] = {"layer": 1, "vector": one, "alpha": 1.5, "positions": "all"}
    yield Steering()
    yield _steered(base)
    for change in (
        {"vector": other},
        {"alpha": -0.7},
        *({"layer": layer} for layer in range(layers) if layer != 1),
        *({"site": site} for site in _SITES[1:]),
        {"positions": "prompt"},
        {"positions": "generated"},
        {"positions": "from_last_prompt_token"},
    ):
        yield _steered(base | change)
    later = base | {"positions": "from_last_prompt_token"}
    for change in (
        {"schedule": "start_only"},
        {"schedule": "diminishing", "over": 2},
        {"schedule": "diminishing", "over": 4},
        {"schedule": "diminishing", "over": 4, "positions": "generated"},
        {"schedule": "given", "given": (1.0, 0.0, -0.5)},
        {"schedule": "given", "given": (1.0, 0.0, 2.0, 1.0)},
        {"schedule": "given", "given": (1.0, 1.0), "vector": _vector(width, draw, 2)},
        {"schedule": "given", "given": (1.0, 1.0, 1.0), "vector": _vector(width, draw, 3)},
    ):
        yield _steered(later | change)
    for kind, threshold in (("cosine", 0.05), ("probe", 0.5)):
        gate = {"kind": kind, "direction": other, "threshold": threshold, "bias": 0.25}
        for changed in (
            gate,
            gate | {"direction": _vector(width, draw)},
            gate | {"threshold": threshold + 0.1},
            gate | {"bias": -3.0},  # a cosine has none
        ):
            yield _steered(base | {"condition": Condition(**changed)})
        for place in ({"layer": layers - 1}, {"site": "mlp"}):  # the same condition elsewhere
            yield _steered(base | place | {"condition": Condition(**gate)})
    # Several at one place, of which some have a condition, and at several places.
    gated = Condition(kind="probe", direction=one, threshold=0.5)
    crossed = Condition(kind="probe", direction=other, threshold=0.5)
    for alpha in (3.0, -3.0):  # each would decide the other's condition, if it came first
        yield _steered(
            base | {"alpha": alpha, "condition": crossed},
            base | {"alpha": alpha, "condition": gated, "vector": other},
        )
    yield _steered(
        base | {"vector": other, "condition": gated},
        later | {"alpha": 0.5, "schedule": "diminishing", "over": 3},
        base | {"layer": layers - 1, "site": "mlp", "vector": other, "positions": "generated"},
    )
    yield _steered(base, base | {"vector": other, "alpha": -1.0}, base | {"site": "attention"})


def interventions(config: Any, seed: int = 0) -> list[Intervention | None]:
    """None, and all of the above."""
    draw = random.Random(seed)
    own = list(masks(config, draw)) if has_routers(config) else []
    return [None, *own, *steerings(config, draw)]


def prompts(vocabulary: int, seed: int = 0) -> list[tuple[int, ...]]:
    """Short ones; two that share more than a block of either engine's cache; one that fills it."""
    draw = random.Random(seed)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(1, vocabulary - 1) for _ in range(count))

    shared = tokens(131)
    return [tokens(3), tokens(22), shared + tokens(5), shared + tokens(11), shared[:126]]


def requests(config: Any, seed: int = 0) -> list[Request]:
    """Every intervention on two prompts of five, greedy and drawn, some of them continued.

    At the end some come again, right behind each other: they share what was read of their prompt.
    Then, in every slot of a small engine, doses of many steps are followed by doses of few; and
    prompts of one token by others, so that masks change between passes of as many tokens.
    """
    draw = random.Random(seed)
    texts = prompts(config.vocab_size, seed)
    queue = []
    for number, each in enumerate(interventions(config, seed)):
        for turn in range(2):
            prompt = texts[_PAIRS[number % len(_PAIRS)][turn]]
            queue.append(
                Request(
                    prompt,
                    draw.randint(2, 6),
                    each,
                    sampling=RULES[(number + turn) % len(RULES)] if turn else RULES[0],
                    stop=Stop(tokens=frozenset(draw.sample(range(config.vocab_size - 1), 5))),
                    seed=draw.randrange(3),
                    sample=f"sample {prompt[-1]}",
                    draw=draw.randrange(3),
                    continued=draw.choice((0, 0, 2)),
                )
            )
    shuffled = draw.sample(queue, len(queue))
    steered = [each for each in shuffled if isinstance(each.intervention, Steering)]
    routed = [each for each in shuffled if isinstance(each.intervention, RouterMask)]
    again, masked_again = (
        [replace(each, draw=7) for each in some[::4] for _ in range(2)]
        for some in (steered, routed)
    )
    given = sorted(
        (each.intervention for each in steered if each.intervention.terms[0:1]),
        key=lambda intervention: len(intervention.terms[0].given),
    )
    short = next(each for each in given if each.terms[0].given)
    stepped = [
        Request((*texts[0][:-1], number), 6, intervention)
        for intervention in (given[-1], short)
        for number in range(1, 9)
    ]
    masked = [each for each in interventions(config, seed) if isinstance(each, RouterMask)]
    single = [
        Request((number,), 2 + number % 3, each)
        for number, each in enumerate([*masked, None, *masked, None], start=1)
    ]
    return [*shuffled, *again, *stepped, *single, *masked_again]


def readings(config: Any, seed: int = 1) -> list[Reading]:
    """Every intervention, none of `requests`' own, read at other layers, sites and positions."""
    draw = random.Random(seed)
    texts = prompts(config.vocab_size, seed)
    layers = range(config.num_hidden_layers)
    found = []
    for number, each in enumerate(interventions(config, seed)):
        tokens = texts[number % len(texts)] + texts[1][: number % 4]
        capture = Capture(
            router_logits=has_routers(config) and number % 3 == 0,
            hidden_layers=tuple(sorted(draw.sample(layers, 1 + number % 2))),
            hidden_site=_SITES[number % 3],
            token_log_probabilities=number % 4 != 3,
            positions=None if number % 2 else (0, len(tokens) - 1),
        )
        found.append(Reading(tokens, capture, each, len(tokens) - number % 3))
    return found


def scorings(config: Any, seed: int = 2) -> list[Scoring]:
    """Every intervention on several continuations, some alike, of one token or of none.

    Contexts are empty, part of each other, partly generated; some are asked again with other
    continuations.
    """
    draw = random.Random(seed)
    texts = [(), *prompts(config.vocab_size, seed)]
    found = []
    for number, each in enumerate(interventions(config, seed)):
        context = texts[number % len(texts)]
        shared = tuple(draw.randrange(1, config.vocab_size) for _ in range(9))
        continuations = (
            shared,
            shared[:1],
            (),
            (*shared[:4], draw.randrange(1, config.vocab_size)),
            (draw.randrange(config.vocab_size),),
        )
        continued = draw.choice((0, 0, min(2, len(context))))
        found.append(Scoring(context, continuations[: 1 + number % 5], each, continued))
        if number % 4 == 0:
            found.append(Scoring(context, (*continuations[::-2], shared), each, continued))
    return draw.sample(found, len(found))


def _points(chosen: dict[int, list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((layer, expert) for layer in sorted(chosen) for expert in sorted(chosen[layer]))


def _steered(*terms: dict[str, Any]) -> Steering:
    return Steering(terms=tuple(Term(**term) for term in terms))


def _vector(width: int, draw: random.Random, steps: int | None = None) -> Array:
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    return Array(torch.randn(*([] if steps is None else [steps]), width, generator=generator))
