"""When a model asks: by chance with the stated probability, at places, by numbers and by words."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.stats import binom, binomtest, chisquare

from harness import registry
from harness.errors import FieldError, RequestError
from harness.interventions.array import Array
from harness.interventions.oracle.trigger import AnyTrigger, Moment, Trigger
from harness.interventions.oracle.triggers.random import Random
from harness.interventions.vector_file import Logistic, SteeringVectors, write_vectors

READ = TypeAdapter(AnyTrigger)


def trigger(value: object) -> Trigger:
    return READ.validate_python(value)


def moment(position: int = 0, occasion: int = 0, sample: str = "s", **fields) -> Moment:
    fields = {"limit": 100, "draw": 0, "piece": lambda: "", **fields}
    return Moment(occasion=occasion, position=position, sample=sample, **fields)


def scores(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities).log()


def test_the_chance_rises_linearly_between_its_ends():
    random = Random(start=0.3, end=1.0)
    chances = [random.probability(moment(position)) for position in range(101)]
    assert (chances[0], chances[100]) == (0.3, 1.0)
    assert chances == sorted(chances)
    assert chances[50] == pytest.approx(0.65)


def test_it_asks_as_often_as_it_says():
    random = Random(start=0.4, end=0.4)
    asked = [random.fires(moment(at, sample=str(s))) for s in range(100) for at in range(40)]
    assert binomtest(sum(asked), len(asked), 0.4).pvalue > 0.001


def test_consultations_are_binomial_in_number():
    random, occasions, samples = Random(start=0.3, end=0.3), 6, 600
    counts = [
        sum(random.fires(moment(at, sample=str(sample))) for at in range(occasions))
        for sample in range(samples)
    ]
    seen = [counts.count(number) for number in range(occasions + 1)]
    expected = [samples * binom.pmf(number, occasions, 0.3) for number in range(occasions + 1)]
    # The last ones are too rare for a test of their own.
    tail = 4
    told = [*seen[:tail], sum(seen[tail:])], [*expected[:tail], sum(expected[tail:])]
    assert chisquare(*told).pvalue > 0.001


def test_conditions_of_a_sample_share_their_chances_and_seeds_do_not():
    at = [moment(position) for position in range(60)]
    low, high = Random(start=0.2, end=0.2), Random(start=0.6, end=0.6)
    assert all(high.fires(each) for each in at if low.fires(each))
    other = Random(start=0.6, end=0.6, seed=1)
    assert [high.fires(each) for each in at] != [other.fires(each) for each in at]


def test_places_are_counted_by_occasions():
    every, first = trigger({"kind": "every_n", "n": 3}), trigger({"kind": "first_n", "n": 2})
    assert [every.fires(moment(occasion=n)) for n in range(6)] == [n % 3 == 0 for n in range(6)]
    assert [first.fires(moment(occasion=n)) for n in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("section", "asks", "goes_on"),
    [
        ({"kind": "entropy", "above": 0.9}, scores(0.5, 0.5), scores(0.9, 0.1)),
        ({"kind": "varentropy", "above": 0.5}, scores(0.9, 0.1), scores(0.5, 0.5)),
        ({"kind": "confidence", "below": 0.6}, scores(0.5, 0.5), scores(0.9, 0.1)),
        ({"kind": "margin", "below": 0.2}, scores(0.5, 0.4, 0.1), scores(0.8, 0.1, 0.1)),
    ],
)
def test_a_number_beyond_its_threshold_asks(section, asks, goes_on):
    found = trigger(section)
    assert found.reads == {"distribution"}
    assert found.fires(moment(distribution=asks))
    assert not found.fires(moment(distribution=goes_on))


def test_attention_that_is_spread_asks():
    found = trigger({"kind": "attention_entropy", "above": 1.5})
    spread, narrow = torch.zeros(2, 4), torch.tensor([[9.0, 0.0, 0.0, 0.0]] * 2)
    at = [torch.stack([each.softmax(-1), each]) for each in (spread, narrow)]
    assert [found.fires(moment(attention=each)) for each in at] == [True, False]
    with pytest.raises(RequestError, match="a kernel that does not show it"):
        found.fires(moment())


@pytest.fixture
def probed(tmp_path):
    vectors = {1: Array([1.0, -1.0]), 2: Array([0.0, 1.0])}
    file = tmp_path / "probe.safetensors"
    write_vectors(SteeringVectors("mlp", vectors, {}, {}, {1: Logistic(2.0, -1.0)}), file)
    return file


def test_a_probe_asks_by_its_probability(probed):
    found = trigger({"kind": "probe", "file": str(probed), "layer": 1, "above": 0.5})
    assert (found.reads, found.place) == ({"hidden"}, (1, "mlp"))
    states = [torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.0]), torch.tensor([0.0, 1.0])]
    told = [found.measured(moment(hidden=each)) for each in states]
    assert told == pytest.approx([1 / (1 + math.exp(-each)) for each in (1, 0, -3)])
    assert [found.fires(moment(hidden=each)) for each in states] == [True, False, False]


def test_a_probe_is_known_by_what_its_file_holds(probed, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(probed.read_bytes())
    one, two = (
        trigger({"kind": "probe", "file": str(file), "layer": 1, "above": 0.5})
        for file in (probed, other)
    )
    assert one.content() == two.content()
    with pytest.raises(FieldError, match="no probe of layer 2; its probes are of 1"):
        trigger({"kind": "probe", "file": str(probed), "layer": 2, "above": 0.5}).check()
    with pytest.raises(FieldError, match="nowhere"):
        trigger({"kind": "probe", "file": "/nowhere", "layer": 2, "above": 0.5}).check()


def test_two_models_disagree_by_their_best_tokens_or_by_a_distance():
    own, other, near = scores(0.6, 0.4), scores(0.4, 0.6), scores(0.51, 0.49)
    best, far = trigger("both_disagree"), trigger({"kind": "both_disagree", "above": 0.05})
    assert best.fires(moment(distribution=own, oracle=other))
    assert not best.fires(moment(distribution=own, oracle=near))
    assert far.fires(moment(distribution=own, oracle=other))
    assert not far.fires(moment(distribution=own, oracle=near))


def test_words_are_looked_for_in_the_last_piece():
    text = trigger({"kind": "text", "cues": ["Wait"]})
    assert text.fires(moment(piece=lambda: "5. Wait, no"))
    assert not text.fires(moment(piece=lambda: "waiting"))


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"kind": "entropy"}, "either above or share"),
        ({"kind": "entropy", "above": 1, "share": 0.5}, "either above or share"),
        ({"kind": "entropy", "share": 0.5, "pgr": 0.5}, "either above or share or pgr"),
        ({"kind": "margin", "pgr": 1.0}, "less than 1"),
        ({"kind": "entropy", "above": -1}, "greater than or equal to 0"),
        ({"kind": "every_n", "n": 0}, "greater than 0"),
        ({"kind": "random", "start": 1.5}, "less than or equal to 1"),
        ({"kind": "random", "start": 0.9, "end": 0.1}, "start 0.9 is above end 0.1"),
        ("randm", "randm"),
    ],
)
def test_what_cannot_be_is_refused(section, told):
    with pytest.raises(ValidationError, match=told):
        trigger(section)


def test_a_third_partys_trigger_is_one_like_any_other():
    class Never(Trigger):
        summary = "never"
        kind: str = "never"

        def fires(self, moment: Moment) -> bool:
            return False

    from typing import Literal

    class Own(Never):
        kind: Literal["never"] = "never"

    registry.triggers.register("never", Own)
    try:
        assert trigger("never") == Own()
        assert "never" in registry.triggers.summaries()
    finally:
        registry.triggers.unregister("never")
