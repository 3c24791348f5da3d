"""Persistent tensors that a forward pass reads: conditions by row, and which row each token uses.

Shapes: N tokens of a pass at most, C rows of conditions, K columns (one for each term at a steered
place), L routers of E experts, S slots of the cache of keys and values. Row 0 of every table does
nothing, and a token without an intervention is of row 0 and dose 0. A pass reads tensors only, at
fixed addresses, so that it can be compiled and captured; a condition is written once, however many
requests share it, and tokens only name its row.
"""

from __future__ import annotations

import numpy as np
import torch


class Tables:
    """What one worker holds of the conditions in use, and of the pass that is running."""

    def __init__(self, *, tokens: int, rows: int, device: torch.device, static: bool) -> None:
        self.tokens, self.rows, self.device = tokens, rows, device
        #: Whether the forward pass is compiled or captured, so that nothing in it may branch.
        self.static = static
        self.doses = self._zeros(0, tokens)
        self.vector_rows = self._zeros(0, tokens, dtype=torch.int64)
        self.gate_rows = self._zeros(0, tokens, dtype=torch.int64)
        self.mask_rows = self._zeros(tokens, dtype=torch.int64)
        self.masks = self._zeros(rows, 0, 0, dtype=torch.bool)
        self.replace = self._zeros(rows, dtype=torch.bool)
        self.zero = self._zeros(rows, dtype=torch.bool)
        #: Which masks replace, known without asking the device.
        self.replacing = np.zeros(rows, bool)
        #: Of each token of the pass: routings changed, routings emptied, conditional additions.
        self.counts = self._zeros(3, tokens, dtype=torch.int32)
        #: Of the pass: columns with a dose, whether a token has a mask, and one that replaces.
        self.dosed: frozenset[int] = frozenset()
        self.masked = False
        self.replaces = False
        #: Of the pass: tokens whose hidden states a kind's function changes, and the row of each.
        self.changed_tokens = self.changed_rows = np.zeros(0, np.int64)
        #: Whether any request of the pass wants to have what is read.
        self.reading = False

    def widen(self, columns: int) -> None:
        """Make room for so many columns; in a static pass only before it is compiled."""
        for name in ("doses", "vector_rows", "gate_rows"):
            table: torch.Tensor = getattr(self, name)
            wider = self._zeros(columns, self.tokens, dtype=table.dtype)
            wider[: len(table)] = table
            setattr(self, name, wider)

    def change(self, tokens: np.ndarray, rows: np.ndarray) -> None:
        """The states of these tokens of the coming pass are changed, by these rows."""
        self.changed_tokens, self.changed_rows = tokens, rows

    def hold_masks(self, routers: int, experts: int) -> None:
        """Make room for masks of a model with so many routers of so many experts."""
        self.masks = self._zeros(self.rows, routers, experts, dtype=torch.bool)

    def _zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=self.device)
