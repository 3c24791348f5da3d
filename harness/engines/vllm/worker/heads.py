"""Heads of sizes that vLLM's CPU kernels do not have: padded for attention, rotated by torch.

A dimension in which queries and keys are 0 adds nothing to a score, and one in which values are 0
gives 0: padding is exact, whatever the scale, which vLLM is given separately. The rotary kernel
(0.32, `csrc/cpu/pos_encoding.cpp`) moves bfloat16 numbers eight at a time and ends the process with
SIGSEGV where half of what is rotated is not a multiple of 8; vLLM's own code in torch does the
same without it. Kernels for GPUs take these sizes as they are. The zoo's heads have 16, 24 and 32
dimensions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from harness.engines.vllm.worker.ours import settings_of

# Of the rotary kernel: how many bfloat16 numbers it moves at a time.
_ROTATED_AT_A_TIME = 8


def padded_size(size: int) -> int:
    """The smallest size of heads that vLLM's CPU kernels have and that holds `size`, or `size`."""
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    sizes = CPUAttentionBackend.get_supported_head_sizes()
    return min((each for each in sizes if each >= size), default=size)


def rotate_by_torch(model: nn.Module, dtype: torch.dtype) -> None:
    """Keep a model's rotary embeddings from a kernel that cannot take their size; only on a CPU."""
    from vllm.model_executor.layers.rotary_embedding.base import RotaryEmbeddingBase
    from vllm.platforms import current_platform

    if not current_platform.is_cpu() or dtype != torch.bfloat16:
        return
    rotaries = (each for each in model.modules() if isinstance(each, RotaryEmbeddingBase))
    for module in rotaries:
        if (module.rotary_dim // 2) % _ROTATED_AT_A_TIME:
            module._forward_method = module.forward_native  # noqa: SLF001 - what a CustomOp calls


def follow() -> None:
    """Pad the heads of models that are ours, on a CPU, where the size is not there."""
    from vllm.config import get_current_vllm_config
    from vllm.model_executor.layers.attention.attention import Attention
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    construct, compute = Attention.__init__, Attention.forward

    def init(self: Any, num_heads: int, head_size: int, *arguments: Any, **named: Any) -> None:
        own = settings_of(get_current_vllm_config()) is not None
        size = padded_size(head_size) if own else head_size
        construct(self, num_heads, size, *arguments, **named)
        self.unpadded_head_size = head_size

    def forward(
        self: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *arguments: Any,
        **named: Any,
    ) -> torch.Tensor:
        # A model that was built before this process was prepared has its heads as they are.
        size = getattr(self, "unpadded_head_size", self.head_size)
        if size == self.head_size:
            whole: torch.Tensor = compute(self, query, key, value, *arguments, **named)
            return whole
        room = self.head_size - size
        padded = [
            F.pad(part.reshape(-1, heads, size), (0, room)).flatten(1)
            for part, heads in (
                (query, self.num_heads),
                (key, self.num_kv_heads),
                (value, self.num_kv_heads),
            )
        ]
        output: torch.Tensor = compute(self, *padded, *arguments, **named)
        return output.view(-1, self.num_heads, self.head_size)[..., :size].flatten(1)

    Attention.__init__ = init
    Attention.forward = forward
