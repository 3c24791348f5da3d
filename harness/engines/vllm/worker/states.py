"""Hidden states at one place of a worker's model, changed by functions of kinds, row by row.

Functions are any code, which a compiled or captured pass could not hold; they act in eager passes
alone, on the tokens that have a dose here, and leave all others as they are, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from harness.engines.vllm.worker.row_tables import Tables
from harness.interventions.hidden_states import HiddenStates


class ChangedStates:
    """For each kind at work at one (layer, site): its tensors [C, ...], and which rows have one."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._held: dict[type[HiddenStates], Mapping[str, torch.Tensor]] = {}
        self._used: dict[type[HiddenStates], np.ndarray] = {}

    def write(
        self, row: int, kind: type[HiddenStates], dose: Mapping[str, torch.Tensor] | None
    ) -> None:
        """Write a row for a kind; one of None, or of zeros, does nothing here."""
        for used in self._used.values():
            used[row] = False
        if dose is None or not any(each.any() for each in dose.values()):
            return
        if kind not in self._held:
            rows, device = self._tables.rows, self._tables.device
            self._used[kind] = np.zeros(rows, bool)
            self._held[kind] = {
                name: torch.zeros(rows, *each.shape, dtype=each.dtype, device=device)
                for name, each in dose.items()
            }
        self._used[kind][row] = True
        for name, each in dose.items():
            self._held[kind][name][row] = each.to(self._tables.device)

    @property
    def acts(self) -> bool:
        """Whether the states of any token of the pass are changed here."""
        rows = self._tables.changed_rows
        return bool(len(rows)) and any(used[rows].any() for used in self._used.values())

    def __call__(
        self, hidden: torch.Tensor, residual: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A module's output [N, H], changed; with a residual the state is the sum of both.

        The residual of a token that was changed is 0, so that its sum is what the function gave.
        """
        hidden = hidden.clone()  # what follows may write to it, and readers keep it
        residual = None if residual is None else residual.clone()
        for kind, used in self._used.items():
            at = np.flatnonzero(used[self._tables.changed_rows])
            if not len(at):
                continue
            tokens = torch.from_numpy(self._tables.changed_tokens[at]).to(hidden.device)
            rows = torch.from_numpy(self._tables.changed_rows[at]).to(hidden.device)
            states = hidden[tokens] if residual is None else hidden[tokens] + residual[tokens]
            doses = {name: table[rows] for name, table in self._held[kind].items()}
            hidden[tokens] = kind.changed(states.float(), doses).to(hidden.dtype)
            if residual is not None:
                residual[tokens] = 0
        return hidden, residual
