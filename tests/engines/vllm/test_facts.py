"""What a configuration says of a model's longest sequence, and what a spec may ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from transformers import BloomConfig, GPT2Config

from harness.engines.vllm.facts import ModelFacts
from harness.errors import FieldError, ModelError


@pytest.fixture(scope="module")
def facts():
    return ModelFacts.of("zoo/base")


def test_columns_are_the_context_or_less(facts):
    assert facts.columns(None) == facts.context
    assert facts.columns(40) == 40
    message = r"^engine\.columns: 9999 tokens are more than the context of zoo/base, which is \d+;"
    with pytest.raises(FieldError, match=message):
        facts.columns(9999)


def test_the_context_has_several_names(facts):
    assert replace(facts, config=GPT2Config(n_positions=77)).context == 77


def test_a_model_whose_context_nobody_knows_is_refused_by_name(facts):
    message = r"^model_type bloom: the configuration says no longest sequence \(max_position_"
    with pytest.raises(ModelError, match=message):
        _ = replace(facts, config=BloomConfig()).context
