"""Usage of experts on zoo/moe, against gates worked out by hand and the identities of averages."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.transformers.engine import TransformersEngine
from harness.errors import TaskError
from harness.interventions.router_points import rank
from harness.measure.router_usage import measure_usage, reading_of, top_k_usage, usage_scores
from harness.models.loading import load
from harness.models.routers import router_shape
from harness.spec.usage_expression import parse
from harness.tasks.base import Reference
from harness.tasks.by_name import load as load_task
from harness.tasks.conversations import render
from harness.tasks.micro_humaneval import MicroHumanEval

STYLES = ("assisted", "agentic", "completion")
SAMPLES = 6
TOP_K = 2


def order_points(expression, engine, shape, task, samples):
    """All router points, as a spec's `usage` orders them."""
    return rank(usage_scores(expression, engine, shape, task, samples), shape.layers)


@cache
def loaded():
    return load("zoo/moe", device="cpu")


@cache
def task(name="micro_humaneval"):
    return load_task(name, limit=20)


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(loaded())


@pytest.fixture(scope="module")
def shape():
    return router_shape(loaded().model.config)


@pytest.fixture(scope="module")
def usage(engine, shape):
    """Usage of the first samples, by style."""
    samples = task().samples[:SAMPLES]
    return {style: measure_usage(engine, shape, task(), samples, style) for style in STYLES}


def by_hand(sample, style):
    """Usage [L, P, E] of one sample: no batch, no padding, the gates' linear maps written out.

    The answer's tokens come from encoding the reference in three pieces, which gives the same
    tokens: the zoo's tokenizer always separates at line breaks.
    """
    model, tokenizer = loaded().model, loaded().tokenizer
    reference = task().reference(sample)
    prompt = render(tokenizer, task().prompt(sample, style))
    opening, answer, closing = (
        tokenizer(part, add_special_tokens=False)["input_ids"]
        for part in (reference.opening, reference.answer, reference.closing)
    )
    first = len(prompt) + len(opening)
    filled = [first + i for i, token in enumerate(answer) if tokenizer.decode(token).strip()]
    seen = []
    hooks = [
        layer.mlp.gate.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for layer in model.model.layers
    ]
    try:
        with torch.no_grad():
            model(input_ids=torch.tensor([[*prompt, *opening, *answer, *closing]]))
    finally:
        for hook in hooks:
            hook.remove()
    usage = torch.zeros(len(seen), len(filled), 16, dtype=torch.float64)
    for row, (layer, hidden) in enumerate(zip(model.model.layers, seen, strict=True)):
        logits = hidden.reshape(-1, hidden.shape[-1])[filled] @ layer.mlp.gate.weight.detach().T
        for column, scores in enumerate(logits.double()):
            best = sorted(range(16), key=lambda e: -float(scores[e]))[:TOP_K]
            shares = torch.tensor([float(scores[e]) for e in best], dtype=torch.float64).exp()
            for expert, share in zip(best, shares / shares.sum(), strict=True):
                usage[row, column, expert] = share
    return usage


# Against an independent computation ---------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_averages_are_those_of_gates_worked_out_by_hand(usage, style):
    per_sample = [by_hand(sample, style) for sample in task().samples[:SAMPLES]]
    last = torch.stack([each[:, -1] for each in per_sample]).mean(dim=0)
    everything = torch.cat(per_sample, dim=1).mean(dim=1)
    torch.testing.assert_close(usage[style].last, last, atol=1e-4, rtol=0)
    torch.testing.assert_close(usage[style].all, everything, atol=1e-4, rtol=0)
    assert usage[style].samples == SAMPLES


# Identities ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("scope", ["last", "all"])
def test_an_average_shares_one_among_the_experts_of_each_layer(usage, style, scope):
    matrix = getattr(usage[style], scope)
    assert matrix.shape == (4, 16)
    assert matrix.min() >= 0
    assert matrix.max() <= 1
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("scope", ["last", "all"])
def test_a_difference_of_averages_sums_to_nothing_in_each_layer(usage, scope):
    difference = getattr(usage["agentic"], scope) - getattr(usage["assisted"], scope)
    assert difference.abs().max() > 0.01
    torch.testing.assert_close(
        difference.sum(dim=1), torch.zeros(4, dtype=torch.float64), atol=1e-12, rtol=0
    )


@settings(deadline=None)
@given(
    logits=st.lists(st.floats(-200, 200, width=32), min_size=8, max_size=8),
    top_k=st.integers(1, 8),
)
def test_a_tokens_usage_is_its_own_routing(logits, top_k):
    row = torch.tensor([logits])
    (usage,) = top_k_usage(row, top_k)
    assert usage.sum() == pytest.approx(1)
    assert usage.min() >= 0
    assert int((usage > 0).sum()) <= top_k
    # No expert outside the selection is more probable than one inside.
    outside, inside = row[0][usage == 0], row[0][usage > 0]
    if len(outside) and len(inside) == top_k:
        assert outside.max() <= inside.min() + 1e-12


