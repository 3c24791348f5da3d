"""Hidden states are found again by the same question alone, and each part of it is in the key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.engines import open_engine
from harness.measure.steering_vectors import build_vectors, pair_states
from harness.resolve.activation_cache import ActivationCache, state_keys
from harness.spec.experiment import EngineSettings
from harness.store.hidden_states import kept_states
from harness.tasks.contrast import ContrastPair, Side

PAIRS = tuple(
    ContrastPair(
        f"pair {n}", Side(f"{n} + {n} =", f" {2 * n}."), Side(f"{n} + {n} =", f" {n + 7}.")
    )
    for n in range(5)
)
ASKED = {"layers": [0, 1], "site": "block", "position": "last"}


class Counting:
    """An engine that counts the layers that are read of it, or that says it is another."""

    def __init__(self, engine, **facts):
        self._engine = engine
        self.layers = []
        self.__dict__.update(facts)

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def forward(self, readings):
        self.layers += readings[0].capture.hidden_layers
        return self._engine.forward(readings)


@pytest.fixture(scope="module")
def engine():
    opened = open_engine("zoo/base", EngineSettings())
    yield opened
    opened.close()


@pytest.fixture
def cache(tmp_path):
    return ActivationCache(tmp_path / "activations")


def read(cache, engine, pairs=PAIRS, **changes):
    """What the cache gives, and the layers that it had to read for it."""
    counting = Counting(engine)
    states = cache.pair_states(counting, pairs, **{**ASKED, **changes})
    return states, counting.layers


def test_what_is_kept_is_what_was_read(cache, engine):
    expected = pair_states(engine, PAIRS, **ASKED)
    first, layers = read(cache, engine)
    again, none = read(cache, engine)
    assert (layers, none) == ([0, 1], [])
    for states in (first, again):
        for side in (0, 1):
            for layer in (0, 1):
                np.testing.assert_array_equal(states[side][layer], expected[side][layer])


def test_vectors_from_kept_states_are_the_same(cache, engine):
    asked = {**ASKED, "method": "mean"}
    expected = build_vectors(engine, PAIRS, **asked)
    for _ in range(2):
        found = build_vectors(engine, PAIRS, **asked, read=cache.pair_states)
        assert found.vectors == expected.vectors
        assert found.residual_norms == expected.residual_norms


def test_only_the_layers_that_are_missing_are_read(cache, engine):
    read(cache, engine, layers=[1])
    states, layers = read(cache, engine, layers=[0, 1])
    assert layers == [0]
    assert list(states[0]) == [0, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"site": "mlp"},
        {"position": "answer"},
        {"position": -2},
        {"pairs": PAIRS[:4]},
        {"pairs": PAIRS[::-1]},
        {"pairs": (replace(PAIRS[0], id="another"), *PAIRS[1:])},
        {"pairs": (replace(PAIRS[0], positive=Side("1 + 1 =", " 3.")), *PAIRS[1:])},
    ],
)
def test_another_question_is_read_anew(cache, engine, change):
    read(cache, engine)
    assert read(cache, engine, **change)[1] == [0, 1]
    assert read(cache, engine)[1] == []


def test_another_layer_is_another_file(cache, engine):
    keys = state_keys(engine, PAIRS, **ASKED)
    assert len(set(keys.values())) == 2


def test_another_model_is_read_anew(cache, engine):
    read(cache, engine)
    other = open_engine("zoo/oracle", EngineSettings())
    try:
        assert read(cache, other)[1] == [0, 1]
    finally:
        other.close()


def test_another_type_is_read_anew(cache, engine):
    read(cache, engine)
    half = open_engine("zoo/base", EngineSettings(dtype="bfloat16"))
    try:
        assert read(cache, half)[1] == [0, 1]
    finally:
        half.close()


def test_another_template_is_read_anew(cache, engine):
    """Conversations are in the key as the tokens that the template makes of them."""
    from harness.tasks.contrast import style_pairs

    pairs = style_pairs(["Ann has 3 pens.", "Tom has 4 cups."], code=False)
    read(cache, engine, pairs)
    tokenizer = engine.tokenizer
    before = tokenizer.chat_template
    tokenizer.chat_template = before.replace("<|im_end|>", "<|im_end|> ", 1)
    assert tokenizer.chat_template != before
    try:
        assert read(cache, engine, pairs)[1] == [0, 1]
    finally:
        tokenizer.chat_template = before
    assert read(cache, engine, pairs)[1] == []


def test_a_fresh_cache_reads_all_and_keeps_it(cache, engine):
    read(cache, engine)
    fresh = ActivationCache(cache.directory, fresh=True)
    assert read(fresh, engine)[1] == [0, 1]
    assert read(cache, engine)[1] == []


@pytest.mark.parametrize("harm", ["torn", "altered", "renamed"])
def test_what_is_damaged_is_told_and_read_anew(cache, engine, harm):
    read(cache, engine)
    first, second = sorted(cache.directory.glob("*.safetensors"))
    if harm == "torn":
        first.write_bytes(first.read_bytes()[:-50])
    elif harm == "altered":
        facts = next(kept_states(cache.directory)).facts
        tensors = load_file(first)
        tensors["positive"][0, 0] += 1
        save_file(tensors, first, metadata=dict(facts))
    else:
        second.replace(first)
    problems = [each.problem for each in kept_states(cache.directory)]
    assert sum(problem is not None for problem in problems) == 1
    assert len(read(cache, engine)[1]) == (2 if harm == "renamed" else 1)
    assert all(each.problem is None for each in kept_states(cache.directory))
    assert read(cache, engine)[1] == []


def test_a_text_does_not_depend_on_its_batch_mates(engine):
    """Padding is masked out, and positions are a text's own: alone, beside short and long texts."""
    long = ContrastPair("long", Side("word " * 90, " a"), Side("word " * 60, " b"))
    alone = pair_states(engine, PAIRS[:1], **ASKED)
    beside = pair_states(engine, [long, *PAIRS, long], **ASKED)
    for side in (0, 1):
        for layer in (0, 1):
            np.testing.assert_allclose(
                alone[side][layer][0], beside[side][layer][1], rtol=1e-5, atol=2e-5
            )
