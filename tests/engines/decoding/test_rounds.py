"""Decoding in rounds against dynamic activation composition written out step by step."""

from __future__ import annotations

import random
from contextlib import ExitStack

import pytest
import torch

from harness.engines.contract import Completion, Request, Stop
from harness.engines.decoding.rounds import in_rounds
from harness.engines.transformers import passes
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.dac.description import DAC, LayerDifference, Property
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.sampling.chosen import SamplingRules
from tests.engines.rounds_reference import (
    LAYERS,
    STEPS,
    WIDTH,
    assert_equal_to_reference,
    decoded,
    difference,
    one_property,
    prompts,
    run,
)


def test_every_architecture_decodes_as_the_reference(loaded):
    dac = DAC(properties=(one_property(),), top_p=0.6)
    own = prompts(2)
    completions = decoded(loaded, [Request(each, 5, dac, sample=str(each)) for each in own])
    for prompt, completion in zip(own, completions, strict=True):
        assert_equal_to_reference(loaded, completion, dac, prompt, 5)


@pytest.mark.parametrize(
    "dac",
    [
        DAC(properties=(one_property(), one_property(1, "two", site="block")), strongest=1.5),
        DAC(properties=(one_property(steps=None),), top_p=0.9),
        DAC(properties=(one_property(steps=3),), top_p=1.0),
        DAC(properties=(one_property(steps=3), one_property(2, "two", steps=5)), top_p=0.3),
    ],
    ids=["composed", "static", "ends-early", "ends-apart"],
)
def test_every_form_decodes_as_the_reference(moe, dac):
    (completion,) = decoded(moe, [Request(prompts(1)[0], 7, dac)])
    assert max(max(trace) for trace in completion.traces.values()) > 0
    assert_equal_to_reference(moe, completion, dac, prompts(1)[0], 7)


def test_a_batch_of_everything_equals_each_alone(moe):
    """Doses, properties and plain interventions in one call, on fewer slots than rows."""
    steering = Steering(terms=(Term(layer=1, vector=difference(7, None), alpha=2.0),))
    interventions = [
        None,
        steering,
        DAC(properties=(one_property(),)),
        DAC(properties=(one_property(),), strongest=0.5, top_p=0.9),
        DAC(properties=(one_property(), one_property(1, "two")), direction="steered_to_unsteered"),
        DAC(properties=(one_property(),)).neutral(),
    ]
    requests = [
        Request(prompt, 6, each, sample=str(number), sampling=SamplingRules(temperature=warmth))
        for each in interventions
        for number, prompt in enumerate(prompts(3))
        for warmth in (0.0, 1.0)
    ]
    order = random.Random(0).sample(range(len(requests)), len(requests))
    for slots in (None, 5):
        engine = TransformersEngine(moe, slots=slots)
        together = run(engine, [requests[at] for at in order])
        for at, completion in zip(order, together, strict=True):
            (alone,) = decoded(moe, [requests[at]], slots=3, drafts=False)
            assert completion.tokens == alone.tokens
            assert completion.text == alone.text
            assert completion.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-3)
            assert completion.traces.keys() == alone.traces.keys()
            for name, trace in completion.traces.items():
                assert trace == pytest.approx(alone.traces[name], abs=1e-3)


def test_fixed_shapes_decode_the_same(moe):
    requests = [Request(each, 5, DAC(properties=(one_property(),))) for each in prompts(2)]
    strict = decoded(moe, requests, determinism="strict", slots=2, columns=32)
    for own, fast in zip(strict, decoded(moe, requests), strict=True):
        assert own.tokens == fast.tokens
        assert own.traces["alpha one"] == pytest.approx(fast.traces["alpha one"], abs=1e-3)


def test_a_difference_of_nothing_is_never_dosed_and_changes_nothing(loaded):
    """Exactly: every dose is 0.0, not nearly."""
    nothing = Property(
        name="nothing",
        differences=(LayerDifference(layer=0, vector=Array(torch.zeros(STEPS, WIDTH))),),
    )
    own = prompts(2)
    still = decoded(loaded, [Request(each, 5, DAC(properties=(nothing,))) for each in own])
    baseline = decoded(loaded, [Request(each, 5) for each in own])
    beside = DAC(properties=(one_property(), nothing))
    composed = decoded(loaded, [Request(each, 5, beside) for each in own])
    alone = decoded(loaded, [Request(each, 5, DAC(properties=(one_property(),))) for each in own])
    for completions in zip(still, baseline, composed, alone, strict=True):
        unsteered, plain, both, one = completions
        assert unsteered.tokens == plain.tokens
        assert unsteered.traces["alpha nothing"] == (0.0,) * len(unsteered.tokens)
        assert both.tokens == one.tokens
        assert both.traces["alpha one"] == one.traces["alpha one"]


