"""Steering in the engine against plain transformers: hooks on one sequence, without a cache."""

from __future__ import annotations

import math
import random
from contextlib import ExitStack

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.engines.contract import Capture, Reading, Request
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.residual import Condition, Term
from harness.interventions.steering.description import Steering

WIDTH = 32


def vector(seed: int, scale: float = 1.0) -> Array:
    generator = torch.Generator().manual_seed(seed)
    return Array(scale * torch.randn(WIDTH, generator=generator))


def prompts(count: int, seed: int = 0, longest: int = 12) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return [
        tuple(draw.randrange(1, 48) for _ in range(draw.randint(1, longest))) for _ in range(count)
    ]


def run(engine: TransformersEngine, requests: list[Request]) -> list:
    completions = dict(engine.generate(requests))
    return [completions[index] for index in range(len(requests))]


def dose(term: Term, prompt: int, position: int) -> float:
    """The definition in the docstring of `harness.interventions.steering.description`."""
    first = {"generated": prompt, "from_last_prompt_token": prompt - 1}.get(term.positions, 0)
    if position < first or (term.positions == "prompt" and position >= prompt):
        return 0.0
    step = max(0, position - (prompt if term.positions == "generated" else prompt - 1))
    if term.schedule == "given":
        return term.alpha * term.given[step] if step < len(term.given) else 0.0
    over = {"constant": math.inf, "start_only": 1, "diminishing": term.over}[term.schedule]
    return term.alpha * max(0.0, 1 - step / over)


def vector_at(term: Term, prompt: int, position: int) -> torch.Tensor:
    numbers = term.vector.tensor()
    if numbers.ndim == 1:
        return numbers
    step = max(0, position - (prompt if term.positions == "generated" else prompt - 1))
    return numbers[min(step, len(numbers) - 1)]


def fires(condition: Condition | None, hidden: torch.Tensor) -> bool:
    if condition is None:
        return True
    dot = float(hidden @ condition.direction.tensor())
    if condition.kind == "cosine":
        return dot / float(hidden.norm()) / condition.direction.norm > condition.threshold
    return 1 / (1 + math.exp(-(dot + condition.bias))) > condition.threshold


