"""Vectors as files: what their engine is told before it reads their pairs."""

from __future__ import annotations

import pytest

from harness.interventions.array import Array
from harness.interventions.vector_file import SteeringVectors
from harness.resolve.progress import Silent
from harness.resolve.steering_asked import asked_by
from harness.resolve.steering_files import build, measured
from tests.told import open_told

PAIRS = {"pairs": "styles", "samples": 2}


@pytest.fixture
def opened(monkeypatch):
    return open_told(monkeypatch, "harness.resolve.steering_files.open_engine")


def places(layers, site):
    return {(layer, site) for layer in layers}


@pytest.mark.parametrize(
    ("site", "layers"), [("block", None), ("mlp", None), ("attention", (1, 3))]
)
def test_building_reads_the_vectors_places_and_the_residual_stream(opened, site, layers):
    built = build(asked_by("zoo/moe", "micro_humaneval", PAIRS, layers=layers, site=site), Silent())
    (engine,) = opened
    assert list(built.vectors) == list(layers or range(4))
    assert engine.declared == engine.asked
    assert engine.asked.read == places(built.vectors, site) | places(built.vectors, "block")


def test_an_imports_norms_are_read_at_its_own_layers_alone(opened):
    vectors = SteeringVectors("mlp", {1: Array([1.0] * 96), 3: Array([0.5] * 96)}, {})
    experiment = asked_by("zoo/moe", "micro_humaneval", PAIRS, layers=(1, 3), site="mlp")
    assert list(measured(vectors, experiment).residual_norms) == [1, 3]
    (engine,) = opened
    assert engine.declared == engine.asked
    assert engine.asked.read == places((1, 3), "block")
