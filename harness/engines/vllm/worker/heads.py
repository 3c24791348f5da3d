"""Attention heads of sizes that vLLM's CPU kernels do not have, padded with zeros to one they have.

A dimension in which queries and keys are 0 adds nothing to a score, and one in which values are 0
gives 0: padding is exact, whatever the scale, which vLLM is given separately. Kernels for GPUs take
these sizes as they are. The zoo's heads have 16, 24 and 32 dimensions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from harness.engines.vllm.worker import plugin


def follow() -> None:
    """Pad the heads of models that are ours, on a CPU, where the size is not there."""
    from vllm.config import get_current_vllm_config
    from vllm.model_executor.layers.attention.attention import Attention
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    if not current_platform.is_cpu():
        return
    sizes = CPUAttentionBackend.get_supported_head_sizes()
    construct, compute = Attention.__init__, Attention.forward

    def init(self: Any, num_heads: int, head_size: int, *arguments: Any, **named: Any) -> None:
        own = plugin.settings_of(get_current_vllm_config()) is not None
        padded = min((size for size in sizes if size >= head_size), default=head_size)
        construct(self, num_heads, padded if own else head_size, *arguments, **named)
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
