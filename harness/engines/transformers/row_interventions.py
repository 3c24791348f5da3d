"""How interventions reach the rows of a batch: one `RowInterventions` per kind, fed slot by slot.

- Which one, is decided by the kind's mechanism; nothing here knows a kind.
- `assign` writes a request's intervention into the tables of its slot; `copy`, `move` and `swap`
  follow the cache.
- `begin` announces a pass over neighbouring slots. A pass in which no row is touched runs the
  model's own code and nothing else.
- The work of a pass does not grow with the number of distinct interventions in the batch: tables
  are indexed by slot, never looped over.
- What an intervention counts, it counts per column of the cache, so that a rejected draft is not
  counted and a reused prefix is. It is read once, when a request ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from harness.engines.transformers.adapted_rows import AdaptedRows
from harness.engines.transformers.hidden_rows import HiddenRows
from harness.engines.transformers.logit_rows import LogitRows
from harness.engines.transformers.residual_rows import ResidualRows
from harness.engines.transformers.router_rows import RouterRows
from harness.errors import RequestError
from harness.interventions.base import Intervention
from harness.spec.engine_kind import Mechanism


class RowInterventions(Protocol):
    """One kind of intervention, applied to every row of a batch at the row's own dose."""

    def check(self, intervention: Any) -> None:
        """Raise a `TitrateError` when the model cannot take this intervention."""

    def attach(self) -> None:
        """Put the hooks on the model."""

    def detach(self) -> None:
        """Take the hooks off; the model is what it was, bit for bit."""

    def assign(self, slot: int, intervention: Any, kept: int, prompt: int) -> None:
        """Set a slot's intervention, None for none, for a sequence with `prompt` prompt tokens.

        Counts below column `kept` stay.
        """

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy the counts of a slot's first columns to another slot."""

    def move(self, source: int, target: int, columns: int) -> None:
        """A sequence moved to another slot, with its intervention and counts."""

    def swap(self, one: int, other: int, columns: int) -> None:
        """Two sequences changed places."""

    def begin(self, slots: slice, positions: torch.Tensor, columns: torch.Tensor) -> None:
        """Announce a pass over tokens at positions [R, T], counted at `columns`; -1: padding."""

    def end(self) -> None:
        """The pass is over, or has failed."""

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:
        """What was counted in a slot's first columns; empty when the row was left alone."""


#: How what acts by a mechanism is applied, for each kind by itself.
MECHANISMS: Mapping[Mechanism, Any] = {
    "router_logits": RouterRows,
    "residual": ResidualRows,
    "hidden_states": HiddenRows,
    "next_token_logits": LogitRows,
    "adapted_weights": AdaptedRows,
}


# Interventions that are remembered as checked; decoding in rounds makes new ones at every step.
_MOST_CHECKED = 4096


class InterventionSet:
    """The kinds of intervention in use on one model, over slots of `columns` columns."""

    def __init__(self, model: Any, slots: int, columns: int) -> None:
        self._model = model
        self._slots = slots
        self._columns = columns
        self._kinds: dict[type[Intervention], RowInterventions] = {}
        self._checked: set[Intervention] = set()
        self._attached = False

    def check(self, intervention: Intervention | None) -> None:
        """Refuse, before anything runs, what cannot be applied to this model."""
        if intervention is None or intervention in self._checked:
            return
        kind = type(intervention)
        if kind not in self._kinds:
            self._kinds[kind] = self._rows_of(kind)
            if self._attached:
                self._kinds[kind].attach()
        self._kinds[kind].check(intervention)
        if len(self._checked) >= _MOST_CHECKED:
            self._checked.clear()
        self._checked.add(intervention)

    def _rows_of(self, kind: type[Intervention]) -> RowInterventions:
        mechanism: Any = getattr(kind, "mechanism", None)
        if mechanism not in MECHANISMS:
            known = ", ".join(MECHANISMS)
            raise RequestError(
                f"intervention {kind.__name__} is not applied here: it acts by {mechanism}; "
                f"known: {known}"
            )
        rows: RowInterventions = MECHANISMS[mechanism](
            kind, self._model, self._slots, self._columns
        )
        return rows

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hooks of the kinds in use are on the model inside, and off afterwards."""
        self._attached = True
        try:
            for rows in self._kinds.values():
                rows.attach()
            yield
        finally:
            self._attached = False
            for rows in self._kinds.values():
                rows.detach()

    @contextmanager
    def applied(
        self, slots: slice, positions: torch.Tensor, columns: torch.Tensor | None = None
    ) -> Iterator[None]:
        """The pass inside is over neighbouring slots, at positions [R, T] (-1: padding).

        `columns` [R, T] are where its tokens are counted, if these are not their positions.
        """
        columns = positions if columns is None else columns
        try:
            for rows in self._kinds.values():
                rows.begin(slots, positions, columns)
            yield
        finally:
            for rows in self._kinds.values():
                rows.end()

    def assign(
        self, slot: int, intervention: Intervention | None, *, prompt: int, kept: int = 0
    ) -> None:
        """Set a slot's intervention in its own kind, and none in every other."""
        for kind, rows in self._kinds.items():
            rows.assign(slot, intervention if type(intervention) is kind else None, kept, prompt)

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy the counts of a slot's first columns to another slot."""
        for rows in self._kinds.values():
            rows.copy(source, target, columns)

    def move(self, source: int, target: int, columns: int) -> None:
        """A sequence moved to another slot."""
        for rows in self._kinds.values():
            rows.move(source, target, columns)

    def swap(self, one: int, other: int, columns: int) -> None:
        """Two sequences changed places."""
        for rows in self._kinds.values():
            rows.swap(one, other, columns)

    def changed_logits(
        self, logits: torch.Tensor, slots: Sequence[int], steps: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Next-token logits [R, T, V] of the sequences in these slots, as their kinds leave them.

        `steps` gives the tokens generated before each, [R, T], where something asks for them.
        """
        for rows in self._kinds.values():
            if isinstance(rows, LogitRows):
                logits = rows.changed(logits, slots, steps())
        return logits

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:
        """A slot's counts of all kinds together."""
        return {
            name: count
            for rows in self._kinds.values()
            for name, count in rows.counts(slot, columns).items()
        }
