"""Identities of the methods on real models: zoo/base and a copy of it that was moved a little."""

import pytest
import torch

from harness.engines import open_engine
from harness.engines.contract import Capture, Reading
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.measure.diffing.activations import adl, difference_of, inverse_lens, lens
from harness.measure.diffing.kl import kl
from harness.measure.diffing.logit_diff import counted, logit_diff
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.patchscope import patched, scales_of
from harness.measure.diffing.section import DiffSettings
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


@pytest.mark.parametrize("method", [logit_diff, lensed, kl])
def test_a_neutral_intervention_gives_no_evidence(engine, method):
    found = method(Pair(engine, engine, steered(0.0)), texts(), SETTINGS, 0)
    assert not found.candidates
    assert found.silent == found.positions > 0


@pytest.mark.parametrize("logits", ["logits", "logit_lens"])
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


def test_the_mean_difference_is_that_of_a_plain_loop_in_float64(engine, pair):
    given = texts()
    found = difference_of(pair, given, SETTINGS, 1)
    own, other = [], []
    for text in given.texts:
        for states, intervention in ((own, None), (other, pair.intervention)):
            reading = Reading(text.tokens, Capture(hidden_layers=(1,)), intervention)
            ((_, read),) = engine.forward([reading])
            states.append(read.hidden[1].double())
    base, tuned = torch.stack(own).mean(0), torch.stack(other).mean(0)
    assert torch.allclose(found.base, base, atol=1e-5)
    assert torch.allclose(found.delta, tuned - base, atol=1e-5)
    norm = torch.stack(own)[:, SETTINGS.skipped :].norm(dim=-1).mean()
    assert found.base_norm == pytest.approx(float(norm), rel=1e-5)
    swapped = difference_of(Swapped(pair), given, SETTINGS, 1)
    assert torch.allclose(found.delta, -swapped.delta)


def test_the_lens_is_norm_and_head_in_float64_and_knows_directions_alone(engine, pair):
    delta = difference_of(pair, texts(), SETTINGS, 1).delta[0]
    model = engine.loaded.model
    norm, head = model.get_decoder().norm, model.get_output_embeddings()
    scaled = delta / (delta.pow(2).mean() + model.config.rms_norm_eps).sqrt()
    logits = (scaled * norm.weight.double()) @ head.weight.double().T
    assert torch.allclose(lens(engine, delta), logits.log_softmax(-1), atol=1e-4)
    assert torch.allclose(inverse_lens(engine, delta), (-logits).log_softmax(-1), atol=1e-4)
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
