"""Where a router is found in a layer, and what is refused because no mask would reach it."""

from __future__ import annotations

import pytest
from torch import nn

from harness.engines.vllm.worker.structure import router_of, site_module
from harness.errors import ModelError


class Kernel:
    """How vLLM computes a layer's experts; a monolithic one routes by itself."""

    def __init__(self, *, monolithic):
        self.is_monolithic = monolithic


class Router:
    def _compute_routing(self):
        """The seam."""


class Runner(nn.Module):
    def __init__(self, *, monolithic):
        super().__init__()
        self.router = Router()
        self.routed_experts = nn.Module()
        self.routed_experts.quant_method = Kernel(monolithic=monolithic)


def layer_with(**parts):
    layer = nn.Module()
    for name, module in parts.items():
        setattr(layer, name, module)
    return layer


def test_a_router_is_what_computes_a_routing():
    runner = Runner(monolithic=False)
    assert router_of(layer_with(mlp=nn.Sequential(runner))) is runner.router
    assert router_of(layer_with(mlp=nn.Linear(2, 2))) is None


def test_a_kernel_that_routes_by_itself_is_refused():
    with pytest.raises(ModelError, match="vLLM's kernel Kernel routes tokens by itself, where no"):
        router_of(layer_with(mlp=Runner(monolithic=True)))


def test_a_site_is_found_under_its_names_and_a_missing_one_is_said():
    attention = nn.Linear(2, 2)
    layer = layer_with(self_attn=attention)
    assert site_module(layer, 3, "block") is layer
    assert site_module(layer, 3, "attention") is attention
    with pytest.raises(ModelError, match="vLLM's Module 3 has no mlp; its parts are self_attn"):
        site_module(layer, 3, "mlp")
