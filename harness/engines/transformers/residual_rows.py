"""Additions to hidden states: a hook per steered place, vectors indexed by slot.

A place's tables hold one vector per slot and term, so that a pass gathers nothing and its cost does
not grow with the number of distinct vectors in the batch. Rows without a term there have dose 0
and come out bit for bit. A place is hooked from the first request that steers it on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch

from harness.engines.declared import Place
from harness.engines.transformers.place_tables import PlaceTables
from harness.errors import FieldError, ModelError
from harness.interventions.residual import Residual, Term, check_terms
from harness.models.sites import hidden_shape, site_module


class ResidualRows:
    """The additions of one kind to the sequences in the slots, place by place."""

    def __init__(
        self,
        kind: type[Residual],  # noqa: ARG002 - additions are applied alike, whichever kind's
        model: Any,
        slots: int,
        columns: int,
    ) -> None:
        self._model = model
        self._slots = slots
        self._columns = columns
        self._layers, self._width = hidden_shape(model.config)
        self._places: dict[Place, PlaceTables] = {}
        self._steered = [False] * slots
        self._hooks: list[Any] = []
        self._attached = False

    def check(self, intervention: Residual) -> None:
        """Raise a `FieldError` for a layer, a site or a width that the model does not have."""
        check_terms(intervention.additions(), layers=self._layers, width=self._width)
        for place, terms in _by_place(intervention).items():
            self._tables(place).widen(terms)

    def attach(self) -> None:
        """Put a hook on every place that a checked intervention steers."""
        self._attached = True
        for tables in self._places.values():
            self._hook(tables)

    def detach(self) -> None:
        """Take the hooks off."""
        self._attached = False
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def assign(self, slot: int, intervention: Residual | None, kept: int, prompt: int) -> None:
        """Write a slot's vectors and doses."""
        terms = {} if intervention is None else _by_place(intervention)
        for place, tables in self._places.items():
            tables.assign(slot, terms.get(place, []), kept, prompt)
        self._steered[slot] = bool(terms)

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy the counts of a slot's first columns."""
        for tables in self._places.values():
            tables.copy(source, target, columns)

    def move(self, source: int, target: int, columns: int) -> None:
        """Copy a slot's vectors, doses and counts."""
        for tables in self._places.values():
            tables.move(source, target, columns)
        self._steered[target] = self._steered[source]

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange two slots' vectors, doses and counts."""
        for tables in self._places.values():
            tables.swap(one, other, columns)
        self._steered[one], self._steered[other] = self._steered[other], self._steered[one]

    def begin(self, slots: slice, positions: torch.Tensor, columns: torch.Tensor) -> None:
        """Lay out every place's doses for the coming pass, once."""
        if any(self._steered[slots]):
            for tables in self._places.values():
                tables.begin(slots, positions, columns)

    def end(self) -> None:
        """The pass is over: write what it counted to the columns of its tokens."""
        for tables in self._places.values():
            tables.end()

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:
        """Additions that were made (tokens x terms) in a steered sequence, and tokens it has."""
        if not self._steered[slot]:
            return {}
        steered = sum(tables.count(slot, columns) for tables in self._places.values())
        return {"steered": steered, "steered_tokens": columns}

    def _tables(self, place: Place) -> PlaceTables:
        if place not in self._places:
            try:
                module = site_module(self._model, *place)
            except ModelError as error:
                raise FieldError("intervention.site", str(error)) from error
            self._places[place] = PlaceTables(module, self._slots, self._columns, self._width)
            if self._attached:
                self._hook(self._places[place])
        return self._places[place]

    def _hook(self, tables: PlaceTables) -> None:
        self._hooks.append(tables.module.register_forward_hook(tables.hook))


def _by_place(intervention: Residual) -> Mapping[Place, list[Term]]:
    """An intervention's terms by the place that they act on."""
    terms: defaultdict[Place, list[Term]] = defaultdict(list)
    for term in intervention.additions():
        terms[term.layer, term.site].append(term)
    return terms
