"""The engine against plain `generate`, one prompt and one intervention at a time."""

from __future__ import annotations

import gc
import itertools
import json
import random

import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MambaConfig, Qwen3NextConfig

from harness.engines.base import Completion, Request, SamplingRules, Stop
from harness.engines.transformers import prompts as prompt_passes
from harness.engines.transformers import row_interventions
from harness.engines.transformers.drafts import DraftLength
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import ModelError
from harness.interventions.base import Intervention
from harness.interventions.router_mask import RouterMask
from harness.models.loading import LoadedModel, load


def prompts(count: int, seed: int = 0, longest: int = 20) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return [
        tuple(draw.randrange(1, 48) for _ in range(draw.randint(1, longest))) for _ in range(count)
    ]


def run(engine: TransformersEngine, requests: list[Request]) -> list:
    completions = dict(engine.generate(requests))
    assert sorted(completions) == list(range(len(requests)))
    return [completions[index] for index in range(len(requests))]


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


PROPERTY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_equal(completion, alone) -> None:
    assert completion.tokens == alone.tokens
    assert completion.text == alone.text
    assert completion.finish_reason == alone.finish_reason
    assert completion.counts == alone.counts
    assert completion.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)


def alone(loaded, request: Request):
    """A request by itself: one slot, nothing drafted, nothing resident."""
    (completion,) = run(TransformersEngine(loaded, slots=1, drafts=False), [request])
    return completion


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


class Shift(Intervention):
    """Adds a constant to block 0's output at generated positions: shares every prompt."""

    kind: str = "shift"
    amount: float
    start: int

    def neutral(self):
        return self.model_copy(update={"amount": 0.0})

    def prefix_key(self, length, prompt):
        return "" if length <= self.start else self.fingerprint()


class ShiftRows:
    """The smallest `RowInterventions`: one number per slot."""

    def __init__(self, model, slots, columns):
        self.block = model.model.layers[0]
        self.amount = torch.zeros(slots)
        self.start = torch.zeros(slots, dtype=torch.long)
        self.now = None

    def check(self, intervention):
        pass

    def attach(self):
        self.hook = self.block.register_forward_hook(self.shift)

    def detach(self):
        self.hook.remove()

    def shift(self, module, inputs, output):
        slots, positions = self.now
        amount = torch.where(
            positions >= self.start[slots][:, None], self.amount[slots][:, None], 0.0
        )
        return output + amount[:, :, None]

    def assign(self, slot, intervention, kept, prompt):
        self.amount[slot] = intervention.amount if intervention else 0.0
        self.start[slot] = intervention.start if intervention else 0

    def copy(self, source, target, columns):
        pass

    def move(self, source, target, columns):
        self.amount[target], self.start[target] = self.amount[source], self.start[source]

    def swap(self, one, other, columns):
        for table in (self.amount, self.start):
            table[[one, other]] = table[[other, one]]

    def begin(self, slots, positions):
        self.now = (slots, positions)

    def end(self):
        self.now = None

    def counts(self, slot, columns):
        return {}


@pytest.fixture
def shift_kind(monkeypatch):
    monkeypatch.setitem(row_interventions.KINDS, Shift, ShiftRows)


def shifts(prompt: tuple[int, ...], amounts: list[float], new: int = 6) -> list[Request]:
    return [
        Request(prompt, new, Shift(amount=a, start=len(prompt)), sample=str(a)) for a in amounts
    ]


def test_one_prefill_serves_a_prompt_under_every_intervention_on_generated_positions(
    moe, shift_kind
):
    (prompt,) = [tuple(range(1, 41))]
    requests = shifts(prompt, [0.0, 0.5, 1.0, 2.0, 4.0])
    engine = TransformersEngine(moe, drafts=False)
    completions = run(engine, requests)
    # Four of five prompts are copied but for the last token, whose logits are needed.
    assert engine._stage.residents.reused_columns == 4 * (len(prompt) - 1)
    for request, completion in zip(requests, completions, strict=True):
        assert_equal(completion, alone(moe, request))
    assert len({completion.tokens for completion in completions}) > 1


