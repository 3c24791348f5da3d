"""Attention masks for rows of unequal lengths, one per kind of layer a model has.

transformers' models take a ready four-dimensional mask and use it as it is; models that mix full
and sliding-window layers take one mask per layer type, by name.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.errors import ModelError


class AttentionMasks:
    """Builds what a model's forward takes as `attention_mask`."""

    def __init__(self, config: Any) -> None:
        text = config.get_text_config()
        self._window: int | None = getattr(text, "sliding_window", None)
        kinds = sorted(set(getattr(text, "layer_types", None) or ()))
        self._kinds = kinds if len(kinds) > 1 else []
        if kinds == ["full_attention"]:
            self._window = None
        #: Where layers attend within chunks of the sequence: Llama 4's.
        self._chunk: int | None = None
        if "chunked_attention" in kinds:
            self._chunk = int(text.attention_chunk_size)
        unknown = set(kinds) - {"full_attention", "sliding_attention", "chunked_attention"}
        if unknown:
            raise ModelError(
                f"model_type {text.model_type} has layers of {min(unknown)}, which no mask is "
                "known for here; use a model of full, sliding or chunked attention"
            )

    def build(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        dtype: torch.dtype,
        branches: torch.Tensor | None = None,
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Masks for queries at positions [R, T] over keys at positions [R, K] or [K].

        A query sees the keys at its own position and before; padding has key position -1 and is
        seen by no query. A padding query (position -1) sees itself or column 0, because a row of
        zeros in a softmax would be NaN. Additive, 0 or the lowest finite value: every kernel takes
        that, while a boolean mask would be turned into it anew in every layer.

        Where queries are keys, `branches` [R, T] makes trees of rows: tokens of branch 0 are seen
        by all, those of another branch within it alone.
        """
        keys = keys.expand(queries.shape[0], keys.shape[-1])
        distance = queries[:, :, None] - keys[:, None, :]
        seen = (distance >= 0) & (keys[:, None, :] >= 0)
        if branches is not None:
            trunk = branches[:, None, :] == 0
            seen &= trunk | (branches[:, None, :] == branches[:, :, None])
        nothing = queries < 0
        fallback = torch.eye(
            queries.shape[1], keys.shape[-1], dtype=torch.bool, device=queries.device
        )
        fallback[:, 0] |= queries.shape[1] != keys.shape[-1]
        full = torch.where(nothing[:, :, None], fallback, seen)[:, None]
        if self._window is None and self._chunk is None:
            return self._cast(full, dtype)
        near = full
        if self._window is not None:
            near = full & ((distance < self._window) | nothing[:, :, None])[:, None]
        chunked = full
        if self._chunk is not None:
            same = queries[:, :, None] // self._chunk == keys[:, None, :] // self._chunk
            chunked = full & (same | nothing[:, :, None])[:, None]
        if not self._kinds:
            return self._cast(near & chunked, dtype)
        masks = {
            "full_attention": full,
            "sliding_attention": near,
            "chunked_attention": chunked,
        }
        return {kind: self._cast(masks[kind], dtype) for kind in self._kinds}

    def _cast(self, mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(
            ~mask, torch.finfo(dtype).min
        )
