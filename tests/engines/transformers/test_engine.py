"""The engine against plain `generate`, one prompt and one intervention at a time."""

from __future__ import annotations

import gc
import itertools
import json

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from harness.engines.contract import Completion, Request, Stop
from harness.engines.transformers import prompts as prompt_passes
from harness.engines.transformers.drafts import DraftLength
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.router_mask.description import RouterMask
from harness.models.loading import LoadedModel, load
from harness.sampling.chosen import SamplingRules
from tests.engines.transformers.small_requests import PROPERTY, alone, assert_equal, prompts, run


def plain_generate(loaded, prompt: tuple[int, ...], new: int) -> tuple[int, ...]:
    tokens = loaded.model.generate(
        torch.tensor([prompt]), max_new_tokens=new, do_sample=False, pad_token_id=0
    )
    return tuple(tokens[0, len(prompt) :].tolist())


def test_greedy_equals_plain_generate(loaded):
    requests = [Request(prompt, max_new_tokens=12) for prompt in prompts(9)]
    completions = run(TransformersEngine(loaded, slots=4), requests)
    for request, completion in zip(requests, completions, strict=True):
        assert completion.tokens == plain_generate(loaded, request.prompt, 12)


def test_log_probabilities_are_the_models_own(loaded):
    (prompt,) = prompts(1)
    (completion,) = run(TransformersEngine(loaded), [Request(prompt, 8)])
    tokens = torch.tensor([prompt + completion.tokens])
    with torch.inference_mode():
        scores = loaded.model(tokens).logits[0].log_softmax(-1)
    expected = [
        scores[len(prompt) + index - 1, token].item()
        for index, token in enumerate(completion.tokens)
    ]
    assert completion.log_probabilities == pytest.approx(expected, abs=1e-4)


@pytest.fixture
def quantised(tmp_path, tiny_model) -> LoadedModel:
    """A checkpoint with int8 weights and one scale per output channel, through the usual loader."""
    pytest.importorskip("compressed_tensors", reason="reads the quantised checkpoint")
    tiny = tiny_model("llama")
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    for name in [name for name in weights if name.endswith("_proj.weight")]:
        scale = weights[name].abs().amax(1, keepdim=True) / 127
        weights[name] = (weights[name] / scale).round().to(torch.int8)
        weights[f"{name}_scale"] = scale
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    rule = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
    group = {"targets": ["Linear"], "format": "int-quantized", "weights": rule}
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "format": "int-quantized",
        "ignore": ["lm_head"],
        "config_groups": {"all": group},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return load(str(tmp_path), device="cpu")


def test_quantised_weights_equal_plain_generate(quantised, tiny_model):
    assert quantised.model.is_quantized
    full = tiny_model("llama")
    assert quantised.content_hash != full.content_hash
    requests = [Request(prompt, max_new_tokens=12) for prompt in prompts(9)]
    completions = run(TransformersEngine(quantised, slots=4), requests)
    for request, completion in zip(requests, completions, strict=True):
        assert completion.tokens == plain_generate(quantised, request.prompt, 12)
    # Rounded weights say something else now and then: it is really them that ran.
    assert [c.tokens for c in completions] != [plain_generate(full, r.prompt, 12) for r in requests]


def masks(model_layers: int = 2, experts: int = 8) -> st.SearchStrategy[RouterMask | None]:
    points = st.lists(
        st.tuples(st.integers(0, model_layers - 1), st.integers(0, experts - 1)), max_size=16
    )
    return st.none() | st.builds(
        RouterMask,
        mode=st.sampled_from(["keep_topk", "replace_topk"]),
        on_empty=st.sampled_from(["fallback", "zero"]),
        points=points.map(tuple),
    )


def rules() -> st.SearchStrategy[SamplingRules]:
    return st.builds(
        SamplingRules,
        temperature=st.sampled_from([0.0, 0.7, 1.5]),
        top_k=st.sampled_from([None, 1, 5]),
        top_p=st.sampled_from([1.0, 0.8]),
        min_p=st.sampled_from([0.0, 0.1]),
    )


def any_requests() -> st.SearchStrategy[list[Request]]:
    token = st.integers(1, 47)
    return st.lists(
        st.builds(
            Request,
            prompt=st.lists(token, min_size=1, max_size=40).map(tuple),
            max_new_tokens=st.integers(1, 12),
            intervention=masks(),
            sampling=rules(),
            stop=st.sampled_from(
                [Stop(), Stop(tokens=frozenset({5, 6, 7})), Stop(strings=("w1",))]
            ),
            seed=st.integers(0, 3),
            sample=st.sampled_from("abc"),
            draw=st.integers(0, 2),
        ),
        min_size=1,
        max_size=12,
    )


