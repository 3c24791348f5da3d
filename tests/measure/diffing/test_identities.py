"""Identities of the methods on real models: zoo/base and a copy of it that was moved a little."""

import weakref
from dataclasses import replace

import pytest
import torch

from harness.engines import open_engine
from harness.engines.contract import Activations, Capture, Reading, Request
from harness.errors import MetricError
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.measure.diffing.activations import adl, difference_of, inverse_lens, lens
from harness.measure.diffing.kl import kl
from harness.measure.diffing.logit_diff import counted, logit_diff
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.patchscope import patched, patchscope, scales_of
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.steered import by_difference
from harness.measure.diffing.texts import Text, Texts
from harness.spec import EngineSettings

LENGTH = 7
SETTINGS = DiffSettings(positions=LENGTH, depth=20, listed=10)


@pytest.fixture(scope="module")
def engine():
    opened = open_engine("zoo/base", EngineSettings())
    yield opened
    opened.close()


def steered(strength, seed=0):
    vector = torch.randn(64, generator=torch.Generator().manual_seed(seed))
    term = Term(layer=0, vector=Array(vector), alpha=strength, positions="all")
    return Steering(terms=(term,))


def texts(count=6, seed=0):
    draw = torch.randint(1, 700, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    rows = tuple(
        Text(f"t{at}", tuple(row.tolist()), tuple(range(LENGTH))) for at, row in enumerate(draw)
    )
    return Texts(rows, tuple(range(LENGTH)), 0)


class Swapped:
    """The two models of a pair with their places changed."""

    def __init__(self, pair):
        self._pair = pair
        self.base, self.tuned, self.rounding = pair.tuned, pair.base, pair.rounding

    def read(self, *arguments):
        for text, own, other in self._pair.read(*arguments):
            yield text, other, own


@pytest.fixture(scope="module")
def pair(engine):
    return Pair(engine, engine, steered(0.5))


def lensed(pair, given, settings, layer):
    return adl(pair, given, settings, difference_of(pair, given, settings, layer))


def patchscoped(pair, given, settings, layer):
    return patchscope(pair, given, settings, difference_of(pair, given, settings, layer))


@pytest.fixture(scope="module")
def copy():
    """The same weights once more, in an engine of their own."""
    opened = open_engine("zoo/base", EngineSettings(slots=3))
    yield opened
    opened.close()


@pytest.mark.parametrize("method", [logit_diff, lensed, patchscoped, kl])
def test_equal_models_give_no_evidence(engine, copy, method):
    for pair in (Pair(engine, engine, steered(0.0)), Pair(engine, copy)):
        found = method(pair, texts(), SETTINGS, 0)
        assert not found.candidates
        assert found.silent == found.positions > 0


@pytest.mark.parametrize("logits", ["logits", "logit_lens", "patchscope_lens"])
def test_counts_are_complementary_under_swapping(pair, logits):
    settings = SETTINGS.model_copy(update={"logits": logits})
    own, other = (counted(each, texts(), settings, 1) for each in (pair, Swapped(pair)))
    assert torch.equal(own.positive, other.negative)
    assert torch.equal(own.negative, other.positive)
    assert torch.allclose(own.total, -other.total)
    assert own.positive.sum() == SETTINGS.depth * own.positions


def test_logits_and_their_logarithms_count_the_same(pair):
    last = counted(pair, texts(), SETTINGS.model_copy(update={"logits": "logit_lens"}), 1)
    assert torch.equal(counted(pair, texts(), SETTINGS, 1).positive, last.positive)


def test_the_order_of_texts_changes_nothing(pair):
    given = texts()
    turned = Texts(given.texts[::-1], given.labels, 0)
    one, other = (counted(pair, each, SETTINGS, 1) for each in (given, turned))
    assert torch.equal(one.positive, other.positive)
    assert torch.allclose(one.total, other.total, atol=1e-4)


def test_topics_are_of_tokens_that_occur(pair):
    found = logit_diff(pair, texts(), SETTINGS.model_copy(update={"ordering": "nmf"}), 1)
    assert list(found.groups) == ["topic 1", "topic 2", "topic 3"]
    assert all(each.numbers["count_positive"] > 0 for each in found.candidates)
    again = logit_diff(pair, texts(), SETTINGS.model_copy(update={"ordering": "nmf"}), 1)
    assert found == again


def test_an_ordering_is_by_its_value_and_says_where(pair):
    for ordering in ("top_k_occurring", "fraction_positive_diff"):
        found = logit_diff(pair, texts(), SETTINGS.model_copy(update={"ordering": ordering}), 1)
        weights = [each.weight for each in found.candidates]
        assert weights == sorted(weights, reverse=True)
        assert all(each.examples for each in found.candidates)


def test_the_mean_difference_changes_its_sign_under_swapping(pair):
    found, swapped = (difference_of(each, texts(), SETTINGS, 1) for each in (pair, Swapped(pair)))
    assert torch.allclose(found.delta, -swapped.delta)


def test_the_lens_knows_directions_alone_and_its_inverse_is_that_of_the_opposite(engine, pair):
    delta = difference_of(pair, texts(), SETTINGS, 1).delta[0]
    assert torch.allclose(inverse_lens(engine, delta), lens(engine, -delta), atol=1e-4)
    assert torch.allclose(lens(engine, 40 * delta), lens(engine, delta), atol=1e-2)


def test_lists_of_the_lens_are_its_most_probable_tokens(engine, pair):
    found = lensed(pair, texts(), SETTINGS, 1)
    assert list(found.groups) == [f"position {at}" for at in range(5)]
    delta = difference_of(pair, texts(), SETTINGS, 1).delta
    top = lens(engine, delta[2]).exp().topk(10)
    listed = found.groups["position 2"]
    assert [each.token for each in listed] == top.indices.tolist()
    assert [each.weight for each in listed] == pytest.approx(top.values.tolist())


def test_a_patched_state_is_one_that_was_written(engine):
    """The state that the model itself has there changes nothing."""
    from harness.measure.diffing.patchscope import prompts_of

    prompt = prompts_of(engine.tokenizer)[0]
    capture = Capture(hidden_layers=(0,), logits=True, positions=(len(prompt) - 1,))
    ((_, own),) = engine.forward([Reading(prompt, capture)])
    said = patched(engine, 0, own.hidden[0])
    three = [
        read.logits[0].softmax(-1)
        for _, read in engine.forward(
            [
                Reading(each, Capture(logits=True, positions=(len(each) - 1,)))
                for each in prompts_of(engine.tokenizer)
            ]
        )
    ]
    assert said.exp().sum() == pytest.approx(1, abs=1e-4)
    assert not torch.allclose(said.exp()[0], torch.stack(three).mean(0).double(), atol=1e-3)
    ((_, alone),) = engine.forward([Reading(prompt, capture, None)])
    assert torch.equal(alone.logits, own.logits)


def test_scales_are_all_read_and_one_is_best(engine):
    vector = torch.randn(64, generator=torch.Generator().manual_seed(1))
    found = scales_of(engine, vector, 0, 3.0, scales=(0.5, 1.0, 20.0))
    assert list(found.said) == [0.5, 1.0, 20.0]
    assert found.excess[found.best] == max(found.excess.values())


def test_fewer_positions_of_the_same_texts_are_the_first_of_more(pair):
    """Nested: models are causal. It holds where the same texts are long enough for both."""
    given, first = texts(), 4
    rows = tuple(
        Text(each.sample, each.tokens[:first], tuple(range(first))) for each in given.texts
    )
    less = counted(pair, Texts(rows, tuple(range(first)), 0), SETTINGS, 1)
    kept = tuple(Text(each.sample, each.tokens, tuple(range(first))) for each in given.texts)
    more = counted(pair, Texts(kept, tuple(range(first)), 0), SETTINGS, 1)
    assert torch.equal(less.positive, more.positive)
    assert torch.equal(less.negative, more.negative)
    assert torch.allclose(less.total, more.total, atol=1e-3)


def test_chunks_of_texts_change_nothing(pair, monkeypatch):
    whole = counted(pair, texts(), SETTINGS, 1), difference_of(pair, texts(), SETTINGS, 1)
    monkeypatch.setattr("harness.measure.diffing.pair._CHUNK", 1)
    alone = counted(pair, texts(), SETTINGS, 1), difference_of(pair, texts(), SETTINGS, 1)
    assert torch.equal(whole[0].positive, alone[0].positive)
    assert torch.allclose(whole[0].total, alone[0].total, atol=1e-3)
    assert torch.allclose(whole[1].delta, alone[1].delta, atol=1e-5)


def test_the_mean_difference_is_linear_in_the_texts(pair):
    given = texts()
    parts = given.texts[:2], given.texts[2:]
    whole, *each = (
        difference_of(pair, Texts(rows, given.labels, 0), SETTINGS, 1).delta
        for rows in (given.texts, *parts)
    )
    sums = sum(len(rows) * delta for rows, delta in zip(parts, each, strict=True))
    assert torch.allclose(whole, sums / len(given), atol=1e-9)


def test_strength_0_is_the_unsteered_model_and_no_difference_no_direction(engine, pair):
    found = difference_of(pair, texts(), SETTINGS, 1)
    prompt = texts().texts[0].tokens
    steering = [None, *(by_difference(found, 1, found.base_norm, at) for at in (0.0, 3.0))]
    said = dict(engine.generate([Request(prompt, 8, each) for each in steering]))
    assert said[0].tokens == said[1].tokens
    assert said[0].log_probabilities == said[1].log_probabilities
    assert said[0].log_probabilities != said[2].log_probabilities
    nothing = replace(found, tuned=found.base)
    with pytest.raises(MetricError, match="the difference at position 1 is 0 within rounding"):
        by_difference(nothing, 1, found.base_norm, 1.0)


class Tokenizer:
    """One that knows so many tokens."""

    def __init__(self, words):
        self._words = words

    def __len__(self):
        return self._words

    def decode(self, tokens):
        return " ".join(map(str, tokens))


class Watched:
    """An engine of random logits that knows how many numbers of them are held at most."""

    def __init__(self, words):
        self.tokenizer, self.determinism = Tokenizer(words), {"dtype": "float32"}
        self._words, self._held, self.most = words, 0, 0
        self._draw = torch.Generator().manual_seed(0)

    def forward(self, readings):
        for position, reading in enumerate(readings):
            logits = torch.randn(len(reading.capture.positions), self._words, generator=self._draw)
            self._held += logits.numel()
            self.most = max(self.most, self._held)
            weakref.finalize(logits, self._forget, logits.numel())
            yield position, Activations(logits=logits)

    def _forget(self, numbers):
        self._held -= numbers


def test_what_is_held_does_not_grow_with_the_texts(monkeypatch):
    words, chunk = 2000, 2000 * LENGTH * 3
    monkeypatch.setattr("harness.measure.diffing.pair._CHUNK", chunk)
    held = []
    for count in (6, 60):
        watched = Watched(words)
        counts = counted(Pair(watched, watched, steered(1.0)), texts(count), SETTINGS, 1)
        assert counts.positions == count * LENGTH
        held.append(watched.most)
    assert held[0] == held[1] <= 4 * chunk  # both models', of this chunk and the one before
