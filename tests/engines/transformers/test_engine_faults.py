"""What goes wrong on the way ends its own request, and leaves the engine usable."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig, Qwen3NextConfig

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import ModelError
from harness.interventions.router_mask.description import RouterMask
from harness.models.loading import LoadedModel
from tests.engines.transformers.small_requests import alone, assert_equal, prompts, run


@pytest.mark.parametrize("fail_at", [1, 2, 5, 9])
def test_out_of_memory_halves_the_batch_and_loses_nothing(moe, fail_at):
    requests = [
        Request(prompt, 12, RouterMask(points=((0, 1), (1, 2))), sample=str(i))
        for i, prompt in enumerate(prompts(10))
    ]
    expected = run(TransformersEngine(moe, slots=8, drafts=False), requests)
    passes = itertools.count(1)

    def fail_once(module, inputs, kwargs):
        if next(passes) == fail_at:
            raise torch.OutOfMemoryError("planted")

    hook = moe.model.register_forward_pre_hook(fail_once, with_kwargs=True)
    engine = TransformersEngine(moe, slots=8, drafts=False)
    try:
        with pytest.warns(RuntimeWarning, match="with 8 sequences at once; going on with 4"):
            completions = run(engine, requests)
    finally:
        hook.remove()
    for completion, reference in zip(completions, expected, strict=True):
        assert_equal(completion, reference)


def test_out_of_memory_with_one_sequence_is_an_error(moe):
    def fail(module, inputs, kwargs):
        raise torch.OutOfMemoryError("planted")

    hook = moe.model.register_forward_pre_hook(fail, with_kwargs=True)
    try:
        with pytest.raises(torch.OutOfMemoryError), pytest.warns(RuntimeWarning):
            run(TransformersEngine(moe, slots=2), [Request((1, 2), 3)] * 2)
    finally:
        hook.remove()


@pytest.mark.parametrize("finished", [1, 2, 4])
def test_cancelling_in_the_middle_leaves_the_engine_usable(moe, finished):
    requests = [Request(p, 10, RouterMask(points=((0, 1),))) for p in prompts(6)]
    engine = TransformersEngine(moe, slots=3)
    stream = engine.generate(requests)
    for _ in range(finished):
        next(stream)
    stream.close()
    for request, completion in zip(requests, run(engine, requests), strict=True):
        assert_equal(completion, alone(moe, request))


def test_hooks_are_gone_afterwards_and_after_an_error(moe):
    tokens = torch.tensor([prompts(1)[0]])
    # transformers' own hooks stay where outputs were once recorded.
    hooks = [dict(module._forward_hooks) for module in moe.model.modules()]
    with torch.inference_mode():
        before = moe.model(tokens).logits
    mask = RouterMask(points=((0, 0), (1, 0), (1, 1)))
    requests = [Request(prompt, 8, mask) for prompt in prompts(3)]
    run(TransformersEngine(moe), requests)
    cancelled = TransformersEngine(moe).generate(requests)
    next(cancelled)
    cancelled.close()
    with torch.inference_mode():
        assert torch.equal(moe.model(tokens).logits, before)
    assert [dict(module._forward_hooks) for module in moe.model.modules()] == hooks


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request((), 4, sample="s"), "s: the prompt is empty"),
        (Request((1, 48), 4, sample="s"), "s: token id 48 of the prompt is outside 0..47"),
        (Request((-1,), 4, sample="s"), "s: token id -1 of the prompt is outside 0..47"),
        (
            Request((1,), 0, sample="s"),
            "s: max_new_tokens is 0; it must be at least 1",
        ),
        (
            Request((1,) * 64, 4, sample="s"),
            "s: the prompt has 64 tokens, which leaves no room in the model's context of 64",
        ),
        (
            Request((1,), 4, RouterMask(points=((2, 0),)), sample="s"),
            "s: intervention.points: there is no layer 2, expert 0; the routers are in layers 0-1",
        ),
    ],
)
def test_an_impossible_request_fails_alone(moe, request_, message):
    good = Request(prompts(1)[0], 6)
    (alone,) = run(TransformersEngine(moe), [good])
    refused, completed = run(TransformersEngine(moe), [request_, good])
    assert (refused.finish_reason, refused.error) == ("error", message)
    assert refused.tokens == ()
    assert completed.tokens == alone.tokens


def test_a_cache_of_a_given_size_refuses_what_is_longer(moe):
    engine = TransformersEngine(moe, columns=20)
    short, long = Request((1,) * 10, 10), Request((1,) * 10, 11, sample="s")
    completed, refused = run(engine, [short, long])
    assert completed.finish_reason != "error"
    assert refused.error == (
        "s: prompt and new tokens are up to 21 tokens, but the cache holds 20; "
        "raise engine.columns or lower sampling.max_new_tokens"
    )


def test_generation_ends_where_the_context_does(moe):
    (completion,) = run(TransformersEngine(moe), [Request((3,) * 60, 40)])
    assert completion.finish_reason in {"length", "stop"}
    assert len(completion.tokens) <= 4


def test_non_finite_logits_end_their_request_only(moe):
    """A row whose cache holds NaN must not reach its neighbours, nor the slot's next sequence."""
    broken = moe.model.get_input_embeddings().weight
    saved = broken[47].clone()
    requests = [Request((3, 4, 5), 8), Request((47, 4), 8), Request((6, 7), 8), Request((8,), 8)]
    good = [requests[0], requests[2], requests[3]]
    expected = [c.tokens for c in run(TransformersEngine(moe), good)]
    try:
        with torch.no_grad():
            broken[47] = float("nan")
        completions = run(TransformersEngine(moe, slots=2), requests)
    finally:
        with torch.no_grad():
            broken[47] = saved
    assert completions[1].finish_reason == "non_finite"
    # Tied embeddings would make every row's logits NaN; this model unties them.
    assert [completions[i].tokens for i in (0, 2, 3)] == expected


@pytest.mark.parametrize("kind", ["mamba", "qwen3_next"])
def test_a_recurrent_model_is_refused_by_name(moe, kind):
    if kind == "mamba":
        config = MambaConfig(vocab_size=48, hidden_size=16, num_hidden_layers=1, state_size=4)
    else:
        config = Qwen3NextConfig(
            vocab_size=48,
            hidden_size=16,
            num_hidden_layers=4,
            num_experts=0,
            head_dim=8,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=16,
            linear_num_value_heads=2,
            linear_num_key_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
        )
    model = AutoModelForCausalLM.from_config(config)
    name = type(model).__name__
    with pytest.raises(ModelError, match=rf"some/id \({name}\) keeps a recurrent state"):
        TransformersEngine(LoadedModel("some/id", model, moe.tokenizer, "hash"))