def test_neutral_is_the_baseline_and_asks_for_no_round(moe):
    dac = DAC(properties=(one_property(),)).neutral()
    own = [Request(each, 6, dac, sample=str(each)) for each in prompts(3)]
    engine, plain = TransformersEngine(moe), TransformersEngine(moe)
    neutral = run(engine, own)
    baseline = run(plain, [Request(each, 6, sample=str(each)) for each in prompts(3)])
    assert [each.tokens for each in neutral] == [each.tokens for each in baseline]
    assert [each.log_probabilities for each in neutral] == [
        each.log_probabilities for each in baseline
    ]
    assert engine.work.passes == plain.work.passes
    assert all(each.traces == {} for each in neutral)


@pytest.mark.parametrize("warmth", [0.0, 1.0])
def test_what_was_chosen_stays_chosen(moe, warmth):
    """The doses that came out, given to plain steering, make the same text, draws included."""
    dac = DAC(properties=(one_property(), one_property(1, "two", steps=3)), top_p=0.8)
    rules = SamplingRules(temperature=warmth, top_p=0.9)
    requests = [Request(each, 8, dac, rules, seed=3, sample=str(each)) for each in prompts(3)]
    for request, own in zip(requests, decoded(moe, requests), strict=True):
        alphas = [own.traces[f"alpha {each.name}"] for each in dac.properties]
        assert all(len(trace) == len(own.tokens) for trace in alphas)
        assert all(0 <= alpha <= dac.strongest for trace in alphas for alpha in trace)
        assert set(alphas[1][3:]) <= {0.0}
        given = Request(
            request.prompt, 8, dac.composed(alphas), rules, seed=3, sample=request.sample
        )
        (replayed,) = decoded(moe, [given])
        assert replayed.tokens == own.tokens
        assert replayed.log_probabilities == pytest.approx(own.log_probabilities, abs=1e-3)
        assert replayed.counts == own.counts


def test_an_edit_of_the_output_is_that_of_the_projections_input(tiny_model):
    """The method edits what the attention's output projection is given; it is linear."""
    loaded = tiny_model("llama")
    prompt = prompts(1)[0]
    deltas = [difference(20 + layer, None) for layer in range(LAYERS)]
    blocks = loaded.model.get_decoder().layers

    def before(layer):
        def hook(_module, inputs):
            edited = inputs[0].clone()
            edited[0, -1] += 0.75 * deltas[layer].tensor()
            return (edited,)

        return hook

    with ExitStack() as hooks, torch.inference_mode():
        for layer, block in enumerate(blocks):
            hooks.enter_context(block.self_attn.o_proj.register_forward_pre_hook(before(layer)))
        inside = loaded.model(torch.tensor([prompt]), use_cache=False).logits[0, -1].log_softmax(-1)
    images = [
        Array(block.self_attn.o_proj.weight @ own.tensor())
        for block, own in zip(blocks, deltas, strict=True)
    ]
    differences = tuple(
        LayerDifference(layer=layer, vector=image) for layer, image in enumerate(images)
    )
    composed = DAC(properties=(Property(name="x", differences=differences),)).composed([[0.75]])
    request = Request(prompt, 1, composed, distribution=True)
    (completion,) = decoded(loaded, [request])
    assert completion.distribution is not None
    assert torch.allclose(completion.distribution, inside, atol=1e-4)


