"""Layouts that vLLM cannot build, told by a configuration alone."""

from __future__ import annotations

import pytest
from transformers import AutoConfig

from harness.engines.vllm.layout import check_layout
from harness.errors import FieldError
from harness.models.loading import load_config
from harness.spec import EngineSettings


def config_with(**changes):
    """zoo/moe's: 4 heads, 2 heads of keys and values, 16 experts, 4 layers; with changes."""
    config = load_config("zoo/moe").to_dict()
    return AutoConfig.for_model(**(config | changes))


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        (
            {},
            {"tensor_parallel_size": 3},
            "tensor_parallel_size: 3 does not go with the model's 4 attention heads; it has to",
        ),
        (
            {"num_attention_heads": 12, "num_key_value_heads": 4},
            {"tensor_parallel_size": 6},
            "tensor_parallel_size: 6 .* 4 heads of keys and values; one of the two has to divide",
        ),
        (
            {"num_attention_heads": 32},
            {"tensor_parallel_size": 32},
            "tensor_parallel_size: 32 does not go with the model's 16 experts in a layer",
        ),
        (
            {},
            {"pipeline_parallel_size": 5},
            "pipeline_parallel_size: 5 does not go with the model's 4 layers; every group needs",
        ),
    ],
)
def test_an_impossible_layout_is_refused_with_what_it_does_not_fit(changes, settings, message):
    with pytest.raises(FieldError, match=rf"^engine\.{message}"):
        check_layout(config_with(**changes), EngineSettings(name="vllm", **settings))


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({}, {}),
        ({}, {"tensor_parallel_size": 4, "pipeline_parallel_size": 4}),  # shared heads are copied
        ({"num_attention_heads": 8, "num_key_value_heads": 8}, {"tensor_parallel_size": 8}),
    ],
)
def test_a_possible_layout_is_taken(changes, settings):
    check_layout(config_with(**changes), EngineSettings(name="vllm", **settings))


def test_a_dense_model_has_no_experts_to_share_out():
    check_layout(load_config("zoo/base"), EngineSettings(name="vllm", tensor_parallel_size=4))
