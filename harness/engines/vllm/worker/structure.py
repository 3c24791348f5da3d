"""Where things are in a model as vLLM built it: decoder layers, their sites, and their routers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from harness.errors import ModelError
from harness.interventions.steering_terms import Site

_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)$")
_NAMES = {
    "attention": ("self_attn", "attention", "attn"),
    "mlp": ("mlp", "feed_forward", "block_sparse_moe", "ffn"),
}


def decoder_layers(model: nn.Module) -> Mapping[int, nn.Module]:
    """The decoder layers that this process holds, by index; with pipeline parallelism a part."""
    from vllm.model_executor.models.utils import PPMissingLayer

    found: dict[int, nn.Module] = {}
    for name, module in model.named_modules():
        match = _LAYER.search(name)
        if match and not isinstance(module, PPMissingLayer):
            found.setdefault(int(match[1]), module)
    return found


def site_module(layer: nn.Module, index: int, site: Site) -> nn.Module:
    """The module whose output is the hidden state at a layer's site; `ModelError` without one."""
    if site == "block":
        return layer
    for name in _NAMES[site]:
        module = getattr(layer, name, None)
        if isinstance(module, nn.Module):
            return module
    children = ", ".join(name for name, _ in layer.named_children())
    raise ModelError(
        f"vLLM's {type(layer).__name__} {index} has no {site}; its parts are {children}"
    )


def routed_module(layer: nn.Module) -> Any | None:
    """The part of a layer that holds its experts and what routes to them; None in a dense layer."""
    for module in layer.modules():
        if hasattr(getattr(module, "router", None), "_compute_routing"):
            return module
    return None


def router_of(layer: nn.Module) -> Any | None:
    """What routes a layer's tokens to its experts; None for a dense layer.

    Raises ModelError where the routing happens inside a kernel, so that nothing could be put there.
    """
    module = routed_module(layer)
    if module is None:
        return None
    kernel = kernel_that_routes(module)
    if kernel is not None:
        raise ModelError(
            f"vLLM's kernel {kernel} routes tokens by itself, where no mask reaches them; "
            "use engine.name: transformers"
        )
    return module.router


def kernel_that_routes(module: Any) -> str | None:
    """The name of the kernel that routes tokens by itself, asking no router; None where none does.

    `module` is what `routed_module` found.
    """
    method = getattr(getattr(module, "routed_experts", None), "quant_method", None)
    if getattr(module, "is_monolithic", False) or getattr(method, "is_monolithic", False):
        # Known from the class before its kernel is made of the weights.
        kernel = getattr(method, "experts_cls", None) or type(method)
        return str(kernel.__name__)
    return None


def shared_width(layer: nn.Module) -> int:
    """The inner width of the expert that every token of a layer passes; 0 without one."""
    for name, module in layer.named_modules():
        if name.rpartition(".")[2] == "shared_expert":
            return int(module.down_proj.input_size)
    return 0


def check_routers(model: nn.Module) -> None:
    """Raise `ModelError` for a model that was built, its weights not loaded yet, as `router_of`."""
    for layer in decoder_layers(model).values():
        router_of(layer)