@PROPERTY
@given(
    requests=any_requests(),
    slots=st.integers(1, 6),
    prefill=st.sampled_from([7, 64, 8192]),
    lengths=st.lists(st.integers(0, 16), min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
)
def test_a_batch_of_different_requests_equals_batches_of_one(
    moe, requests, slots, prefill, lengths, order
):
    """Whatever the order, the slots, the pieces of prompts and the lengths of drafts."""
    shuffled = list(range(len(requests)))
    order.shuffle(shuffled)
    turns = itertools.cycle(lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_passes, "_PASS_TOKENS", prefill)
        patch.setattr(DraftLength, "best", lambda self, rows, able, most: next(turns))
        engine = TransformersEngine(moe, slots=slots)
        together = run(engine, [requests[i] for i in shuffled])
        again = run(engine, [requests[i] for i in shuffled])
    for completion, repeated, index in zip(together, again, shuffled, strict=True):
        single = alone(moe, requests[index])
        assert_equal(completion, single)
        assert_equal(repeated, single)


def test_drafts_save_passes_and_change_nothing(moe):
    """Twelve draws of one greedy answer: all but the first only verify what a sibling said."""
    (prompt,) = prompts(1, longest=8)
    requests = [
        Request(prompt, 32, RouterMask(points=((0, i % 3),)), sample="one") for i in range(12)
    ]
    plain = TransformersEngine(moe, slots=1, drafts=False)
    drafting = TransformersEngine(moe, slots=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DraftLength, "best", lambda self, rows, able, most: most)
        drafted = run(drafting, requests)
    assert [c.tokens for c in drafted] == [c.tokens for c in run(plain, requests)]
    assert [c.counts for c in drafted] == [c.counts for c in run(plain, requests)]
    assert drafting.work.accepted > 0
    assert drafting.work.passes < 0.6 * plain.work.passes


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_strict_shapes_give_equal_bits_in_any_company(moe, slots):
    requests = [
        Request(prompt, 10, RouterMask(points=((0, i % 8), (1, 3))), sample=str(i))
        for i, prompt in enumerate(prompts(7, longest=40))
    ]

    def bits(batch: list[Request]) -> list:
        engine = TransformersEngine(moe, slots=slots, determinism="strict")
        return [(c.tokens, c.log_probabilities) for c in run(engine, batch)]

    together = bits(requests)
    assert together[::-1] == bits(requests[::-1])
    assert together[3:4] == bits(requests[3:4])


def test_a_slot_forgets_how_its_last_mask_treated_empty_tokens(moe):
    """`zero` and `fallback` masks of a whole layer take turns in few slots, moving between them."""
    everything = tuple((0, expert) for expert in range(8))
    requests = [
        Request(
            prompt,
            4 + index % 5,
            RouterMask(points=everything, on_empty="zero" if index % 3 else "fallback"),
            sample=str(index),
        )
        for index, prompt in enumerate(prompts(12))
    ]
    for slots in (2, 5):
        for request, completion in zip(
            requests, run(TransformersEngine(moe, slots=slots), requests), strict=True
        ):
            assert_equal(completion, alone(moe, request))
    assert any(c.counts["changed"] == 0 for c in run(TransformersEngine(moe), requests))


def test_an_empty_mask_in_a_mixed_batch_changes_nothing(moe):
    untouched = [Request(prompt, 10) for prompt in prompts(5)]
    neutral = [Request(r.prompt, 10, RouterMask()) for r in untouched]
    masked = [
        Request(r.prompt, 10, RouterMask(points=((0, 1), (0, 2), (1, 3), (1, 4))))
        for r in untouched
    ]
    baseline = run(TransformersEngine(moe), untouched)
    mixed = run(TransformersEngine(moe, slots=6), neutral + masked)
    assert [c.tokens for c in mixed[:5]] == [c.tokens for c in baseline]
    assert [c.tokens for c in mixed[5:]] != [c.tokens for c in baseline]
    assert all(c.counts["changed"] > 0 for c in mixed[5:])
    # Every token but the last is read once, by each of the two routers.
    for completion, request in zip(mixed[5:], masked, strict=True):
        read = len(request.prompt) + len(completion.tokens) - 1
        assert completion.counts["routed"] == 2 * read


def test_draws_differ_by_key_and_repeat_by_key(moe):
    (prompt,) = prompts(1)
    hot = SamplingRules(temperature=1.5)

    def ask(seed: int, sample: str, draw: int) -> Request:
        return Request(prompt, 16, sampling=hot, seed=seed, sample=sample, draw=draw)

    keys = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    first = [c.tokens for c in run(TransformersEngine(moe), [ask(*key) for key in keys])]
    again = [c.tokens for c in run(TransformersEngine(moe, slots=1), [ask(*key) for key in keys])]
    assert first == again
    assert len(set(first)) == len(keys)


def test_a_long_queue_costs_little_memory(moe):
    """100 000 requests of a sweep: 48 prompts, 100 masks, 21 draws. Measured: 48 MB."""
    stems = [tuple(1 + (index + i) % 47 for i in range(30)) for index in range(48)]
    doses = [RouterMask(points=((0, i % 8), (1, i // 16))) for i in range(100)]
    engine = TransformersEngine(moe, slots=16)
    run(engine, [Request(stem, 4, doses[0]) for stem in stems])
    process = psutil.Process()
    before = process.memory_info().rss
    queue = engine.generate(
        Request(stems[i % 48], 4, doses[i // 48 % 100], sample=str(i % 48), draw=i // 4800)
        for i in range(100_000)
    )
    for _ in range(50):
        next(queue)
    grown = process.memory_info().rss - before
    queue.close()
    assert grown < 200e6


def test_completions_are_handed_on_and_not_kept(moe):
    """Whoever drops them has no more of them in memory than there are slots."""

    def alive():
        return sum(type(thing) is Completion for thing in gc.get_objects())

    others = alive()
    requests = [Request(stem, 3, sample=str(i)) for i, stem in enumerate(prompts(60))]
    stream = TransformersEngine(moe, slots=4).generate(requests)
    assert len(list(itertools.islice(stream, 50))) == 50
    next(stream)
    assert alive() - others <= 4
    assert len(list(stream)) == 9


def test_nothing_to_do(moe):
    assert run(TransformersEngine(moe), []) == []


def test_fingerprint_changes_with_content_and_dtype(moe):
    other = TransformersEngine(type(moe)(moe.reference, moe.model, moe.tokenizer, "other content"))
    engine = TransformersEngine(moe)
    assert engine.fingerprint == TransformersEngine(moe).fingerprint
    assert engine.fingerprint != other.fingerprint
    assert engine.determinism["dtype"] == "float32"
