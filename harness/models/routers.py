"""Where the routers of a mixture-of-experts model are: from its configuration, and in its modules.

A router is a module whose forward returns (logits [N, E], scores [N, k], indices [N, k]) for N
tokens, and whose block uses the last two: a forward hook that returns other scores and indices
owns the routing. True of the architectures below in transformers 5.16.1 to 5.19; earlier
versions return other things from modules with other names, where such a hook does nothing and
says nothing. So whatever is not exactly what this table expects is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.models.written import WrittenConfig

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel


@dataclass(frozen=True, slots=True)
class RouterShape:
    """The routers of a model: indices of the layers that have one, experts per layer, top-k."""

    layers: tuple[int, ...]
    experts: int
    top_k: int


@dataclass(frozen=True, slots=True)
class RouterSite:
    """One router in a loaded model: its layer's index, and the module to hook."""

    layer: int
    module: nn.Module
    experts: int
    top_k: int


@dataclass(frozen=True, slots=True)
class _Architecture:
    """Names of classes in transformers, and of the router's attribute in the block `layer.mlp`.

    `sparse_step`: decoder_sparse_step and mlp_only_layers say which layers are dense.
    """

    block: str
    router: str
    attribute: str = "gate"
    sparse_step: bool = False


_ARCHITECTURES: Mapping[str, _Architecture] = {
    "gpt_oss": _Architecture("GptOssMLP", "GptOssTopKRouter", attribute="router"),
    "mixtral": _Architecture("MixtralSparseMoeBlock", "MixtralTopKRouter"),
    "olmoe": _Architecture("OlmoeSparseMoeBlock", "OlmoeTopKRouter"),
    "qwen2_moe": _Architecture("Qwen2MoeSparseMoeBlock", "Qwen2MoeTopKRouter", sparse_step=True),
    "qwen3_moe": _Architecture("Qwen3MoeSparseMoeBlock", "Qwen3MoeTopKRouter", sparse_step=True),
}

# num_experts, num_local_experts, n_routed_experts, moe_num_experts: the count has many names.
_EXPERT_COUNT = re.compile(r"(^|_)n(um)?_(\w+_)?experts$")


def router_shape(config: PreTrainedConfig) -> RouterShape:
    """The routers that a configuration describes; no weights are needed.

    Raises ModelError for a model that has none, and for one whose routers are not known here.
    """
    architecture = _architecture(config)
    layers = range(config.num_hidden_layers)
    if architecture.sparse_step:
        layers_with_router = tuple(layer for layer in layers if _is_sparse(config, layer))
    else:
        layers_with_router = tuple(layers)
    if not layers_with_router:
        raise ModelError(
            f"{_name(config)} has no routers: its configuration makes all of its "
            f"{len(layers)} layers dense"
        )
    return RouterShape(layers_with_router, config.num_experts, config.num_experts_per_tok)


def has_routers(config: PreTrainedConfig) -> bool:
    """Whether a model of this configuration has routers that we know."""
    try:
        router_shape(config)
    except ModelError:
        return False
    return True


def router_sites(model: PreTrainedModel) -> tuple[RouterSite, ...]:
    """The routers of a loaded model, in layer order; they agree with `router_shape` of its config.

    Raises ModelError as `router_shape` does, and when a module is not what its architecture's
    table entry says or would not be called: then a hook might do nothing.
    """
    shape = router_shape(model.config)
    architecture = _architecture(model.config)
    blocks: list[Any] = [getattr(layer, "mlp", None) for layer in _decoder_layers(model)]
    with_router = set(shape.layers)
    for i, block in enumerate(blocks):
        if (_class(block) == architecture.block) != (i in with_router):
            expected = f"a {architecture.block}" if i in with_router else "a dense layer"
            raise ModelError(
                f"{_class(model)}, layer {i}: mlp is a {_class(block)}, but the configuration says "
                f"{expected}; use transformers 5.16.1 to 5.19"
            )
    return tuple(_site(model, i, blocks[i], architecture, shape) for i in shape.layers)


def _site(
    model: PreTrainedModel,
    layer: int,
    block: nn.Module,
    architecture: _Architecture,
    shape: RouterShape,
) -> RouterSite:
    """The verified router of one block."""
    from torch import nn

    router = getattr(block, architecture.attribute, None)
    place = f"{_class(model)}, layer {layer}"
    if not isinstance(router, nn.Module) or _class(router) != architecture.router:
        raise ModelError(
            f"{place}: mlp.{architecture.attribute} is a {_class(router)}, not a "
            f"{architecture.router}; use transformers 5.16.1 to 5.19"
        )
    has = (getattr(router, "num_experts", None), getattr(router, "top_k", None))
    if has != (shape.experts, shape.top_k):
        raise ModelError(
            f"{place}: {architecture.router} selects {has[1]} of {has[0]} experts, but the "
            f"configuration says {shape.top_k} of {shape.experts}"
        )
    for module in (block, router):
        if _forward_is_replaced(module):
            raise ModelError(
                f"{place}: the forward of {_class(module)} was replaced (quantised or "
                "kernelised), so that its router may not be called; load the model dequantised "
                "and without hub kernels"
            )
    return RouterSite(layer, router, shape.experts, shape.top_k)


def _architecture(config: PreTrainedConfig) -> _Architecture:
    """The table's entry for a configuration."""
    if config.model_type in _ARCHITECTURES:
        return _ARCHITECTURES[config.model_type]
    known = ", ".join(_ARCHITECTURES)
    if _counts_experts(config.to_dict()):
        raise ModelError(f"{_name(config)} has routers that are not known here; known are {known}")
    raise ModelError(f"{_name(config)} has no routers; models with known routers are {known}")


def _is_sparse(config: PreTrainedConfig, layer: int) -> bool:
    """Whether a layer has experts, as the decoder layers of Qwen2-MoE and Qwen3-MoE decide it."""
    return (
        layer not in config.mlp_only_layers
        and config.num_experts > 0
        and (layer + 1) % config.decoder_sparse_step == 0
    )


def _counts_experts(config: Mapping[Any, Any]) -> bool:
    """Whether a configuration, or one inside it, has more than one expert."""
    return any(
        _counts_experts(value)
        if isinstance(value, Mapping)
        else isinstance(value, int) and value > 1 and bool(_EXPERT_COUNT.search(str(key)))
        for key, value in config.items()
    )


def _decoder_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder layers of a causal language model, or of its body alone."""
    layers = getattr(model.base_model, "layers", ())
    if len(layers) != model.config.num_hidden_layers:
        raise ModelError(
            f"{_class(model)}: {_class(model.base_model)}.layers holds {len(layers)} layers, but "
            f"the configuration says {model.config.num_hidden_layers}"
        )
    return list(layers)


def _forward_is_replaced(module: nn.Module) -> bool:
    """Whether an instance's forward is not its class's, as after `module.forward = ...`.

    MXFP4 checkpoints and hub kernels do this to a block, whose new forward reads the router's
    weights and never calls it. Accelerate does it too, but calls what it wrapped.
    """
    attributes = vars(module)
    own = attributes.get("_old_forward", attributes.get("forward"))
    return own is not None and getattr(own, "__func__", own) is not type(module).forward


def _name(config: PreTrainedConfig) -> str:
    """What a configuration calls its model: the architecture's class, and the model_type."""
    own = "the model" if isinstance(config, WrittenConfig) else _class(config)
    classes = getattr(config, "architectures", None) or [own]
    return f"{classes[0]} (model_type {config.model_type})"


def _class(thing: object) -> str:
    return type(thing).__name__
