"""Requests that differ in every dimension, against the definitions in float64."""

from __future__ import annotations

import pytest

from harness.engines.transformers.engine import TransformersEngine
from harness.invariants.tiny_models import tiny_model
from tests.engines.diverse import readings, requests, scorings
from tests.engines.reference64 import Reference


@pytest.fixture(scope="module")
def loaded():
    """Its first layer has no router, and the weights of its experts do not sum to 1."""
    return tiny_model("qwen3_moe-unnormalised")


@pytest.fixture(scope="module")
def reference(loaded):
    return Reference(loaded)


def test_diverse_requests_give_what_is_defined(loaded, reference):
    queue = requests(loaded.model.config)
    engine = TransformersEngine(loaded, slots=7)
    assert reference.complaints(engine, queue) == {}
    assert reference.complaints(engine, queue) == {}  # with prefixes that are there


def test_diverse_requests_of_fixed_shapes_give_what_is_defined(loaded, reference):
    queue = requests(loaded.model.config)[::3]
    engine = TransformersEngine(loaded, slots=7, columns=192, determinism="strict")
    assert reference.complaints(engine, queue) == {}


def test_diverse_readings_give_what_is_defined(loaded, reference):
    asked = readings(loaded.model.config)
    assert reference.complaints_of(TransformersEngine(loaded), asked) == {}


@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_diverse_scorings_give_what_is_defined(loaded, reference, determinism):
    asked = scorings(loaded.model.config)
    engine = TransformersEngine(loaded, determinism=determinism)
    assert reference.complaints_of_scores(engine, asked) == {}
