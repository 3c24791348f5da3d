"""Router masks inside vLLM: every router's own routing is rerouted, token by token.

vLLM computes a routing (weights, experts) in `router._compute_routing` and hands it to its kernels.
Kernels that route by themselves never call it: they are refused when the model is built, because a
mask would do nothing there.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.engines.vllm.worker.row_tables import Tables
from harness.interventions.router_logits import route


class MaskedRouter:
    """Stands in front of one router's `_compute_routing`; `index` counts the model's routers."""

    def __init__(self, router: Any, tables: Tables, index: int) -> None:
        self._original = router._compute_routing  # noqa: SLF001 - the one seam that every router has
        self._tables = tables
        self._index = index
        self.masks = False
        self._reads = False
        self._seen = torch.zeros(0, 0, device=tables.device)
        router._compute_routing = self  # noqa: SLF001 - see above

    def allow_reading(self, experts: int) -> None:
        """Keep the gate's logits of the latest pass; in a static pass at a fixed address."""
        if not self._reads:
            self._reads = True
            if self._tables.static:
                self._seen = torch.zeros(self._tables.tokens, experts, device=self._tables.device)

    def seen(self, rows: slice) -> torch.Tensor:
        """The gate's logits [n, E] of these tokens of the latest pass."""
        return self._seen[rows]

    def __call__(
        self, hidden: torch.Tensor, logits: torch.Tensor, *arguments: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The routing of a pass: weights [n, k] and experts [n, k]."""
        tables = self._tables
        if self._reads and (tables.static or tables.reading):
            self._keep(logits)
        scores, indices = self._original(hidden, logits, *arguments, **named)
        if not self.masks or not (tables.static or tables.masked):
            return scores, indices
        n = logits.shape[0]
        rows = tables.mask_rows[:n]
        routing = route(
            logits,
            scores,
            indices.long(),
            mask=tables.masks[rows, self._index],
            replace=tables.replace[rows] if tables.static or tables.replaces else None,
            zero_on_empty=tables.zero[rows],
        )
        # Tokens of row 0 have no mask: nothing of theirs is changed, or counted as empty.
        tables.counts[0, :n] += routing.changed.to(torch.int32)
        tables.counts[1, :n] += routing.emptied.to(torch.int32)
        return routing.scores, routing.indices.to(indices.dtype)

    def _keep(self, logits: torch.Tensor) -> None:
        if self._tables.static:
            self._seen[: logits.shape[0]].copy_(logits)
        else:
            self._seen = logits