def test_a_stop_string_may_span_rounds(moe):
    dac = DAC(properties=(one_property(),))
    (whole,) = decoded(moe, [Request(prompts(1)[0], 8, dac)])
    words = whole.text
    assert len(whole.tokens) == 8
    stop = words[len(words) // 2 - 3 : len(words) // 2 + 3]
    (cut,) = decoded(moe, [Request(prompts(1)[0], 8, dac, stop=Stop(strings=(stop,)))])
    assert cut.text == words[: words.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.tokens == whole.tokens[: len(cut.tokens)]
    assert len(cut.traces["alpha one"]) == len(cut.tokens) < 8


def test_a_stop_token_and_the_context_end_a_sequence(moe):
    dac = DAC(properties=(one_property(steps=3),))
    (whole,) = decoded(moe, [Request(prompts(1)[0], 8, dac)])
    stopped = Stop(tokens=frozenset(whole.tokens[4:5]))
    (cut,) = decoded(moe, [Request(prompts(1)[0], 8, dac, stop=stopped)])
    assert cut.finish_reason == "stop"
    assert cut.tokens == whole.tokens[: whole.tokens.index(whole.tokens[4]) + 1]
    long = prompts(1, length=moe.context - 2)[0]
    (short,) = decoded(moe, [Request(long, 8, dac)])
    assert short.finish_reason in {"length", "stop"}
    assert len(short.tokens) <= 2


def test_what_cannot_be_run_is_refused_and_the_others_go_on(moe):
    dac = DAC(properties=(one_property(),))
    wide = LayerDifference(layer=0, vector=Array(torch.ones(3, WIDTH + 1)))
    deep = LayerDifference(layer=9, vector=Array(torch.ones(3, WIDTH)))
    requests = [
        Request(prompts(1)[0], 4, dac, sample="good"),
        Request((), 4, dac, sample="empty"),
        Request(prompts(1)[0], 4, DAC(properties=(Property(name="w", differences=(wide,)),))),
        Request(prompts(1)[0], 4, DAC(properties=(Property(name="d", differences=(deep,)),))),
    ]
    good, empty, wide_one, deep_one = decoded(moe, requests)
    assert good.error is None
    assert len(good.tokens) == 4
    assert "the prompt is empty" in empty.error
    assert "shape [3, 33] at layer 0" in wide_one.error
    assert "there is no layer 9" in deep_one.error


def test_numbers_that_overflow_end_the_sequence_by_name(moe):
    huge = Property(
        name="huge",
        differences=(LayerDifference(layer=0, vector=Array(torch.full((WIDTH,), 3e38))),),
    )
    other = Request(prompts(1)[0], 4, DAC(properties=(one_property(),)))
    broken, fine = decoded(moe, [Request(prompts(1)[0], 4, DAC(properties=(huge,))), other])
    assert broken.finish_reason == "non_finite"
    assert len(broken.tokens) == len(broken.traces["alpha huge"]) == 0
    assert len(fine.tokens) == 4


def test_a_round_reads_one_token_for_each_row(moe, monkeypatch):
    """Nothing is read twice, with exactly as many slots as the sequences in flight need."""
    read = []
    forward = passes.Passes.forward

    def counted(self, tokens, positions, *arguments, **named):
        read.append(int((positions >= 0).sum()))
        return forward(self, tokens, positions, *arguments, **named)

    monkeypatch.setattr(passes.Passes, "forward", counted)
    own, steps = prompts(4, length=20), 10
    dac = DAC(properties=(one_property(steps=steps), one_property(1, "two", steps=steps)))
    requests = [Request(each, steps, dac, sample=str(each)) for each in own]
    completions = decoded(moe, requests, slots=4 * len(own))
    rows = sum(4 * len(each.tokens) for each in completions)
    least = rows + sum(len(each) - 1 for each in own)
    # In the first round a row may take over the slot of the one whose prompt it shares.
    assert least <= sum(read) <= least + len(own)


def test_conditions_that_agree_share_their_rows():
    asked = []

    def generate(requests):
        asked.append(len(requests))
        flat = torch.zeros(8).log_softmax(-1)
        for position, request in enumerate(requests):
            wanted = flat if request.distribution else None
            yield position, Completion((1,), "w", "length", (0.0,), distribution=wanted)

    conditions = [DAC(properties=(one_property(),), top_p=top_p) for top_p in (0.3, 0.6, 0.9)]
    queue = [(n, Request((1, 2), 2, each, sample="s")) for n, each in enumerate(conditions)]
    completions = dict(in_rounds(queue, generate, rows=99, context=99))
    # Two probes and one token in each round, for three sequences.
    assert asked == [2, 1, 2, 1]
    assert {each.traces["alpha one"] for each in completions.values()} == {(0.0, 0.0)}
    assert all(each.tokens == (1, 1) for each in completions.values())


def test_no_more_sequences_are_in_flight_than_rows_allow():
    widest = 0

    def generate(requests):
        nonlocal widest
        widest = max(widest, len({request.sample for request in requests}))
        flat = torch.zeros(8).log_softmax(-1)
        for position, request in enumerate(requests):
            wanted = flat if request.distribution else None
            yield position, Completion((1,), "w", "length", (0.0,), distribution=wanted)

    dac = DAC(properties=(one_property(),))
    queue = [(n, Request((1, 2), 1 + n % 3, dac, sample=str(n))) for n in range(7)]
    found = dict(in_rounds(queue, generate, rows=7, context=99))
    assert widest == 2
    assert [len(found[n].tokens) for n in range(7)] == [1 + n % 3 for n in range(7)]
