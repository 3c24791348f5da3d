"""Where a model's hidden states can be read and steered: the modules behind (layer, site).

- block: a decoder layer; its output is the residual stream after it
- attention: its self-attention; the output before it is added to the residual stream
- mlp: its feed-forward part, dense or of experts; the output before it is added

Each module is found by the names that decoder layers in transformers give it. A module that is not
there, or is not called in a forward pass, would make a hook that does nothing, in silence: so a
missing one is an error here, and callers that hook a module check that the hook ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.interventions.steering_terms import Site

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

#: What decoders call their layers: GPT-2, GPT-J, Falcon and CTRL say h.
_BLOCKS = ("layers", "h", "blocks")
_NAMES = {
    "attention": ("self_attn", "attention", "attn"),
    "mlp": ("mlp", "feed_forward", "block_sparse_moe", "ffn"),
}


def hidden_shape(config: Any) -> tuple[int, int]:
    """Layers and width of the hidden states that a configuration describes."""
    text = config.get_text_config()
    return int(text.num_hidden_layers), int(text.hidden_size)


def decoder_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder's layers; raises ModelError where they have no known name."""
    from torch import nn

    # Llama 4 gives itself for its decoder, which is called model as in most architectures.
    for part in (model.get_decoder(), getattr(model, "model", None)):
        for name in _BLOCKS:
            blocks = getattr(part, name, None)
            if isinstance(blocks, nn.ModuleList):
                return blocks
    raise ModelError(
        f"{type(model).__name__} has no layers under a known name ({', '.join(_BLOCKS)}), so "
        "that nothing can be read or steered in it"
    )


def site_module(model: PreTrainedModel, layer: int, site: Site) -> nn.Module:
    """The module whose output is the hidden state at a layer's site.

    Raises ModelError for a layer that does not exist, and for a site that the architecture's
    layers do not have under a known name.
    """
    from torch import nn

    blocks = decoder_blocks(model)
    if not 0 <= layer < len(blocks):
        raise ModelError(f"there is no layer {layer}; the model's layers are 0-{len(blocks) - 1}")
    block: nn.Module = blocks[layer]
    if site == "block":
        return block
    for name in _NAMES[site]:
        module = getattr(block, name, None)
        if isinstance(module, nn.Module):
            return module
    children = ", ".join(name for name, _ in block.named_children())
    raise ModelError(
        f"{type(block).__name__} has no {site} under a known name; its parts are {children}"
    )
