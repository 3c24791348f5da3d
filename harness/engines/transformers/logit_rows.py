"""Next-token logits, changed between a transformers model's head and the draw; rows by slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.engines.transformers.slot_tables import SlotTables, slot_rows
from harness.interventions.next_token_logits import NextTokenLogits


class LogitRows:
    """Rows of the sequences in the slots, of one kind. Nothing is put on the model."""

    def __init__(
        self,
        kind: type[NextTokenLogits],
        model: Any,
        slots: int,
        columns: int,  # noqa: ARG002 - nothing is counted
    ) -> None:
        self._kind = kind
        self._vocabulary = int(model.get_input_embeddings().num_embeddings)
        self._device = next(model.parameters()).device
        self._tables = SlotTables(slots, self._device)

    def check(self, intervention: NextTokenLogits) -> None:
        """Raise a `FieldError` for what a vocabulary of this size does not have."""
        intervention.rows(self._vocabulary)

    def attach(self) -> None:
        """Nothing."""

    def detach(self) -> None:
        """Nothing."""

    def assign(
        self,
        slot: int,
        intervention: NextTokenLogits | None,
        kept: int,  # noqa: ARG002 - nothing is counted
        prompt: int,  # noqa: ARG002 - steps are told with the logits
    ) -> None:
        """Write the slot's rows. A dose of nothing leaves the logits to the model."""
        rows = None if intervention is None else intervention.rows(self._vocabulary)
        self._tables.assign(slot, None if rows is None else slot_rows(rows, self._device))

    def copy(self, source: int, target: int, columns: int) -> None:
        """Nothing, since nothing is counted."""

    def move(self, source: int, target: int, columns: int) -> None:  # noqa: ARG002 - as above
        """Copy a slot's rows."""
        self._tables.move(source, target)

    def swap(self, one: int, other: int, columns: int) -> None:  # noqa: ARG002 - as above
        """Exchange two slots' rows."""
        self._tables.swap(one, other)

    def begin(self, slots: slice, positions: torch.Tensor, columns: torch.Tensor) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:  # noqa: ARG002 - as above
        """None."""
        return {}

    def changed(
        self, logits: torch.Tensor, slots: Sequence[int], steps: torch.Tensor
    ) -> torch.Tensor:
        """Logits [R, T, V] of the sequences in these slots, whose tokens are of steps [R, T]."""
        acting = [row for row, slot in enumerate(slots) if self._tables.used[slot]]
        if not acting:
            return logits
        width, vocabulary = logits.shape[1:]
        own = [slots[row] for row in acting]
        rows = {
            name: table[own].repeat_interleave(width, dim=0).to(logits.device)
            for name, table in self._tables.tables.items()
        }
        before = logits[acting].float().view(-1, vocabulary)
        found = self._kind.changed(before, rows, steps[acting].flatten().to(logits.device))
        logits = logits.clone()  # the model's own output may be kept by what reads it
        logits[acting] = found.to(logits.dtype).view(len(acting), width, vocabulary)
        return logits
