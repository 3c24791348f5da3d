"""Scaled dot-product attention that reads the cache as it lies: shared heads are not copied.

Where several query heads share a head of keys and values, transformers' own `sdpa` copies that
head for each of them in every layer of every step. Here the query heads of a group become
further queries of one head, which is the same sum over the same keys. On zoo/moe the copies took
a fifth of a sweep's time (docs/performance.md).

Queries of a prompt are worked on piece by piece, each over no more keys than its last query can
see, and rows of unequal lengths in groups, each over no more keys than its longest row has: a mask
hides the others, but the kernel computes what it hides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "titrate_grouped_sdpa"
# Queries of a piece, on a CPU; elsewhere a call of a kernel costs more than what it leaves out.
_PIECE = 64


@dataclass
class AttentionWatch:
    """Takes down what one module attends with, which the fused kernel does not tell.

    Args:
        module: The attention module.
        last_only: Whether only the last query of every row is of interest.
        scores: Scaled scores [R, H, T, K], or of T = 1, pass by pass; -inf for what is not seen.
    """

    module: Any
    last_only: bool = True
    scores: list[torch.Tensor] = field(default_factory=list)

    def see(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor, scaling: float | None
    ) -> None:
        """Of queries [R, H, T, D] and keys [R, G, K, D]; the mask is added, as `build` makes it."""
        if self.last_only:
            query, mask = query[:, :, -1:], mask[:, :, -1:]
        query, key = query.float(), key.float()
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        scores = query @ key.transpose(-1, -2)
        scores = scores * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        self.scores.append(scores.masked_fill(mask < 0, -torch.inf))


_watch: ContextVar[AttentionWatch | None] = ContextVar("attention", default=None)


@contextmanager
def watching(module: Any, *, last_only: bool = True) -> Iterator[AttentionWatch]:
    """Take down what a module attends with inside; under `grouped_attention` of sdpa alone."""
    watch = AttentionWatch(module, last_only)
    before = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(before)


class _Last(NamedTuple):
    """A module of whose queries only so many last ones attend."""

    module: Any
    queries: int


_last: ContextVar[_Last | None] = ContextVar("last", default=None)


@contextmanager
def last_queries(module: Any, queries: int) -> Iterator[None]:
    """Let so many last queries of every row attend in one module; the others get zeros.

    Under `grouped_attention` of sdpa alone, and where a mask says what is seen.
    """
    before = _last.set(_Last(module, queries))
    try:
        yield
    finally:
        _last.reset(before)


class RowGroup(NamedTuple):
    """Neighbouring rows of a pass, and how many leading columns of the cache they can see."""

    rows: slice
    columns: int


_groups: ContextVar[Sequence[RowGroup]] = ContextVar("groups", default=())


@contextmanager
def row_groups(groups: Sequence[RowGroup]) -> Iterator[None]:
    """Inside, each of these groups of rows, which are all rows, reads its own columns."""
    before = _groups.set(groups)
    try:
        yield
    finally:
        _groups.reset(before)


def grouped_sdpa(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend with queries [R, H, T, D] to keys and values [R, G, K, D], H a multiple of G.

    The contract is that of transformers' attention functions: the output is [R, T, H, D]. Besides,
    query t sees no key behind K - T + t: the last query's token is the last of all.
    """
    watch = _watch.get()
    if watch is not None and module is watch.module and attention_mask is not None:
        watch.see(query, key, attention_mask, options.get("scaling"))
    last = _last.get()
    if last is None or module is not last.module or attention_mask is None:
        return _attend(module, query, key, value, attention_mask, **options)
    width = query.shape[2]
    query, attention_mask = (each[:, :, -last.queries :] for each in (query, attention_mask))
    output, _ = _attend(module, query, key, value, attention_mask, **options)
    return F.pad(output, (0, 0, 0, 0, width - output.shape[1], 0)), None


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As `grouped_sdpa`, with all of the queries."""
    shared = query.shape[1] // key.shape[1]
    plain = options.get("position_bias") is None and not options.get("dropout")
    if shared == 1 or attention_mask is None or not plain:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
        return output
    scaling, groups = options.get("scaling"), _groups.get()
    if not groups:
        return _in_pieces(query, key, value, attention_mask, scaling), None
    parts = []
    for rows, columns in groups:
        seen = rows, slice(None), slice(0, columns)
        mask = attention_mask[rows, :, :, :columns]
        parts.append(_in_pieces(query[rows], key[seen], value[seen], mask, scaling))
    return torch.cat(parts), None


def _in_pieces(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """Shared heads attended to, [R, T, H, D], piece by piece of the queries."""
    rows, heads, width, dim = query.shape
    piece = _PIECE if query.device.type == "cpu" else width
    groups, behind = key.shape[1], key.shape[2] - width
    shared = heads // groups
    parts = []
    for start in range(0, width, piece):
        end = min(start + piece, width)
        mask = attention_mask[:, :, start:end, : behind + end]
        attended = F.scaled_dot_product_attention(
            query[:, :, start:end].reshape(rows, groups, shared * (end - start), dim),
            key[:, :, : behind + end],
            value[:, :, : behind + end],
            attn_mask=mask if end - start == 1 else mask.repeat(1, 1, shared, 1),
            scale=scaling,
        )
        parts.append(attended.view(rows, heads, end - start, dim).transpose(1, 2))
    return torch.cat(parts, dim=1)


AttentionInterface.register(NAME, grouped_sdpa)
AttentionMaskInterface.register(NAME, sdpa_mask)


def attention_implementation(model: Any) -> str:
    """Which attention a model has; what a stream has put in place while it runs is `sdpa`."""
    own = str(model.config._attn_implementation)  # noqa: SLF001 - no public reader
    return "sdpa" if own == NAME else own


@contextmanager
def grouped_attention(model: Any) -> Iterator[None]:
    """Use `grouped_sdpa` inside, where the model would use `sdpa`; afterwards what was there."""
    before = model.config._attn_implementation  # noqa: SLF001 - no public reader
    if before != "sdpa":
        yield
        return
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def eager_attention(model: Any) -> Iterator[None]:
    """Attention written out inside, whose weights can be read; afterwards what was there."""
    before = model.config._attn_implementation  # noqa: SLF001 - no public reader
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