def reference_logits(loaded, steering: Steering, prompt: int, tokens: tuple[int, ...]):
    """Logits [T, V] of one sequence without a cache; every position is steered by itself."""
    decoder = loaded.model.get_decoder()

    def hook(terms):
        def add(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            steered = hidden.clone()
            for position in range(hidden.shape[1]):
                for term in terms:
                    if fires(term.condition, hidden[0, position]):
                        amount = dose(term, prompt, position)
                        steered[0, position] += amount * vector_at(term, prompt, position)
            return (steered, *output[1:]) if isinstance(output, tuple) else steered

        return add

    with ExitStack() as hooks, torch.inference_mode():
        for place in {(term.layer, term.site) for term in steering.terms}:
            layer, site = place
            block = decoder.layers[layer]
            module = {
                "block": block,
                "mlp": block.mlp,
                "attention": getattr(block, "self_attn", None) or getattr(block, "attention", None),
            }[site]
            terms = [term for term in steering.terms if (term.layer, term.site) == place]
            hooks.callback(module.register_forward_hook(hook(terms)).remove)
        return loaded.model(torch.tensor([tokens]), use_cache=False).logits[0]


def reference(loaded, request: Request) -> tuple[int, ...]:
    tokens = list(request.prompt)
    for _ in range(request.max_new_tokens):
        steering = request.intervention or Steering()
        logits = reference_logits(loaded, steering, len(request.prompt), tuple(tokens))
        tokens.append(int(logits[-1].argmax()))
        if tokens[-1] == 0:
            break
    return tuple(tokens[len(request.prompt) :])


@st.composite
def steerings(draw):
    def term():
        positions = draw(st.sampled_from(["all", "prompt", "generated", "from_last_prompt_token"]))
        schedules = ["constant"]
        if positions != "prompt":
            schedules += ["start_only", "diminishing"]
        if positions in ("generated", "from_last_prompt_token"):
            schedules += ["given"]
        schedule = draw(st.sampled_from(schedules))
        condition = None
        if draw(st.integers(0, 3)) == 0:
            kind = draw(st.sampled_from(["cosine", "probe"]))
            threshold = 0.05 if kind == "cosine" else 0.5
            condition = Condition(kind=kind, direction=vector(9), threshold=threshold, bias=0.1)
        seed = draw(st.integers(0, 3))
        given = ()
        numbers = vector(seed)
        if schedule == "given":
            given = tuple(draw(st.lists(st.sampled_from([-1.0, 0.0, 0.7]), min_size=1, max_size=9)))
            if draw(st.booleans()):
                numbers = Array(torch.stack([vector(seed + step).tensor() for step in range(9)]))
        return Term(
            layer=draw(st.integers(0, 1)),
            site=draw(st.sampled_from(["block", "attention", "mlp"])),
            vector=numbers,
            alpha=draw(st.sampled_from([-1.5, -0.3, 0.0, 0.4, 2.0])),
            positions=positions,
            schedule=schedule,
            over=draw(st.integers(1, 6)) if schedule == "diminishing" else None,
            given=given,
            condition=condition,
        )

    return Steering(terms=tuple(term() for _ in range(draw(st.integers(0, 3)))))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    many=st.lists(st.none() | steerings(), min_size=1, max_size=8),
    slots=st.integers(1, 5),
    drafts=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_batch_of_different_steerings_equals_uncached_decoding(moe, many, slots, drafts, seed):
    requests = [
        Request(prompt, 7, steering, sample=str(row % 3))
        for row, (prompt, steering) in enumerate(zip(prompts(len(many), seed), many, strict=True))
    ]
    engine = TransformersEngine(moe, slots=slots, drafts=drafts)
    completions = run(engine, requests)
    for request, completion in zip(requests, completions, strict=True):
        assert completion.tokens == reference(moe, request)


@pytest.mark.parametrize("site", ["block", "attention", "mlp"])
def test_every_architecture_is_steered_at_every_site(loaded, site):
    prompt = prompts(1, seed=3)[0]
    steered = Steering(terms=(Term(layer=1, site=site, vector=vector(1), alpha=3.0),))
    request = Request(prompt, 6, steered)
    (completion,) = run(TransformersEngine(loaded), [request])
    assert completion.tokens == reference(loaded, request)
    # The prompt's last token, and every generated one but the last, which is not read any more.
    assert completion.counts["steered"] == len(completion.tokens)


def test_neutral_is_the_baseline_in_a_mixed_batch(loaded):
    many = prompts(6, seed=5)
    strong = Steering(terms=(Term(layer=0, vector=vector(2), alpha=4.0, positions="all"),))
    zero = Steering(terms=(Term(layer=0, vector=vector(2), alpha=0.0, positions="all"),))
    engine = TransformersEngine(loaded, slots=12)
    baseline = run(engine, [Request(prompt, 8) for prompt in many])
    mixed = run(
        engine,
        [Request(prompt, 8, steering) for prompt in many for steering in (strong, zero, None)],
    )
    for index, expected in enumerate(baseline):
        steered, neutral, untouched = mixed[3 * index : 3 * index + 3]
        assert neutral.tokens == untouched.tokens == expected.tokens
        assert neutral.counts == {}
        assert steered.counts["steered"] > 0
    assert [c.tokens for c in mixed[::3]] != [c.tokens for c in baseline]


@pytest.mark.parametrize("alpha", [0.5, 2.0])  # terms are kept in the order of their doses, too
def test_a_condition_looks_at_the_state_before_any_term(moe, alpha):
    away = vector(2)
    pushed = Term(layer=0, vector=away, alpha=1e4 / away.norm, positions="all")
    is_pushed = Condition(kind="cosine", direction=away, threshold=0.99)
    both = (pushed, Term(layer=0, vector=away, alpha=alpha, positions="all", condition=is_pushed))
    (done,) = run(TransformersEngine(moe), [Request((1, 2, 3), 4, Steering(terms=both))])
    assert done.counts["steered"] == done.counts["steered_tokens"]


def test_one_prefill_serves_a_prompt_at_every_dose_on_generated_positions(moe):
    prompt = tuple(range(1, 41))
    doses = [
        Steering(terms=(Term(layer=0, vector=vector(2), alpha=a, positions="generated"),))
        for a in (0.5, 1.0, 2.0, 4.0)
    ]
    engine = TransformersEngine(moe, slots=4, drafts=False)
    requests = [Request(prompt, 6, steering, sample=str(i)) for i, steering in enumerate(doses)]
    completions = run(engine, requests)
    assert engine._stage.residents.reused_columns == 3 * (len(prompt) - 1)
    for request, completion in zip(requests, completions, strict=True):
        assert completion.tokens == reference(moe, request)


def test_a_changed_vector_never_reuses(moe):
    prompt = tuple(range(1, 41))
    one, other = (
        Steering(terms=(Term(layer=0, vector=v, alpha=2.0, positions="all"),))
        for v in (vector(2), vector(3))
    )
    engine = TransformersEngine(moe, slots=2, drafts=False)
    run(engine, [Request(prompt, 4, one)])
    request = Request(prompt, 4, other)
    (completion,) = run(engine, [request])
    assert engine._stage.residents.reused_columns == 0
    assert completion.tokens == reference(moe, request)


def test_reading_is_steered_as_decoding_is(moe):
    tokens = tuple(range(1, 15))
    steering = Steering(
        terms=(
            Term(layer=0, vector=vector(1), alpha=1.5),
            Term(layer=1, site="mlp", vector=vector(2), alpha=-1.0, positions="generated"),
        )
    )
    capture = Capture(token_log_probabilities=True, hidden_layers=(0, 1))
    engine = TransformersEngine(moe)
    ((_, steered),) = engine.forward([Reading(tokens, capture, steering, prompt=9)])
    ((_, plain),) = engine.forward([Reading(tokens, capture, None)])
    expected = reference_logits(moe, steering, 9, tokens).log_softmax(-1)
    scores = [expected[i - 1, token].item() for i, token in enumerate(tokens) if i]
    assert steered.token_log_probabilities[1:].tolist() == pytest.approx(scores, abs=1e-4)
    moved = steered.hidden[0] - plain.hidden[0]
    torch.testing.assert_close(
        moved[8:], (1.5 * vector(1).tensor()).expand(6, -1), atol=1e-5, rtol=0
    )
    assert moved[:8].abs().max() == 0, "positions before the rule's first one were touched"


def test_the_model_is_what_it_was_after_an_error(moe):
    steering = Steering(terms=(Term(layer=0, vector=vector(1), alpha=2.0),))
    engine = TransformersEngine(moe)

    def hooks():  # transformers keeps some of its own on a model that was once asked for states
        return [list(module._forward_hooks) for module in moe.model.modules()]

    own = hooks()
    with torch.inference_mode():
        before = moe.model(torch.tensor([[1, 2, 3]])).logits
    stream = engine.generate([Request((1, 2, 3), 6, steering) for _ in range(3)])
    next(stream)
    stream.close()
    with torch.inference_mode():
        after = moe.model(torch.tensor([[1, 2, 3]])).logits
    assert torch.equal(before, after)
    assert hooks() == own


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"layer": 2}, "there is no layer 2; the model's layers are 0-1"),
        ({"vector": Array([1.0, 2.0])}, r"a vector of shape \[2\] at layer 0, .* have 32 numbers"),
    ],
)
def test_what_the_model_does_not_have_is_refused_for_that_request_alone(moe, term, message):
    wrong = Steering(terms=(Term(**{"layer": 0, "vector": vector(1), "alpha": 1.0, **term}),))
    good = Steering(terms=(Term(layer=0, vector=vector(1), alpha=1.0),))
    refused, fine = run(
        TransformersEngine(moe), [Request((1, 2), 3, wrong), Request((1, 2), 3, good)]
    )
    assert refused.finish_reason == "error"
    import re

    assert re.search(message, refused.error)
    assert fine.error is None
