"""Routings on a transformers model: a forward hook per router, rows indexed by slot.

The hook replaces a router's (scores, indices) by what the kind's pure function makes of them, and
leaves its logits alone. The routing is computed there, from the router's own output: changing the
logits inside the gate, as is often done, silently does nothing where a model's code reads the other
two values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from harness.engines.transformers.slot_tables import SlotRows, SlotTables, slot_rows
from harness.interventions.router_logits import RouterLogits
from harness.models.routers import router_sites


@dataclass(frozen=True, slots=True)
class _Pass:
    """The pass that is running: R rows x T columns, N = R x T tokens."""

    slots: slice
    columns: torch.Tensor
    rows: Mapping[str, torch.Tensor | None]  # [N, routers, ...], None where all rows are 0
    counts: torch.Tensor  # [2, N]: routing decisions changed, and emptied


class RouterRows:
    """Rows of the sequences in the slots, of one kind, applied token by token at every router."""

    def __init__(self, kind: type[RouterLogits], model: Any, slots: int, columns: int) -> None:
        self._kind = kind
        self._sites = router_sites(model)
        self._layers = [site.layer for site in self._sites]
        self._experts = self._sites[0].experts
        self._device = next(model.parameters()).device
        self._tables = SlotTables(slots, self._device)
        # Per slot and column, over all routers; the last column is where padding is written.
        self._changed = self._counting(slots, columns)
        self._emptied = self._counting(slots, columns)
        # A sweep has few distinct doses and many requests.
        self._built: dict[RouterLogits, SlotRows | None] = {}
        self._pass: _Pass | None = None
        self._hooks: list[Any] = []

    def check(self, intervention: RouterLogits) -> None:
        """Raise a `FieldError` for routers that the model does not have."""
        self._rows(intervention)

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
        intervention: RouterLogits | None,
        kept: int,
        prompt: int,  # noqa: ARG002 - routings are changed at every position alike
    ) -> None:
        """Write the slot's rows. A dose of nothing leaves the row to the model's own code."""
        self._changed[slot, kept:] = 0
        self._emptied[slot, kept:] = 0
        self._tables.assign(slot, None if intervention is None else self._rows(intervention))

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy the counts of a slot's first columns."""
        for table in (self._changed, self._emptied):
            table[target, :columns] = table[source, :columns]

    def move(self, source: int, target: int, columns: int) -> None:
        """Copy a slot's rows and counts."""
        self.copy(source, target, columns)
        self._tables.move(source, target)

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange two slots' rows and counts."""
        for table in (self._changed, self._emptied):
            table[[one, other], :columns] = table[[other, one], :columns]
        self._tables.swap(one, other)

    def begin(self, slots: slice, positions: torch.Tensor, columns: torch.Tensor) -> None:
        """Lay out the rows token by token, once for all layers of the coming pass."""
        if not any(self._tables.used[slots]):
            self._pass = None
            return
        width = positions.shape[1]
        self._pass = _Pass(
            slots,
            columns,
            {
                name: None if rows is None else rows.repeat_interleave(width, dim=0)
                for name, rows in self._tables.rows(slots).items()
            },
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
        """Routing decisions (tokens x routers) of a sequence: seen, changed, emptied."""
        if not self._tables.used[slot]:
            return {}
        both = torch.stack([self._changed[slot, :columns], self._emptied[slot, :columns]])
        changed, emptied = both.sum(1).tolist()
        return {"routed": columns * len(self._sites), "changed": changed, "emptied": emptied}

    def _counting(self, slots: int, columns: int) -> torch.Tensor:
        return torch.zeros(slots, columns + 1, dtype=torch.int16, device=self._device)

    def _rows(self, intervention: RouterLogits) -> SlotRows | None:
        """An intervention's rows for the model's routers; None where they do nothing."""
        if intervention not in self._built:
            rows = intervention.rows(self._layers, self._experts)
            self._built[intervention] = slot_rows(rows, self._device)
        return self._built[intervention]

    def _hook(self, index: int) -> Any:
        def change_routing(
            _module: Any, _inputs: Any, output: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
            current = self._pass
            logits, scores, indices = output
            # One row for several is below every router that is masked, see `shared_layers.py`.
            if current is None or len(logits) != current.counts.shape[1]:
                return None
            rows = {
                name: None if row is None else row[:, index].to(logits.device)
                for name, row in current.rows.items()
            }
            routing = self._kind.routed(logits, scores, indices, rows)
            current.counts[0] += routing.changed.to(self._device)
            current.counts[1] += routing.emptied.to(self._device)
            return logits, routing.scores, routing.indices

        return change_routing
