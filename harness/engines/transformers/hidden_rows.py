"""Hidden states, changed by a kind's function behind a module of a transformers model.

Tables hold the rows of every slot; a pass gathers them for the tokens that are to be changed, and
leaves all others to the model, bit for bit. A place is hooked from the first request on that names
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.engines.declared import Place
from harness.engines.transformers.slot_tables import SlotTables, slot_rows
from harness.errors import FieldError, ModelError
from harness.interventions.hidden_states import HiddenStates, checked_rows
from harness.interventions.residual import spanned
from harness.models.sites import hidden_shape, site_module


class HiddenRows:
    """Rows of the sequences in the slots, of one kind, place by place."""

    def __init__(
        self,
        kind: type[HiddenStates],
        model: Any,
        slots: int,
        columns: int,  # noqa: ARG002 - nothing is counted
    ) -> None:
        self._kind = kind
        self._model = model
        self._slots = slots
        self._layers, self._width = hidden_shape(model.config)
        self._device = next(model.parameters()).device
        self._places: dict[Place, tuple[Any, SlotTables]] = {}
        # The positions from which on, and before which, tokens of a slot are changed.
        self._spans = torch.zeros(slots, 2)
        self._pass: tuple[slice, torch.Tensor] | None = None
        self._hooks: list[Any] = []
        self._attached = False

    def check(self, intervention: HiddenStates) -> None:
        """Raise a `FieldError` for a layer, a site or a width that the model does not have."""
        for place in checked_rows(intervention, layers=self._layers, width=self._width):
            if place in self._places:
                continue
            try:
                module = site_module(self._model, *place)
            except ModelError as error:
                raise FieldError("intervention.site", str(error)) from error
            self._places[place] = module, SlotTables(self._slots, self._device)
            if self._attached:
                self._hook(place)

    def attach(self) -> None:
        """Put a hook on every place that a checked intervention names."""
        self._attached = True
        for place in self._places:
            self._hook(place)

    def detach(self) -> None:
        """Take the hooks off."""
        self._attached = False
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def assign(
        self,
        slot: int,
        intervention: HiddenStates | None,
        kept: int,  # noqa: ARG002 - nothing is counted
        prompt: int,
    ) -> None:
        """Write the slot's rows, and which of its tokens they are for."""
        found = {} if intervention is None else intervention.rows(self._width)
        for place, (_, tables) in self._places.items():
            rows = found.get(place)
            tables.assign(slot, None if rows is None else slot_rows(rows, self._device))
        if intervention is not None:
            self._spans[slot] = torch.tensor(spanned(intervention.positions, prompt))

    def copy(self, source: int, target: int, columns: int) -> None:
        """Nothing, since nothing is counted."""

    def move(self, source: int, target: int, columns: int) -> None:  # noqa: ARG002 - as above
        """Copy a slot's rows."""
        for _, tables in self._places.values():
            tables.move(source, target)
        self._spans[target] = self._spans[source]

    def swap(self, one: int, other: int, columns: int) -> None:  # noqa: ARG002 - as above
        """Exchange two slots' rows."""
        for _, tables in self._places.values():
            tables.swap(one, other)
        self._spans[[one, other]] = self._spans[[other, one]]

    def begin(
        self,
        slots: slice,
        positions: torch.Tensor,
        columns: torch.Tensor,  # noqa: ARG002 - nothing is counted
    ) -> None:
        """Find the tokens of the coming pass that are changed where their slots have rows."""
        if not any(any(tables.used[slots]) for _, tables in self._places.values()):
            return
        at = positions.cpu()
        first, last = self._spans[slots].unbind(dim=1)
        inside = (at >= first[:, None]) & (at < last[:, None]) & (at >= 0)
        self._pass = slots, inside

    def end(self) -> None:
        """The pass is over."""
        self._pass = None

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:  # noqa: ARG002 - as above
        """None."""
        return {}

    def _hook(self, place: Place) -> None:
        module, tables = self._places[place]

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            return self._changed(tables, output)

        self._hooks.append(module.register_forward_hook(hook))

    def _changed(self, tables: SlotTables, output: Any) -> Any:
        """A module's output with the acting tokens changed; None, for as it is, where none acts."""
        if self._pass is None:
            return None
        slots, inside = self._pass
        acting = inside & torch.tensor(tables.used[slots])[:, None]
        if not acting.any():
            return None
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        rows, tokens = (part.to(hidden.device) for part in acting.nonzero(as_tuple=True))
        gathered = {
            name: table[slots].to(hidden.device)[rows] for name, table in tables.tables.items()
        }
        found = self._kind.changed(hidden[rows, tokens].float(), gathered)
        hidden = hidden.clone()  # the model's own output may be kept by what reads it
        hidden[rows, tokens] = found.to(hidden.dtype)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
