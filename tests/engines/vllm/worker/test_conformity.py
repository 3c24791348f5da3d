"""Routers as vLLM builds them, held against configurations: mended, or refused by name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn
from transformers import DeepseekV3Config, MixtralConfig, OlmoeConfig, Qwen2MoeConfig

from harness.engines.vllm.worker.conformity import conform
from harness.errors import ModelError


class Router:
    """One that vLLM made, of `changes`; by default what OLMoE's always is."""

    def __init__(self, **changes):
        built = {
            "top_k": 2,
            "renormalize": False,
            "scoring_func": "softmax",
            "routed_scaling_factor": 1.0,
            "e_score_correction_bias": None,
            "use_grouped_topk": False,
            "num_expert_group": None,
            "topk_group": None,
            "custom_routing_function": None,
        }
        vars(self).update(built | changes)

    @property
    def routing_method_type(self):
        return f"renormalize={self.renormalize}"

    def _compute_routing(self):
        """What makes it a router."""


class Experts(nn.Module):
    """The module that holds a layer's experts, and the router."""

    def __init__(self, *, monolithic=False, scale=1.0, experts=8, **changes):
        super().__init__()
        self.router = Router(**changes)
        self.routed_scaling_factor = scale
        self.moe_config = SimpleNamespace(num_logical_experts=experts, routing_method="")
        self.routed_experts = nn.Module()
        self.routed_experts.apply_router_weight_on_input = False
        self.routed_experts.quant_method = SimpleNamespace(is_monolithic=monolithic)


def model_with(experts, shared=None):
    """A model of one layer, as vLLM names its parts."""
    layer, model = nn.Module(), nn.Module()
    layer.mlp = nn.Module()
    layer.mlp.experts = experts
    if shared is not None:
        layer.mlp.shared_expert = nn.Module()
        layer.mlp.shared_expert.down_proj = nn.Module()
        layer.mlp.shared_expert.down_proj.input_size = shared
    layer.norm = nn.Module()
    layer.norm.variance_epsilon = 1e-5
    model.layers = nn.ModuleList([layer])
    return model


_OLMOE = {"num_experts": 8, "num_experts_per_tok": 2}


@pytest.mark.parametrize("normalised", [True, False])
def test_what_vllm_writes_as_a_constant_is_made_what_the_checkpoint_says(
    vllm_installed, normalised
):
    model = model_with(Experts(renormalize=not normalised))
    conform(model, OlmoeConfig(**_OLMOE, norm_topk_prob=normalised, rms_norm_eps=0.1))
    experts = model.layers[0].mlp.experts
    assert experts.router.renormalize == experts.routed_experts.renormalize == normalised
    assert experts.moe_config.routing_method == f"renormalize={normalised}"
    assert model.layers[0].norm.variance_epsilon == 0.1


_QWEN = {**_OLMOE, "shared_expert_intermediate_size": 32}
_DEEPSEEK = {"num_experts_per_tok": 2, "norm_topk_prob": True, "n_group": 4, "topk_group": 2}
_GROUPED = {
    "renormalize": True,
    "use_grouped_topk": True,
    "num_expert_group": 4,
    "topk_group": 2,
    "scale": 2.5,
}


@pytest.mark.parametrize(
    ("config", "experts", "shared", "message"),
    [
        (OlmoeConfig(**_OLMOE), {"top_k": 3}, None, "3 as the top-k .* configuration says 2"),
        (OlmoeConfig(**_OLMOE), {"experts": 9}, None, "9 as the experts"),
        (OlmoeConfig(**_OLMOE), {"scoring_func": "sigmoid"}, None, "sigmoid as the scoring"),
        (OlmoeConfig(**_OLMOE), {"routed_scaling_factor": 2.0}, None, "2.0 as the scaling"),
        (OlmoeConfig(**_OLMOE), {"scale": 2.0}, None, "2.0 as the scaling"),
        (OlmoeConfig(**_OLMOE), {"e_score_correction_bias": 0}, None, "True as the correction"),
        (
            OlmoeConfig(**_OLMOE),
            {"use_grouped_topk": True, "num_expert_group": 4, "topk_group": 2},
            None,
            "4 as the groups",
        ),
        (OlmoeConfig(**_OLMOE), {"custom_routing_function": max}, None, "max as the rule of its"),
        (OlmoeConfig(**_OLMOE), {}, 16, "16 as the width of shared experts"),
        (Qwen2MoeConfig(**_QWEN), {}, 16, "16 as the width .* configuration says 32"),
        (
            MixtralConfig(num_local_experts=8),
            {"monolithic": True},
            None,
            "False as the renormalisation .* configuration says True",
        ),
        (
            DeepseekV3Config(**_DEEPSEEK, routed_scaling_factor=2.0),
            _GROUPED,
            None,
            "2.5 as the scaling .* configuration says 2.0",
        ),
    ],
)
def test_a_router_that_cannot_be_mended_is_refused_by_name(
    vllm_installed, config, experts, shared, message
):
    with pytest.raises(ModelError, match=rf"vLLM's Module 0 has {message}.*use engine\.name: tra"):
        conform(model_with(Experts(**experts), shared), config)


def test_routers_of_other_architectures_that_agree_are_left_alone(vllm_installed):
    model = model_with(Experts(**_GROUPED))
    conform(model, DeepseekV3Config(**_DEEPSEEK, routed_scaling_factor=2.5))
    assert model.layers[0].norm.variance_epsilon == 1e-5