def test_one_samples_last_position_uses_at_most_k_experts(engine, shape):
    usage = measure_usage(engine, shape, task(), task().samples[:1], "agentic")
    assert ((usage.last > 0).sum(dim=1) <= TOP_K).all()


# What it does not depend on -----------------------------------------------------------------------


def test_averages_do_not_depend_on_what_is_read_together(engine, shape, usage):
    """Sample by sample, weighted by positions, gives what one padded batch gives."""
    samples = task().samples[:SAMPLES]
    single = [measure_usage(engine, shape, task(), [sample], "agentic") for sample in samples]
    weights = [
        len(reading_of(engine.tokenizer, task(), sample, "agentic").capture.positions)
        for sample in samples
    ]
    everything = sum(w * each.all for w, each in zip(weights, single, strict=True)) / sum(weights)
    last = sum(each.last for each in single) / SAMPLES
    torch.testing.assert_close(usage["agentic"].all, everything, atol=1e-5, rtol=0)
    torch.testing.assert_close(usage["agentic"].last, last, atol=1e-5, rtol=0)


def test_averages_do_not_depend_on_the_order_of_samples(engine, shape, usage):
    reverse = measure_usage(engine, shape, task(), task().samples[:SAMPLES][::-1], "agentic")
    torch.testing.assert_close(reverse.all, usage["agentic"].all, atol=1e-5, rtol=0)
    torch.testing.assert_close(reverse.last, usage["agentic"].last, atol=1e-5, rtol=0)


def test_measuring_twice_gives_the_same_bits(engine, shape, usage):
    again = measure_usage(engine, shape, task(), task().samples[:SAMPLES], "assisted")
    assert torch.equal(again.all, usage["assisted"].all)
    assert torch.equal(again.last, usage["assisted"].last)


# Positions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["micro_humaneval", "micro_gsm8k"])
@pytest.mark.parametrize("style", STYLES)
def test_positions_are_exactly_the_answers_tokens_that_are_not_blank(name, style):
    tokenizer = loaded().tokenizer
    for sample in task(name).samples:
        reading = reading_of(tokenizer, task(name), sample, style)
        read = [tokenizer.decode(reading.tokens[at]) for at in reading.capture.positions]
        assert all(text.strip() for text in read)
        answer = task(name).reference(sample).answer
        assert "".join("".join(read).split()) == "".join(answer.split())
        assert list(reading.capture.positions) == sorted(set(reading.capture.positions))


@pytest.mark.parametrize("name", ["micro_humaneval", "micro_gsm8k"])
def test_every_style_is_read_at_the_same_tokens(name):
    for sample in task(name).samples:
        readings = [reading_of(loaded().tokenizer, task(name), sample, style) for style in STYLES]
        read = {tuple(each.tokens[at] for at in each.capture.positions) for each in readings}
        assert len(read) == 1
        assert len({each.tokens for each in readings}) == len(STYLES)


def test_prompt_and_reference_are_joined_without_a_gap():
    sample = task().samples[0]
    reading = reading_of(loaded().tokenizer, task(), sample, "assisted")
    text = loaded().tokenizer.decode(reading.tokens)
    assert text.endswith("<|im_start|>assistant\n" + task().reference(sample).text)


class Blank(MicroHumanEval):
    def reference(self, sample):
        return Reference("```python\n", "    \n", "\n```")


def test_an_answer_without_tokens_is_an_error(engine, shape):
    blank = Blank(task().samples)
    with pytest.raises(TaskError, match="MicroHumanEval/0: the reference answer has no tokens"):
        measure_usage(engine, shape, blank, blank.samples[:1], "assisted")


# Orderings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("avg_last_agentic", lambda usage: usage["agentic"].last),
        ("avg_all_completion", lambda usage: usage["completion"].all),
        (
            "avg_all_agentic - avg_all_assisted",
            lambda usage: usage["agentic"].all - usage["assisted"].all,
        ),
        (
            "avg_last_agentic - avg_all_agentic",
            lambda usage: usage["agentic"].last - usage["agentic"].all,
        ),
    ],
)
def test_an_ordering_is_every_point_by_its_score(engine, shape, usage, text, score):
    ordering = order_points(parse(text), engine, shape, task(), SAMPLES)
    scores = score(usage)
    values = [float(scores[layer, expert]) for layer, expert in ordering]
    assert sorted(ordering) == [(layer, expert) for layer in range(4) for expert in range(16)]
    assert values == sorted(values, reverse=True)


def test_a_difference_turned_round_is_the_ordering_turned_round(engine, shape):
    ordering, turned = (
        order_points(parse(text), engine, shape, task(), SAMPLES)
        for text in ("avg_all_agentic - avg_all_assisted", "avg_all_assisted - avg_all_agentic")
    )
    # Points that are used equally stay in (layer, expert) order both ways.
    assert ordering[:10] == turned[::-1][:10]


def test_more_samples_than_the_task_has_are_all_of_them(engine, shape):
    expression = parse("avg_all_agentic")
    three = load_task("micro_humaneval", limit=3)
    assert order_points(expression, engine, shape, three, 164) == order_points(
        expression, engine, shape, task(), 3
    )
