"""Readings in padded batches equal the model's own forward on each sequence alone."""

from __future__ import annotations

import weakref

import pytest
import torch

from harness.engines.contract import Capture, Reading
from harness.engines.transformers import reading as reading_module
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import RequestError
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering

SEQUENCES = [(1, 2, 3), (9,), (4, 5, 6, 7, 8, 9, 10, 11, 12, 13), (14, 15), (16, 17, 18, 19)]
EVERYTHING = Capture(router_logits=True, hidden_layers=(0, 1), token_log_probabilities=True)


def gate_logits(model, tokens):
    """The gates' logits by hand: their weights times the hidden state that each one reads."""
    seen = []
    hooks = [
        layer.mlp.register_forward_pre_hook(lambda m, args: seen.append((m, args[0])))
        for layer in model.model.layers
    ]
    with torch.no_grad():
        output = model(torch.tensor([tokens]), output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    gates = torch.stack([(hidden[0] @ mlp.gate.weight.detach().T) for mlp, hidden in seen])
    return output, gates


@pytest.mark.parametrize("batch_tokens", [1, 12, 4096])
def test_captures_equal_the_models_own_forward(moe, monkeypatch, batch_tokens):
    monkeypatch.setattr(reading_module, "_BATCH_TOKENS", batch_tokens)
    engine = TransformersEngine(moe)
    read = dict(engine.forward([Reading(tokens, EVERYTHING) for tokens in SEQUENCES]))
    assert sorted(read) == list(range(len(SEQUENCES)))
    for index, tokens in enumerate(SEQUENCES):
        output, gates = gate_logits(moe.model, tokens)
        activations = read[index]
        assert activations.router_logits.shape == (2, len(tokens), 8)
        torch.testing.assert_close(activations.router_logits, gates, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            activations.hidden[0], output.hidden_states[1][0], atol=1e-4, rtol=1e-4
        )
        scores = output.logits[0].log_softmax(-1)
        expected = [0.0] + [scores[i, t].item() for i, t in enumerate(tokens[1:])]
        assert activations.token_log_probabilities.tolist() == pytest.approx(expected, abs=1e-4)


def test_readings_are_streamed_in_bounded_memory(moe, monkeypatch):
    """No batch is read before it is asked for, and nothing of it stays once it was handed on."""
    monkeypatch.setattr(reading_module, "_BATCH_TOKENS", 16)
    batches = []

    def watch(module, inputs, output):
        batches.append(weakref.ref(output))

    hook = moe.model.model.layers[0].register_forward_hook(watch)
    kept = []
    try:
        sequences = [tuple(1 + (i + j) % 47 for j in range(8)) for i in range(20)]
        stream = TransformersEngine(moe).forward([Reading(s, EVERYTHING) for s in sequences])
        for done, (_, activations) in enumerate(stream):
            assert len(batches) == done // 2 + 1
            assert sum(batch() is not None for batch in batches) == 1
            kept.append(weakref.ref(activations.hidden[0]))
            del activations
            # `enumerate` still holds the latest.
            assert sum(share() is not None for share in kept) <= 1
    finally:
        hook.remove()
    assert len(batches) == 10
    assert not any(batch() is not None for batch in batches)


def test_only_the_positions_asked_for_come_back(moe):
    whole = Reading(SEQUENCES[2], EVERYTHING)
    some = Reading(SEQUENCES[2], Capture(router_logits=True, hidden_layers=(1,), positions=(2, 7)))
    read = dict(TransformersEngine(moe).forward([whole, some]))
    torch.testing.assert_close(read[1].router_logits, read[0].router_logits[:, [2, 7]])
    torch.testing.assert_close(read[1].hidden[1], read[0].hidden[1][[2, 7]])
    assert read[1].token_log_probabilities is None
    assert set(read[1].hidden) == {1}


@pytest.mark.parametrize("kind", ["qwen3_moe", "gemma3-mixed", "gpt_neox", "gpt_oss-mixed"])
def test_attentions_and_top_tokens_equal_the_models_own(tiny_model, kind):
    loaded = tiny_model(kind)
    capture = Capture(attention_layers=(0, 1), top_log_probabilities=3)
    before = loaded.model.config._attn_implementation
    read = dict(TransformersEngine(loaded).forward([Reading(t, capture) for t in SEQUENCES]))
    assert loaded.model.config._attn_implementation == before
    loaded.model.set_attn_implementation("eager")
    try:
        for index, tokens in enumerate(SEQUENCES):
            with torch.no_grad():
                output = loaded.model(torch.tensor([tokens]), output_attentions=True)
            for layer in (0, 1):
                own = read[index].attentions[layer]
                torch.testing.assert_close(own, output.attentions[layer][0], atol=1e-5, rtol=1e-4)
            top = output.logits[0].log_softmax(-1).topk(3)
            assert torch.equal(read[index].top_tokens, top.indices)
            torch.testing.assert_close(
                read[index].top_log_probabilities, top.values, atol=1e-4, rtol=1e-4
            )
    finally:
        loaded.model.set_attn_implementation(before)


def test_router_logits_are_those_before_the_mask(moe):
    """Masking layer 0 leaves layer 0's own gate logits as they were, and changes layer 1's."""
    mask = RouterMask(points=tuple((0, expert) for expert in range(6)))
    capture = Capture(router_logits=True)
    readings = [Reading(SEQUENCES[2], capture), Reading(SEQUENCES[2], capture, mask)]
    read = dict(TransformersEngine(moe).forward(readings))
    assert torch.equal(read[0].router_logits[0], read[1].router_logits[0])
    assert not torch.equal(read[0].router_logits[1], read[1].router_logits[1])


def test_impossible_readings_are_refused(moe):
    engine = TransformersEngine(moe)
    with pytest.raises(RequestError, match="reading 0 has 0 tokens; the model takes 1 to 64"):
        list(engine.forward([Reading((), Capture())]))
    with pytest.raises(RequestError, match=r"there is no layer 2; the model's layers are 0-1"):
        list(engine.forward([Reading((1,), Capture(hidden_layers=(2,)))]))


def test_a_vector_for_each_step_beside_one_for_all_changes_neither(tiny_model):
    """Tables grow for the first; what the others hold must be laid out for every step too."""
    loaded = tiny_model("llama")
    one = Array(torch.randn(32, generator=torch.Generator().manual_seed(0)))
    steps = Array(torch.randn(3, 32, generator=torch.Generator().manual_seed(1)))
    steerings = [
        Steering(terms=(Term(layer=0, vector=one, alpha=2.0, positions="all"),)),
        Steering(
            terms=(Term(layer=0, vector=steps, alpha=2.0, schedule="given", given=(1.0,) * 3),)
        ),
    ]
    capture = Capture(hidden_layers=(0,))
    readings = [Reading(SEQUENCES[2], capture, each, 2) for each in steerings]
    engine = TransformersEngine(loaded)
    together = dict(engine.forward(readings))
    for place, reading in enumerate(readings):
        ((_, alone),) = engine.forward([reading])
        assert torch.allclose(together[place].hidden[0], alone.hidden[0], atol=1e-5)
