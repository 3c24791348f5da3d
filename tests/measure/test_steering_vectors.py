"""Vectors against their definitions, on random states and on the zoo's own."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.transformers.engine import TransformersEngine
from harness.errors import FieldError, TaskError
from harness.interventions.array import Array
from harness.measure.steering_vectors import (
    aggregate,
    build_vectors,
    check_layers,
    pair_states,
    random_control,
)
from harness.models.loading import load
from harness.tasks import micro_gsm8k, micro_humaneval
from harness.tasks.contrast import ContrastPair, Side, answer_pairs, style_pairs
from harness.tasks.conversations import render

METHODS = ["mean", "mean_centred", "pca", "pca_centred", "probe"]
SEEDS = st.integers(0, 2**31)


def states(seed: int, count: int = 12, width: int = 5):
    generator = np.random.default_rng(seed)
    shift = generator.normal(size=width)
    negative = generator.normal(size=(count, width))
    return negative + shift + 0.3 * generator.normal(size=(count, width)), negative


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(load("zoo/moe"))


@pytest.fixture(scope="module")
def pairs():
    random = Random(0)
    problems = [micro_humaneval.training_problem(random).prompt for _ in range(6)]
    return style_pairs(problems, code=True)


@given(SEEDS)
def test_mean_is_the_mean_difference_and_mean_centred_half_of_it(seed):
    positive, negative = states(seed)
    expected = sum(p - n for p, n in zip(positive, negative, strict=True)) / len(positive)
    np.testing.assert_allclose(aggregate(positive, negative, "mean"), expected, atol=1e-12)
    centred = aggregate(positive, negative, "mean_centred")
    np.testing.assert_allclose(centred, expected / 2, atol=1e-12)


@given(SEEDS)
def test_principal_directions_are_eigenvectors_of_the_differences(seed):
    positive, negative = states(seed)
    differences = positive - negative
    for method, rows in (
        ("pca", differences),
        ("pca_centred", differences - differences.mean(axis=0)),
    ):
        direction = aggregate(positive, negative, method)
        scatter = rows.T @ rows
        largest = np.linalg.eigvalsh(scatter)[-1]
        np.testing.assert_allclose(scatter @ direction, largest * direction, atol=1e-8 * largest)
        assert np.linalg.norm(direction) == pytest.approx(1)
    assert (differences @ aggregate(positive, negative, "pca")).mean() > 0


@given(SEEDS, st.sampled_from(METHODS))
def test_the_order_of_pairs_means_nothing_and_swapped_sides_turn_the_vector(seed, method):
    positive, negative = states(seed)
    order = np.random.default_rng(seed + 1).permutation(len(positive))
    vector = aggregate(positive, negative, method)
    near = {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(aggregate(positive[order], negative[order], method), vector, **near)
    np.testing.assert_allclose(aggregate(negative, positive, method), -vector, **near)


def test_the_probe_separates_what_the_mean_cannot():
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(400, 1)) * 10
    label = np.repeat([1.0, -1.0], 200)[:, None]
    rows = np.concatenate([noise, noise * 0.5 + label], axis=1)
    positive, negative = rows[:200], rows[200:]
    probe = aggregate(positive, negative, "probe")
    # The one direction in which the noise cancels is (-0.5, 1).
    assert probe[0] / probe[1] == pytest.approx(-0.5, abs=0.05)
    length = np.linalg.norm(aggregate(positive, negative, "mean"))
    assert np.linalg.norm(probe) == pytest.approx(length)


def test_equal_sides_have_no_direction():
    same = np.ones((3, 4))
    assert not aggregate(same, same, "mean").any()
    with pytest.raises(TaskError, match="differences have no direction"):
        aggregate(same, same, "pca")


def test_states_are_the_blocks_own_whatever_they_are_batched_with(engine, pairs):
    model, tokenizer = engine.loaded.model, engine.tokenizer
    positive, negative = pair_states(engine, pairs, layers=[1], site="block", position="last")
    for row, pair in enumerate(pairs):
        for side, found in ((pair.positive, positive), (pair.negative, negative)):
            tokens = torch.tensor([render(tokenizer, side.prompt)])
            with torch.inference_mode():
                hidden = model(tokens, output_hidden_states=True).hidden_states[2][0, -1]
            np.testing.assert_allclose(found[1][row], hidden.double().numpy(), atol=2e-5)


def test_position_rules_read_the_tokens_that_they_name(engine):
    tokenizer = engine.tokenizer
    problem = micro_gsm8k.training_problem(Random(3))
    pairs = answer_pairs([(problem.question, problem.answer)], "assisted")
    prompt = render(tokenizer, pairs[0].positive.prompt)
    answer = tokenizer(pairs[0].positive.answer, add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([[*prompt, *answer]])
    with torch.inference_mode():
        output = engine.loaded.model(tokens, output_hidden_states=True)
    hidden = output.hidden_states[1][0].double().numpy()
    expected = {
        "last": hidden[-1],
        -2: hidden[-2],
        "answer": hidden[len(prompt)],
        "mean": hidden[len(prompt) :].mean(axis=0),
    }
    for rule, state in expected.items():
        positive, _ = pair_states(engine, pairs, layers=[0], site="block", position=rule)
        np.testing.assert_allclose(positive[0][0], state, atol=2e-5)


@pytest.mark.parametrize("rule", ["answer", "mean", -10_000])
def test_a_rule_that_matches_no_token_is_named_with_its_pair(engine, pairs, rule):
    with pytest.raises(TaskError, match=rf"problem 1: the position rule {rule!r} matches no token"):
        pair_states(engine, pairs, layers=[0], site="block", position=rule)


def test_pairs_must_be_there_and_differ(engine):
    settings = {"layers": [0], "site": "block", "position": "last", "method": "mean"}
    with pytest.raises(TaskError, match="there are no pairs"):
        build_vectors(engine, [], **settings)
    same = ContrastPair("pair 1", Side("a", " b"), Side("a", " b"))
    with pytest.raises(TaskError, match="pair 1: both sides are the same tokens"):
        build_vectors(engine, [same], **settings)


@pytest.mark.parametrize("site", ["block", "attention", "mlp"])
def test_a_vector_knows_its_length_and_that_of_the_residual_stream(engine, pairs, site):
    where = {"layers": [1, 3], "position": "last"}
    vectors = build_vectors(engine, pairs, site=site, method="mean", **where)
    positive, negative = pair_states(engine, pairs, site=site, **where)
    stream = pair_states(engine, pairs, site="block", **where)
    for layer in (1, 3):
        rows = np.concatenate([side[layer] for side in stream])
        assert vectors.residual_norms[layer] == pytest.approx(np.linalg.norm(rows, axis=1).mean())
        difference = positive[layer].mean(0) - negative[layer].mean(0)
        assert vectors.vectors[layer].norm == pytest.approx(np.linalg.norm(difference), rel=1e-5)
    assert vectors.facts["pairs"] == "6"


def test_the_control_is_as_long_as_the_vector_and_points_elsewhere():
    vector = Array(np.arange(1, 400, dtype=np.float32))
    control, other = random_control(vector, 0), random_control(vector, 1)
    assert control.norm == pytest.approx(vector.norm, rel=1e-6)
    assert control == random_control(vector, 0)
    assert control != other
    cosine = float(control.numpy() @ vector.numpy()) / vector.norm**2
    assert abs(cosine) < 0.2


def test_a_layer_that_does_not_exist_is_named():
    with pytest.raises(FieldError, match=r"there is no layer 4; the model's layers are 0-3"):
        check_layers([0, 4], 4)


def test_sides_that_differ_only_after_the_position_have_no_vector_there(engine):
    pairs = [
        ContrastPair(f"pair {n}", Side("x", f" = {n} + 1"), Side("x", f" = {n} + 2"))
        for n in range(3)
    ]
    settings = {"layers": [0], "site": "block"}
    with pytest.raises(TaskError, match="same tokens up to the position 'answer'"):
        build_vectors(engine, pairs, position="answer", method="mean", **settings)
    with pytest.raises(TaskError, match="same tokens up to the position -2"):
        build_vectors(engine, pairs, position=-2, method="mean", **settings)
    # One pair that differs there is enough; the others add nothing to it.
    other = ContrastPair("pair 3", Side("x", " = 4 + 1"), Side("x", " = 5 - 1"))
    built = build_vectors(engine, [*pairs, other], position=-2, method="mean", **settings)
    assert built.vectors[0].norm > 0
    positive, negative = pair_states(engine, [*pairs, other], position=-2, **settings)
    moved = np.abs(positive[0] - negative[0]).sum(axis=1)
    assert (moved > 0).tolist() == [False, False, False, True]


@given(SEEDS, st.integers(1, 11))
def test_the_mean_is_additive_in_disjoint_sets_of_pairs(seed, cut):
    positive, negative = states(seed)
    whole = aggregate(positive, negative, "mean")
    first = aggregate(positive[:cut], negative[:cut], "mean")
    rest = aggregate(positive[cut:], negative[cut:], "mean")
    weighted = (cut * first + (len(positive) - cut) * rest) / len(positive)
    np.testing.assert_allclose(weighted, whole, atol=1e-12)


def test_controls_of_several_vectors_are_drawn_apart():
    vector = Array(np.ones(400, dtype=np.float32))
    draws = [random_control(vector, seed, index) for seed in (0, 1) for index in (0, 1, 2)]
    cosines = np.array([[float(a.numpy() @ b.numpy()) / 400 for a in draws] for b in draws])
    assert np.abs(cosines - np.eye(6)).max() < 0.2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("site", ["block", "attention"])
def test_a_layer_named_twice_has_the_vector_that_it_has_once(engine, pairs, method, site):
    how = {"site": site, "position": "last", "method": method}
    once = build_vectors(engine, pairs, layers=[2, 1], **how)
    twice = build_vectors(engine, pairs, layers=[2, 1, 1, 2], **how)
    assert twice == once
    assert all(vector.norm > 0 for vector in twice.vectors.values())


def test_no_layer_is_none_to_build_a_vector_for(engine, pairs):
    with pytest.raises(FieldError, match="no layer is named; name one at least"):
        build_vectors(engine, pairs, layers=[], site="block", position="last", method="mean")