@PROPERTY
@given(
    shared=st.integers(0, 40),
    tails=st.lists(st.lists(st.integers(1, 47), min_size=1, max_size=8), min_size=1, max_size=4),
    amounts=st.lists(st.sampled_from([0.0, 1.0, 3.0]), min_size=1, max_size=3),
    rounds=st.integers(1, 3),
    slots=st.integers(1, 4),
)
def test_reused_and_recomputed_agree(moe, shift_kind, shared, tails, amounts, rounds, slots):
    """Rounds of requests that share prefixes and extend what came back, under three doses."""
    engine = TransformersEngine(moe, slots=slots)
    stem = tuple(1 + index % 47 for index in range(shared))
    prompts_ = [stem + tuple(tail) for tail in tails]
    for _ in range(rounds):
        requests = [request for prompt in prompts_ for request in shifts(prompt, amounts, new=3)]
        completions = run(engine, requests)
        for request, completion in zip(requests, completions, strict=True):
            assert_equal(completion, alone(moe, request))
        prompts_ = [
            (request.prompt + completion.tokens)[:50]
            for request, completion in zip(requests, completions, strict=True)
        ][: len(tails)]


def test_a_request_that_extends_a_resident_sequence_continues_from_it(moe):
    engine = TransformersEngine(moe, drafts=False)
    prompt = tuple(range(1, 31))
    for _ in range(4):
        before = engine._stage.residents.reused_columns if engine._stage else 0
        stage = engine._stage
        (completion,) = run(engine, [Request(prompt, 4)])
        assert_equal(completion, alone(moe, Request(prompt, 4)))
        if stage is engine._stage:
            # All that was computed in the last round; only its last token is read now.
            assert engine._stage.residents.reused_columns - before == len(prompt) - 1
        prompt += completion.tokens
    assert engine.work.passes == 4


@pytest.mark.parametrize(
    "changed",
    [
        RouterMask(points=((0, 1),)),
        RouterMask(points=((0, 1), (0, 2)), mode="replace_topk"),
        RouterMask(points=((0, 1), (0, 2)), on_empty="zero"),
        None,
    ],
)
def test_a_changed_mask_never_reuses(moe, changed):
    first = Request(tuple(range(1, 41)), 4, RouterMask(points=((0, 1), (0, 2))))
    second = Request(first.prompt, 4, changed)
    engine = TransformersEngine(moe, drafts=False)
    run(engine, [first])
    run(engine, [first])
    reused = engine._stage.residents.reused_columns
    assert reused > 0
    (completion,) = run(engine, [second])
    assert engine._stage.residents.reused_columns == reused
    assert_equal(completion, alone(moe, second))


def test_the_least_recently_used_sequence_makes_room(moe):
    """Three slots hold the last sequences used; asking for one that was dropped reads it again."""
    stems = {name: (first,) * 20 for first, name in enumerate("abcd", start=1)}
    engine = TransformersEngine(moe, slots=3, drafts=False)
    run(engine, [Request(stems[name], 2) for name in "abc"])
    residents = engine._stage.residents
    held = []
    for name in "adabcd":
        before = residents.reused_columns
        run(engine, [Request(stems[name], 2)])
        held.append(residents.reused_columns > before)
    assert engine._stage.residents is residents
    # a is there; d takes the place of b, the oldest; then c, and so on in turn.
    assert held == [True, False, True, False, False, False]


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


def test_hooks_are_gone_afterwards_and_after_an_error(moe):
    tokens = torch.tensor([prompts(1)[0]])
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
    assert not any(module._forward_hooks for module in moe.model.modules())


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


def test_nothing_to_do(moe):
    assert run(TransformersEngine(moe), []) == []


def test_fingerprint_changes_with_content_and_dtype(moe):
    other = TransformersEngine(type(moe)(moe.reference, moe.model, moe.tokenizer, "other content"))
    engine = TransformersEngine(moe)
    assert engine.fingerprint == TransformersEngine(moe).fingerprint
    assert engine.fingerprint != other.fingerprint
    assert engine.determinism["dtype"] == "float32"
