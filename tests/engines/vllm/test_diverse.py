"""Requests that differ in every dimension, against the definitions in float64."""

from __future__ import annotations

import pytest

from harness.engines.vllm.engine import VllmEngine
from harness.invariants.tiny_models import tiny_model
from harness.spec import EngineSettings
from tests.engines.diverse import readings, requests, scorings
from tests.engines.reference64 import Reference


@pytest.fixture(scope="module")
def reference():
    """Its first layer has no router, and the weights of its experts do not sum to 1."""
    return Reference(tiny_model("qwen3_moe-unnormalised"))


@pytest.fixture(scope="module")
def engine(vllm_installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    loaded = tiny_model("qwen3_moe-unnormalised")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    vllm = VllmEngine(str(folder), EngineSettings(name="vllm", slots=7))
    yield vllm
    vllm.close()


def test_diverse_requests_give_what_is_defined(engine, reference):
    queue = requests(reference.model.config)
    assert reference.complaints(engine, queue) == {}
    assert reference.complaints(engine, queue) == {}  # with prefixes that are there


def test_diverse_readings_give_what_is_defined(engine, reference):
    assert reference.complaints_of(engine, readings(reference.model.config)) == {}


def test_diverse_scorings_give_what_is_defined(engine, reference):
    asked = scorings(reference.model.config)
    assert reference.complaints_of_scores(engine, asked) == {}
    assert reference.complaints_of_scores(engine, asked) == {}  # with prefixes that are there
