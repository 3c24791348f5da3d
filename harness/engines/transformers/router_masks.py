"""Router masks on a transformers model: a forward hook per router, masks indexed by slot.

The hook replaces a router's (scores, indices) by `route`'s and leaves its logits alone. The routing
is computed here, from the router's own output: masking the logits inside the gate, as is often
done, silently does nothing where a model's code reads the other two values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from harness.interventions.base import Intervention
from harness.interventions.router_mask import Mode, RouterMask, Routing, route
from harness.models.routers import router_sites


@dataclass(frozen=True, slots=True)
class _Pass:
    """The pass that is running: R rows x T columns, N = R x T tokens."""

    slots: slice
    columns: torch.Tensor
    masks: torch.Tensor  # [N, routers, experts]
    replace: torch.Tensor | None  # [N], None where no row replaces
    zero: torch.Tensor  # [N]
    counts: torch.Tensor  # [2, N]: routing decisions changed, and emptied


class RouterMaskRows:
    """Masks [slots, routers, experts] of the sequences in the slots, applied token by token."""

    def __init__(self, model: Any, slots: int, columns: int) -> None:
        self._sites = router_sites(model)
        self._layers = [site.layer for site in self._sites]
        self._experts = self._sites[0].experts
        self._device = next(model.parameters()).device
        self._masks = self._table(slots, len(self._sites), self._experts, dtype=torch.bool)
        self._replace = self._table(slots, dtype=torch.bool)
        self._zero = self._table(slots, dtype=torch.bool)
        # Per slot and column, over all routers; the last column is where padding is written.
        self._changed = self._table(slots, columns + 1, dtype=torch.int16)
        self._emptied = self._table(slots, columns + 1, dtype=torch.int16)
        # What the slots' masks do, known without asking the device; None for no mask.
        self._modes: list[Mode | None] = [None] * slots
        # A sweep has few distinct masks and many requests.
        self._built: dict[RouterMask, torch.Tensor] = {}
        self._pass: _Pass | None = None
        self._hooks: list[Any] = []

    def check(self, intervention: Intervention) -> None:
        """Raise a `FieldError` for points that the model does not have."""
        if isinstance(intervention, RouterMask):
            self._mask(intervention)

    def attach(self) -> None:
        """Put a hook on every router."""
        self._hooks = [
            site.module.register_forward_hook(self._hook(index))
            for index, site in enumerate(self._sites)
        ]

    def detach(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def assign(
        self,
        slot: int,
        intervention: Intervention | None,
        kept: int,
        prompt: int,  # noqa: ARG002 - a mask acts on every position alike
    ) -> None:
        """Write the slot's mask. A mask without points leaves the row to the model's own code."""
        self._changed[slot, kept:] = 0
        self._emptied[slot, kept:] = 0
        if self._modes[slot] is not None:
            self._masks[slot] = False
            self._modes[slot] = None
        if isinstance(intervention, RouterMask) and intervention.points:
            self._modes[slot] = intervention.mode
            self._masks[slot] = self._mask(intervention)
            self._replace[slot] = intervention.mode == "replace_topk"
            self._zero[slot] = intervention.on_empty == "zero"

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy the counts of a slot's first columns."""
        for table in (self._changed, self._emptied):
            table[target, :columns] = table[source, :columns]

    def move(self, source: int, target: int, columns: int) -> None:
        """Copy a slot's mask and counts."""
        self.copy(source, target, columns)
        for table in (self._masks, self._replace, self._zero):
            table[target] = table[source]
        self._modes[target] = self._modes[source]

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange two slots' masks and counts."""
        for table in (self._changed, self._emptied):
            table[[one, other], :columns] = table[[other, one], :columns]
        for table in (self._masks, self._replace, self._zero):
            table[[one, other]] = table[[other, one]]
        self._modes[one], self._modes[other] = self._modes[other], self._modes[one]

    def begin(self, slots: slice, positions: torch.Tensor, columns: torch.Tensor) -> None:
        """Lay out the rows' masks token by token, once for all layers of the coming pass."""
        modes = set(self._modes[slots])
        if modes <= {None}:
            self._pass = None
            return
        width = positions.shape[1]
        replaces = "replace_topk" in modes
        self._pass = _Pass(
            slots,
            columns,
            self._masks[slots].repeat_interleave(width, dim=0),
            self._replace[slots].repeat_interleave(width) if replaces else None,
            self._zero[slots].repeat_interleave(width),
            torch.zeros(2, positions.numel(), dtype=torch.int16, device=self._device),
        )

    def end(self) -> None:
        """Write the pass's counts to the columns of its tokens."""
        current, self._pass = self._pass, None
        if current is None:
            return
        spare = self._changed.shape[1] - 1
        columns = torch.where(current.columns < 0, spare, current.columns)
        for table, counts in zip((self._changed, self._emptied), current.counts, strict=True):
            table[current.slots].scatter_(1, columns, counts.view_as(columns))

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:
        """Routing decisions (tokens x routers) of a masked sequence: seen, changed, emptied."""
        if self._modes[slot] is None:
            return {}
        both = torch.stack([self._changed[slot, :columns], self._emptied[slot, :columns]])
        changed, emptied = both.sum(1).tolist()
        return {"routed": columns * len(self._sites), "changed": changed, "emptied": emptied}

    def _table(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=self._device)

    def _mask(self, intervention: RouterMask) -> torch.Tensor:
        if intervention not in self._built:
            mask = intervention.mask(self._layers, self._experts)
            self._built[intervention] = mask.to(self._device)
        return self._built[intervention]

    def _hook(self, index: int) -> Any:
        def mask_routing(
            _module: Any, _inputs: Any, output: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
            current = self._pass
            if current is None:
                return None
            logits, scores, indices = output
            device = logits.device
            routing: Routing = route(
                logits,
                scores,
                indices,
                mask=current.masks[:, index].to(device),
                replace=None if current.replace is None else current.replace.to(device),
                zero_on_empty=current.zero.to(device),
            )
            current.counts[0] += routing.changed.to(self._device)
            current.counts[1] += routing.emptied.to(self._device)
            return logits, routing.scores, routing.indices

        return mask_routing
