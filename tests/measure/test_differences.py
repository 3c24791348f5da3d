"""Differences of pairs against means taken by hand, text by text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Capture, Reading, Request
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import TaskError
from harness.interventions.array import Array
from harness.measure.differences import SideTokens, build_differences, rotated, sides_of
from harness.models.loading import load
from harness.tasks.contrast import ContrastPair, Side, style_pairs

STEPS = 6


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(load("zoo/moe"))


def tokens(engine, text):
    return tuple(engine.tokenizer(text, add_special_tokens=False)["input_ids"])


def state(engine, text, layer, site) -> torch.Tensor:
    """Of the last token of a text, read by itself."""
    capture = Capture(hidden_layers=(layer,), hidden_site=site, positions=(len(text) - 1,))
    ((_, activations),) = engine.forward([Reading(text, capture)])
    return activations.hidden[layer][0].double()


def by_hand(engine, sides, layer, site):
    rows = []
    for step in range(STEPS):
        means = []
        for own in (sides[0::2], sides[1::2]):
            alive = [
                state(engine, (*side.prompt, *side.following[:step]), layer, site)
                for side in own
                if len(side.following) > step
            ]
            if alive:
                means.append(torch.stack(alive).mean(dim=0))
        if len(means) == 2:
            rows.append(means[0] - means[1])
    return torch.stack(rows)


@pytest.mark.parametrize("site", ["attention", "block"])
def test_answers_of_unequal_length_count_as_long_as_they_last(engine, site):
    prompts = [tokens(engine, text) for text in ("def f(items):", "return the list of all")]
    answers = [(5, 6, 7, 8), (9, 10), (11, 12, 13), (14, 15, 16, 17, 18)]
    sides = [SideTokens(prompts[index // 2], answer) for index, answer in enumerate(answers)]
    built = build_differences(engine, sides, layers=(0, 3), site=site, steps=STEPS)
    assert list(built) == [0, 3]
    for layer, difference in built.items():
        # The positive sides last for 4 and 3 tokens, the negative ones for 2 and 5.
        assert difference.shape == (4, 96)
        expected = by_hand(engine, sides, layer, site)
        assert torch.allclose(difference.tensor().double(), expected, atol=1e-4)


def test_a_side_without_an_answer_goes_on_as_the_model_does(engine):
    pairs = style_pairs(["def double(items):\n"], code=True)
    sides = sides_of(engine.tokenizer, pairs, STEPS)
    assert [side.following for side in sides] == [(), ()]
    greedy = dict(engine.generate([Request(side.prompt, STEPS) for side in sides]))
    followed = [SideTokens(own.prompt, greedy[at].tokens) for at, own in enumerate(sides)]
    built = build_differences(engine, sides, layers=(1,), site="attention", steps=STEPS)
    expected = by_hand(engine, followed, 1, "attention")
    assert torch.allclose(built[1].tensor().double(), expected, atol=1e-4)


def test_exchanging_the_sides_turns_the_difference_around(engine):
    pairs = style_pairs(["def double(items):\n", "def head(items):\n"], code=True)
    sides = sides_of(engine.tokenizer, pairs, STEPS)
    turned = [sides[at ^ 1] for at in range(len(sides))]
    forth, back = (
        build_differences(engine, each, layers=(2,), site="attention", steps=STEPS)[2]
        for each in (sides, turned)
    )
    assert torch.allclose(forth.tensor(), -back.tensor(), atol=1e-5)
    assert forth.norm > 0


def test_answers_are_cut_at_the_steps_and_equal_sides_are_refused(engine):
    pair = ContrastPair("p", Side("x = ", "1 2 3 4 5 6 7 8 9"), Side("x = ", "9"))
    sides = sides_of(engine.tokenizer, [pair], 3)
    assert len(sides[0].following) == 3
    same = ContrastPair("pair 1", Side("x = ", "1"), Side("x = ", "1"))
    with pytest.raises(TaskError, match="pair 1: both sides are the same tokens"):
        sides_of(engine.tokenizer, [same], 3)
    with pytest.raises(TaskError, match="there are no pairs"):
        sides_of(engine.tokenizer, [], 3)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 5))
def test_a_control_keeps_lengths_and_angles_and_nothing_else(steps, width, seed):
    rows = np.random.default_rng(steps * 10 + width).standard_normal((steps, width))
    turned = rotated(Array(rows), seed)
    assert turned.shape == (steps, width)
    own = turned.numpy().astype(np.float64)
    assert np.allclose(own @ own.T, rows @ rows.T, atol=1e-4)
    assert rotated(Array(rows), seed) == turned
    if width > 1:
        assert rotated(Array(rows), seed + 1) != turned


def test_controls_point_anywhere():
    """Cosines with the difference average out, and spread as those of random directions do."""
    row = Array(np.eye(1, 64)[0])
    cosines = [float(rotated(row, seed).numpy()[0]) for seed in range(400)]
    assert abs(np.mean(cosines)) < 4 / 8 / 20
    assert np.std(cosines) == pytest.approx(1 / 8, rel=0.15)


def test_a_layer_named_twice_differs_by_what_it_does_once(engine):
    sides = [SideTokens((5, 6), (7, 8)), SideTokens((5, 6), (9, 10))]
    once = build_differences(engine, sides, layers=(1,), site="block", steps=2)
    assert build_differences(engine, sides, layers=(1, 1), site="block", steps=2) == once
