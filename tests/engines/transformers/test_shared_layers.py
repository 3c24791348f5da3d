"""Conditions of one prompt share the layers below their interventions, and say what they would."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers import prompts as prompt_reading
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.transformers.shared_layers import able
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from tests.engines.conftest import tiny
from tests.engines.transformers.small_requests import PROPERTY, alone, assert_equal, run

WIDTH = 32


def steering(alpha: float, layer: int = 1, positions: str = "all", site: str = "block") -> Steering:
    vector = Array(torch.randn(WIDTH, generator=torch.Generator().manual_seed(3)))
    term = Term(layer=layer, vector=vector, alpha=alpha, positions=positions, site=site)
    return Steering(terms=(term,))


def mask(layer: int, *experts: int, mode: str = "keep_topk") -> RouterMask:
    return RouterMask(points=tuple((layer, expert) for expert in experts), mode=mode)


INTERVENTIONS = (
    None,
    steering(1.0),
    steering(3.0, site="mlp"),
    steering(2.0, positions="from_last_prompt_token"),
    steering(2.0, positions="generated"),
    steering(0.0),
    mask(1, 0, 3),
    mask(1, 1, 2, 5, mode="replace_topk"),
    RouterMask(),
    steering(1.0, layer=0),
    mask(0, 4),
)


@pytest.fixture(autouse=True)
def always_worth_it(monkeypatch):
    monkeypatch.setattr(prompt_reading, "_PASS_COST", 0)


@PROPERTY
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    chosen=st.lists(st.sampled_from(range(len(INTERVENTIONS))), min_size=2, max_size=8),
    tokens=st.sampled_from([11, 64, 8192]),
    slots=st.integers(2, 12),
)
def test_conditions_say_what_each_says_alone(moe, lengths, chosen, tokens, slots):
    """Whatever is in the wave beside them, in pieces or at once, behind what is resident or not."""
    stem = tuple(1 + index % 47 for index in range(20))
    asked = [
        Request((stem + tuple(range(1, 48)))[:length], 3, INTERVENTIONS[which], sample=str(length))
        for which in chosen
        for length in lengths
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_reading, "_PASS_TOKENS", tokens)
        engine = TransformersEngine(moe, slots=slots)
        completions = run(engine, asked)
        again = run(engine, asked)
    for request, completion, second in zip(asked, completions, again, strict=True):
        expected = alone(moe, request)
        assert_equal(completion, expected)
        assert_equal(second, expected)


def test_every_architecture_shares(loaded):
    prompt = tuple(range(1, 31))
    alphas = (0.5, 1.0, 2.0)
    # The first layer is computed once, the second for each; what is done to its output, or to that
    # of the second, changes no layer before.
    for layer, site, read in ((1, "mlp", 2), (0, "block", 2), (1, "block", 1)):
        asked = [
            Request(prompt, 6, steering(alpha, layer=layer, site=site), sample=str(alpha))
            for alpha in alphas
        ]
        engine = TransformersEngine(loaded, drafts=False)
        assert loaded.model in able
        for request, completion in zip(asked, run(engine, asked), strict=True):
            assert_equal(completion, alone(loaded, request))
        assert engine.work.read == len(prompt) * read


def test_what_is_read_of_many_conditions():
    loaded = tiny("llama")
    prompt = tuple(1 + index % 47 for index in range(50))

    def read(interventions, **settings):
        engine = TransformersEngine(loaded, drafts=False, **settings)
        run(
            engine,
            [Request(prompt, 2, each, sample=str(i)) for i, each in enumerate(interventions)],
        )
        return engine.work.read / len(prompt)

    doses = [1.0 + number for number in range(16)]
    assert read([steering(dose, layer=0) for dose in doses]) == 1 + 15 * (1 - 1 / 2)
    assert read([steering(dose, layer=0, site="mlp") for dose in doses]) == 16
    # One prompt, and of every other condition the last token at most. The first completion has
    # ended, and its slot is taken, when the others start.
    decoding = [steering(dose, positions="generated") for dose in doses]
    assert read(decoding) <= 1 + 15 / len(prompt)
    assert read([steering(dose) for dose in doses], determinism="strict") > 16


def test_a_model_that_does_not_take_more_rows_is_run_without(monkeypatch):
    loaded = tiny("llama")
    able.discard(loaded.model)
    asked = [Request(tuple(range(1, 31)), 4, steering(dose)) for dose in (1.0, 2.0)]
    try:
        engine = TransformersEngine(loaded, drafts=False)
        completions = run(engine, asked)
        assert engine.work.read == 60
    finally:
        able.add(loaded.model)
    for request, completion in zip(asked, completions, strict=True):
        assert_equal(completion, alone(loaded, request))


@pytest.mark.parametrize(
    ("intervention", "first"),
    [
        (steering(1.0, layer=1), 2),
        (steering(1.0, layer=1, site="attention"), 1),
        (steering(0.0, layer=1).neutral(), None),
        (mask(1, 0, 3), 1),
        (RouterMask(), None),
    ],
)
def test_the_first_layer_that_is_changed(intervention, first):
    assert intervention.first_layer() == first
