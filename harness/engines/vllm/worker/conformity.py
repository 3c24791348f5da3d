"""A model as vLLM built it, held against its configuration: mended where it can be, else refused.

vLLM (0.32) writes some settings of its models as constants: `olmoe.py` never renormalises the
weights of the selected experts and has its own epsilon in every norm, whatever a checkpoint says.
Such a model would be another one than the checkpoint's, in silence, its baseline included. So every
setting of every router that was built is compared with the configuration before weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from harness.engines.vllm.worker.structure import (
    decoder_layers,
    kernel_that_routes,
    routed_module,
    shared_width,
)
from harness.errors import ModelError

# Of the architectures whose routing we know from transformers: whether the weights of a token's
# experts are divided by their sum. All of them score by a softmax, without scale, bias or groups.
_RENORMALISES: Mapping[str, bool | None] = {
    "gpt_oss": True,
    "mixtral": True,
    "olmoe": None,  # as `norm_topk_prob` says
    "qwen2_moe": None,
    "qwen3_moe": None,
}
# Of other architectures: what a router is compared in where the configuration has it, by the names
# that most configurations share.
_NAMES: Mapping[str, str] = {
    "top-k": "num_experts_per_tok",
    "renormalisation": "norm_topk_prob",
    "scoring": "scoring_func",
    "groups": "n_group",
    "groups kept": "topk_group",
    "scaling": "routed_scaling_factor",
}


def conform(model: nn.Module, config: Any) -> None:
    """Make a built model what its configuration says. Raises `ModelError` where that cannot be.

    Args:
        model: The model as vLLM built it; its weights need not be loaded.
        config: The configuration of its text part, as transformers has it.
    """
    known = config.model_type in _RENORMALISES
    if known:
        _mend_norms(model, float(config.rms_norm_eps))
    for index, layer in decoder_layers(model).items():
        module = routed_module(layer)
        if module is None:
            continue
        expected = _expected(config) if known else _named(config)
        renormalises = expected.get("renormalisation")
        # A kernel that routes by itself was chosen for the routing that the model was built with.
        if known and kernel_that_routes(module) is None:
            _renormalise(module, renormalises=bool(renormalises))
        found = _found(module, layer)
        wrong = next((name for name in expected if found[name] != expected[name]), None)
        if wrong is not None:
            raise ModelError(
                f"vLLM's {type(layer).__name__} {index} has {found[wrong]} as the {wrong} of its "
                f"router, and the configuration says {expected[wrong]}; use engine.name: "
                "transformers"
            )


def _renormalise(module: Any, *, renormalises: bool) -> None:
    """Let a layer's router do this, and tell all that would read it of the layer."""
    module.router.renormalize = renormalises
    module.routed_experts.renormalize = renormalises
    module.moe_config.routing_method = module.router.routing_method_type


def _mend_norms(model: nn.Module, epsilon: float) -> None:
    """Every norm of these architectures has the configured epsilon."""
    for module in model.modules():
        if hasattr(module, "variance_epsilon"):
            setattr(module, "variance_epsilon", epsilon)  # noqa: B010 - torch types no such name


def _expected(config: Any) -> dict[str, Any]:
    """The routing of an architecture that we know, by the names of `_found`."""
    renormalises = _RENORMALISES[config.model_type]
    if renormalises is None:
        renormalises = bool(config.norm_topk_prob)
    shared = config.shared_expert_intermediate_size if config.model_type == "qwen2_moe" else 0
    return {
        "experts": config.num_experts,
        "top-k": config.num_experts_per_tok,
        "renormalisation": renormalises,
        "scoring": "softmax",
        "scaling": 1.0,
        "correction bias": False,
        "groups": 1,
        "groups kept": 1,
        "rule of its own": None,
        "width of shared experts": shared,
        "weights on the input": False,
    }


def _named(config: Any) -> dict[str, Any]:
    """What a configuration says of its routers by the common names."""
    expected = {}
    for setting, name in _NAMES.items():
        value = getattr(config, name, None)
        if value is not None:
            expected[setting] = value
    return expected


def _found(module: Any, layer: nn.Module) -> dict[str, Any]:
    """What a layer's router was built with; what a kind of router does not have is neutral."""
    router = module.router
    grouped = getattr(router, "use_grouped_topk", hasattr(router, "num_expert_group"))
    own = getattr(router, "custom_routing_function", None)
    experts = module.routed_experts
    return {
        "experts": module.moe_config.num_logical_experts,
        "top-k": router.top_k,
        "renormalisation": bool(getattr(router, "renormalize", True)),
        "scoring": getattr(router, "scoring_func", "softmax"),
        "scaling": float(getattr(router, "routed_scaling_factor", 1.0)) * _scale_of(module),
        "correction bias": getattr(router, "e_score_correction_bias", None) is not None,
        "groups": (router.num_expert_group or 1) if grouped else 1,
        "groups kept": (router.topk_group or 1) if grouped else 1,
        "rule of its own": getattr(own, "__name__", None),
        "width of shared experts": shared_width(layer),
        "weights on the input": experts.apply_router_weight_on_input,
    }


def _scale_of(module: Any) -> float:
    """The factor of the experts' output, where that is not the router's."""
    return float(getattr(module, "routed_scaling_factor", 1.0) or 1.0)
