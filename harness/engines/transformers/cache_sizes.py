"""How large a cache serves requests: what they need, as far as it pays off, as far as it fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import psutil
import torch

from harness.engines.contract import Request
from harness.engines.transformers.prefixes import BLOCK, prefix_key
from harness.engines.transformers.slots import rounded_columns
from harness.models.loading import LoadedModel
from harness.models.size import cached_per_token

# More rows than this no longer raise throughput: measured on zoo/moe with two CPU cores
# (docs/performance.md); on accelerators it bounds the cost of the last, half-empty steps.
_MOST_SLOTS = {"cpu": 128}
_MOST_SLOTS_ELSEWHERE = 256
# On a CPU, nor does a cache of more bytes than this, or than the weights have, which a step reads
# too; so many slots it has in any case, since products of fewer rows are slow.
_PAYING_BYTES = 3 * 2**28
_FEWEST_SLOTS = 16
# Share of the free memory that the cache may take; the rest is for activations.
_FREE_SHARE = 0.5


class CacheSize(NamedTuple):
    """Running slots, spare slots for what has ended, and columns of each."""

    slots: int
    spare: int
    columns: int


class CacheSizes:
    """The sizes of one model's cache.

    Args:
        loaded: The model.
        slots: How many sequences run at once, if that is settled.
        columns: Tokens per sequence, if that is settled.
    """

    def __init__(self, loaded: LoadedModel, slots: int | None, columns: int | None) -> None:
        self._devices = loaded.devices
        self._device = loaded.device
        self._slots = slots
        self._columns = columns
        self._context = loaded.context
        text = loaded.model.config.get_text_config()
        self._per_token = cached_per_token(text, loaded.model.dtype.itemsize)
        self._paying_bytes: int = max(_PAYING_BYTES, loaded.model.get_memory_footprint())
        #: Bytes that the cache may take; None for what is free.
        self.limit: int | None = None

    def of(self, size: CacheSize) -> int:
        """Bytes of a cache."""
        return (size.slots + size.spare) * self._per_slot(size.columns)

    def length(self, request: Request) -> int:
        """The most tokens that a request can come to."""
        return min(len(request.prompt) + max(request.max_new_tokens, 1), self._context)

    def wanted(self, requests: Sequence[Request]) -> CacheSize:
        """What serves these requests best."""
        columns = self._columns or max(map(self.length, requests), default=1)
        most = self._slots or self._most_slots
        slots = max(1, min(most, len(requests)))
        return self._parted(slots, min(_shared_prompts(requests), most), columns)

    def fitted(self, size: CacheSize) -> CacheSize:
        """As much of it as fits into memory, or below the limit, and pays off."""
        room = self.free() if self.limit is None else self.limit
        return self._parted(*size, fitting=max(1, room // self._per_slot(size.columns)))

    def free(self) -> int:
        """Bytes that a cache may take beside all that is held."""
        return int(_free_memory(self._devices) * _FREE_SHARE)

    def _parted(
        self, slots: int, spare: int, columns: int, fitting: int | None = None
    ) -> CacheSize:
        """At most so many slots. A prompt that is kept need not be read again, so it has a part."""
        if self._slots is not None:
            left = spare if fitting is None else max(0, min(spare, fitting - slots))
            return CacheSize(slots, left, columns)
        most = self._paying(columns) if fitting is None else min(fitting, self._paying(columns))
        spare = min(spare, most // 3)
        return CacheSize(min(slots, most - spare), spare, columns)

    def _paying(self, columns: int) -> int:
        """More slots than this do not raise throughput."""
        most = 2 * self._most_slots
        if self._device.type != "cpu":
            return most
        return min(most, max(_FEWEST_SLOTS, self._paying_bytes // self._per_slot(columns)))

    @property
    def _most_slots(self) -> int:
        return _MOST_SLOTS.get(self._device.type, _MOST_SLOTS_ELSEWHERE)

    def _per_slot(self, columns: int) -> int:
        return rounded_columns(columns) * self._per_token


def _shared_prompts(requests: Sequence[Request]) -> int:
    """Prompts that several requests have under the same intervention: worth a slot of their own."""
    uses = Counter(
        (
            request.prompt,
            prefix_key(request.intervention, len(request.prompt), request.prompt_length),
        )
        for request in requests
        if len(request.prompt) > BLOCK
    )
    return sum(count > 1 for count in uses.values())


def _free_memory(devices: Sequence[torch.device]) -> int:
    """Bytes that can still be allocated where the model lives.

    A spread model's cache is spread with its layers: the fullest device bounds it.
    """
    free = [
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available
        for device in devices
    ]
    return int(min(free) * len(free))
