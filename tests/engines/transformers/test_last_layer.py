"""A last layer that leaves tokens out says what the whole of it says."""

from __future__ import annotations

import pytest
import torch

from harness.engines.contract import Request, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.transformers.last_layer import able, can_be_cut, last_layer_cut
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.models.sites import site_module
from tests.engines.transformers.small_requests import assert_equal, prompts, run


def steering(layer: int, site: str = "block") -> Steering:
    vector = Array(torch.randn(32, generator=torch.Generator().manual_seed(3)))
    term = Term(layer=layer, vector=vector, alpha=2.0, positions="all", site=site)
    return Steering(terms=(term,))


def mask(layer: int) -> RouterMask:
    return RouterMask(points=((layer, 0), (layer, 3)), mode="keep_topk")


def fed_forward(loaded, ask) -> list[int]:
    """How many tokens the last layer's router saw, pass by pass."""
    seen = []
    router = site_module(loaded.model, 1, "mlp").gate
    hook = router.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    try:
        ask()
    finally:
        hook.remove()
    return [each.numel() // each.shape[-1] for each in seen]


@pytest.fixture
def whole(monkeypatch):
    """Runs something without leaving tokens out."""

    def run_whole(loaded, ask):
        TransformersEngine(loaded)  # which finds out whether the model can be cut
        cut = loaded.model in able
        able.discard(loaded.model)
        try:
            return ask()
        finally:
            if cut:
                able.add(loaded.model)

    return run_whole


def test_every_architecture_says_the_same(loaded, whole):
    asked = [Request(prompt, 4) for prompt in prompts(4)]
    scorings = [Scoring(prompt, ((5, 6, 7), (8,), (9, 10))) for prompt in prompts(3, seed=1)]

    def ask():
        engine = TransformersEngine(loaded)
        return run(engine, asked), dict(engine.score(scorings))

    completions, scores = ask()
    assert loaded.model in able
    expected, expected_scores = whole(loaded, ask)
    for one, other in zip(completions, expected, strict=True):
        assert_equal(one, other)
    for index, scored in scores.items():
        for one, other in zip(
            scored.log_probabilities, expected_scores[index].log_probabilities, strict=True
        ):
            assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize(
    ("intervention", "cut"),
    [
        (None, True),
        (steering(0), True),
        (steering(1), False),
        (steering(1).neutral(), True),
        (steering(1, "mlp"), False),
        (mask(0), True),
        (mask(1), False),
        (RouterMask(), True),
    ],
)
def test_what_acts_in_the_last_layer_acts_on_every_token(moe, whole, intervention, cut):
    prompt = tuple(range(1, 12))
    asked = [Request(prompt, 3, intervention), Request(prompt[2:9], 3, intervention)]
    scoring = Scoring(prompt, ((5, 6), (7, 8)), intervention)

    def ask():
        engine = TransformersEngine(moe, drafts=False)
        return run(engine, asked), dict(engine.score([scoring]))[0]

    (completions, scored), (expected, expected_scored) = ask(), whole(moe, ask)
    assert can_be_cut(moe.model, [None, intervention]) is cut
    for one, other in zip(completions, expected, strict=True):
        assert_equal(one, other)
    assert scored.counts == expected_scored.counts


def test_only_tokens_whose_logits_are_asked_for_are_fed_forward(moe, whole):
    request = Request(tuple(range(1, 12)), 3)
    scoring = Scoring(request.prompt, ((5, 6), (7, 8)))

    def ask():
        engine = TransformersEngine(moe, drafts=False)
        run(engine, [request])
        dict(engine.score([scoring]))

    TransformersEngine(moe)
    # A prompt, two steps, and of a scoring the context's last token with one of each continuation.
    assert fed_forward(moe, ask) == [1, 1, 1, 3]
    assert whole(moe, lambda: fed_forward(moe, ask)) == [11, 1, 1, 13]


def test_fixed_shapes_run_whole(moe):
    request = Request(tuple(range(1, 12)), 1)
    engine = TransformersEngine(moe, determinism="strict", slots=1, columns=64)
    assert fed_forward(moe, lambda: run(engine, [request])) == [64]


def test_a_model_is_what_it_was_afterwards(moe):
    tokens = torch.tensor([[1, 2, 3, 4]])
    before = moe.model(tokens).logits
    with pytest.raises(RuntimeError, match="planted"), last_layer_cut(moe.model, 1):
        raise RuntimeError("planted")
    torch.testing.assert_close(moe.model(tokens).logits, before, atol=0, rtol=0)
