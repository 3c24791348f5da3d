"""Adapted weights in the engine against PEFT's own models, row by row of a mixed batch."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

from harness.engines.contract import Capture, Reading, Request, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import FieldError, RequestError
from harness.interventions.adapted_weights import Factors
from harness.invariants.adapter import RandomFactors
from harness.models.loading import load
from tests.adapters import adapter, base_model, written

PROMPTS = [tuple(range(20, 20 + length)) for length in (23, 5, 17)]


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(load("zoo/base", device="cpu"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return [
        written(root / "all", 1),
        written(root / "attention", 2, target_modules=["q_proj", "v_proj"], r=2),
        written(
            root / "patterns",
            3,
            use_rslora=True,
            rank_pattern={"q_proj": 3},
            alpha_pattern={r"layers.1.mlp.up_proj": 5},
        ),
    ]


def merged(folder, scale=1.0):
    """What PEFT makes of a base and an adapter, its scaling multiplied."""
    model = PeftModel.from_pretrained(base_model(), folder)
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.scaling = {name: scale * value for name, value in module.scaling.items()}
    return model.merge_and_unload().eval()


def log_probabilities(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].log_softmax(-1)


@pytest.mark.parametrize("scale", [1.0, -0.5])
def test_rows_of_one_batch_equal_the_merged_models(engine, folders, scale):
    every = [(folder, prompt) for folder in folders for prompt in PROMPTS]
    capture = Capture(top_log_probabilities=engine.loaded.model.config.vocab_size)
    readings = [Reading(prompt, capture, adapter(folder, scale)) for folder, prompt in every]
    found = dict(engine.forward(readings))
    for index, (folder, prompt) in enumerate(every):
        expected = log_probabilities(merged(folder, scale), prompt)
        own = found[index]
        ordered = torch.empty_like(expected).scatter_(1, own.top_tokens, own.top_log_probabilities)
        assert (ordered - expected).abs().max() < 2e-4


def test_a_mixed_queue_equals_each_request_alone_and_scale_0_the_base(engine, folders):
    doses = [None, *(adapter(folder, scale) for folder in folders for scale in (0.0, 0.6))]
    requests = [
        Request(prompt, 3 + index % 3, dose, sample=str(prompt))
        for index, dose in enumerate(doses)
        for prompt in PROMPTS
    ]
    small = TransformersEngine(engine.loaded, slots=4)
    together = dict(small.generate(requests))
    for index, request in enumerate(requests):
        ((_, alone),) = TransformersEngine(engine.loaded, slots=1, drafts=False).generate([request])
        assert together[index].tokens == alone.tokens
        if request.intervention is not None and request.intervention.scale == 0:
            base = together[index % len(PROMPTS)]
            shared = min(len(base.tokens), len(together[index].tokens))
            assert together[index].tokens[:shared] == base.tokens[:shared]
    tokens = {together[index].tokens[:3] for index in range(0, len(requests), len(PROMPTS))}
    assert len(tokens) > 2  # adapters do something


def test_scorings_under_adapters_equal_the_merged_model(engine, folders):
    context, continuations = PROMPTS[0], ((7, 8, 9), (7, 8), (30,))
    scorings = [Scoring(context, continuations, dose) for dose in (None, *map(adapter, folders))]
    scored = dict(engine.score(scorings))
    for index, folder in enumerate(folders, start=1):
        model = merged(folder)
        for own, continuation in zip(scored[index].log_probabilities, continuations, strict=True):
            expected = log_probabilities(model, (*context, *continuation))
            for at, (token, value) in enumerate(zip(continuation, own, strict=True)):
                assert abs(float(expected[len(context) - 1 + at, token]) - value) < 2e-4


def of(name, inputs, outputs):
    return RandomFactors(shapes=((name, inputs, outputs),), seed=0, scale=1.0)


@pytest.mark.parametrize(
    ("dose", "words"),
    [
        (of("model.layers.7.mlp.up_proj", 64, 192), "layers.7.mlp.up_proj, which LlamaForCausal"),
        (of("model.layers.0.mlp.up", 64, 192), "which LlamaForCausalLM does not have; use an ad"),
        (of("model.layers.0.mlp", 64, 192), "a LlamaMLP; only linear modules are adapted here"),
        (of("model.layers.0.mlp.up_proj", 96, 192), "takes 96 numbers and gives 192, but the mod"),
    ],
)
def test_an_adapter_of_another_model_is_refused_beside_others(engine, dose, words):
    ((_, refused),) = engine.generate([Request(PROMPTS[0], 2, dose)])
    assert refused.finish_reason == "error"
    assert words in refused.error
    assert "\n" not in refused.error
    with pytest.raises(FieldError, match=r"intervention.kind"):
        list(engine.forward([Reading(PROMPTS[0], Capture(token_log_probabilities=True), dose)]))


def test_a_module_that_is_never_called_is_told(engine):
    model = base_model()
    model.model.layers[0].spare = torch.nn.Linear(64, 64)
    loaded = load("zoo/base", device="cpu")
    other = TransformersEngine(type(loaded)("zoo/base", model, loaded.tokenizer, "x"))
    dose = of("model.layers.0.spare", 64, 64)
    with pytest.raises(RequestError, match=r"does not call model.layers.0.spare, so that an adapt"):
        list(other.generate([Request(PROMPTS[0], 2, dose)]))


def test_states_below_the_first_adapted_layer_are_shared():
    dose = of("model.layers.1.self_attn.q_proj", 64, 64)
    assert dose.first_layer() == 1
    assert isinstance(dose.factors()["model.layers.1.self_attn.q_proj"], Factors)
    assert dose.prefix_key(5, 3) == dose.fingerprint()
    assert dose.neutral().prefix_key(5, 3) == ""
