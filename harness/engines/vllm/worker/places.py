"""One steered, changed or read place of a vLLM model: what is done to its output, row by row.

A decoder layer in vLLM returns (hidden, residual), and the residual stream is their sum: what is
added to `hidden` is added to the stream, while conditions and readers look at the sum.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.engines.vllm.worker.row_tables import Tables
from harness.engines.vllm.worker.states import ChangedStates
from harness.interventions.residual import fires, steer
from harness.interventions.steering_terms import Site


class SteeredPlace:
    """Tables of one (layer, site): vectors [C, H], conditions [C, H] and [C, 3], and `changes`."""

    def __init__(self, tables: Tables, site: Site, width: int) -> None:
        self._tables = tables
        self._site = site
        self._width = width
        #: The columns of the terms here, in the order in which they are added.
        self.columns: list[int] = []
        self.vectors = torch.zeros(tables.rows, width, device=tables.device)
        self.conditional = False
        self.directions = torch.zeros(0, width, device=tables.device)
        # threshold, bias, whether by cosine; row 0 always fires: -2 is below every cosine.
        self.gates = torch.zeros(0, 3, device=tables.device)
        self.changes = ChangedStates(tables)
        self._reads = False
        self._seen = torch.zeros(0, width, device=tables.device)

    def allow_conditions(self) -> None:
        """Make room for conditions."""
        if not self.conditional:
            self.conditional = True
            self.directions = torch.zeros_like(self.vectors)
            self.gates = torch.zeros(len(self.vectors), 3, device=self.vectors.device)
            self.gates[:, 0] = -2.0

    def allow_reading(self, dtype: torch.dtype) -> None:
        """Keep the output of the latest pass; in a static pass at a fixed address."""
        if not self._reads:
            self._reads = True
            if self._tables.static:
                shape = self._tables.tokens, self._width
                self._seen = torch.zeros(shape, dtype=dtype, device=self._tables.device)

    def seen(self, rows: slice) -> torch.Tensor:
        """The output [n, H] of these tokens of the latest pass."""
        return self._seen[rows]

    def __call__(self, output: Any) -> Any:
        """Add the tokens' vectors to a module's output, or change it; keep it where it is read."""
        tables = self._tables
        steers = bool(self.columns)
        reads = self._reads
        if not tables.static:
            steers = not tables.dosed.isdisjoint(self.columns)
            reads = reads and tables.reading
        changes = not tables.static and self.changes.acts
        if not (steers or changes or reads):
            return output
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        residual = None
        if self._site == "block" and isinstance(output, tuple):
            residual = output[1]
        if steers:
            hidden = self._steered(hidden, residual)
        if changes:
            hidden, residual = self.changes(hidden, residual)
        if reads:
            self._keep(hidden if residual is None else hidden + residual)
        if not isinstance(output, tuple):
            return hidden
        return (hidden, *output[1:]) if residual is None else (hidden, residual, *output[2:])

    def _steered(self, hidden: torch.Tensor, residual: torch.Tensor | None) -> torch.Tensor:
        tables, n = self._tables, hidden.shape[0]
        # Conditions look at the state before any term, so that the terms' order means nothing.
        before = hidden if residual is None else hidden + residual
        for column in self.columns:
            doses = tables.doses[column, :n]
            if self.conditional:
                gates = tables.gate_rows[column, :n]
                thresholds, biases, cosine = self.gates[gates].unbind(dim=1)
                held = fires(
                    before[:, None], self.directions[gates], thresholds, biases, cosine > 0
                )
                doses = torch.where(held[:, 0], doses, 0.0)
                tables.counts[2, :n] += ((doses != 0) & (gates != 0)).to(torch.int32)
            vectors = self.vectors[tables.vector_rows[column, :n]]
            hidden = steer(hidden[None], vectors[None], doses[None])[0]
        return hidden

    def _keep(self, state: torch.Tensor) -> None:
        if self._tables.static:
            self._seen[: state.shape[0]].copy_(state)
        else:
            self._seen = state
