"""The tables of one steered place: per slot and term a vector, when it acts, and its condition.

Terms of a slot beyond its own number have alpha 0. The tables grow to the largest number of terms
that any request has at this place, which is one in nearly every experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.interventions.residual import Doses, Term, doses_at, fires, steer, timing


class PlaceTables:
    """What is added to the output of one module, row by row."""

    def __init__(self, module: Any, slots: int, columns: int, width: int) -> None:
        self.module = module
        parameter = next(module.parameters())
        self._device = parameter.device
        self._slots, self._width = slots, width
        self._layers: list[_Layer] = []
        # Additions per slot and column; the last column is where padding is written.
        self._made = torch.zeros(slots, columns + 1, dtype=torch.int16, device=self._device)
        self._slots_of_pass: slice | None = None
        self._positions = torch.empty(0)
        self._columns = torch.empty(0)
        self._doses: list[torch.Tensor] = []

    def widen(self, terms: Sequence[Term]) -> None:
        """Make room for the terms of one request."""
        while len(self._layers) < len(terms):
            self._layers.append(_Layer(self._slots, self._width, self._device))
        for layer, term in zip(self._layers, terms, strict=False):
            layer.widen(term)

    def assign(self, slot: int, terms: Sequence[Term], kept: int, prompt: int) -> None:
        """Write a slot's terms; counts below column `kept` stay."""
        self._made[slot, kept:] = 0
        for index, layer in enumerate(self._layers):
            layer.assign(slot, terms[index] if index < len(terms) else None, prompt)

    def copy(self, source: int, target: int, columns: int) -> None:
        """Copy the counts of a slot's first columns; a slot without a term here has none."""
        if self._acts_on(source):
            self._made[target, :columns] = self._made[source, :columns]
        else:
            self._made[target, :columns] = 0

    def move(self, source: int, target: int, columns: int) -> None:
        """Copy everything of a slot."""
        self.copy(source, target, columns)
        for layer in self._layers:
            layer.move(source, target)

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange everything of two slots."""
        pair, turned = [one, other], [other, one]
        self._made[pair, :columns] = self._made[turned, :columns]
        for layer in self._layers:
            layer.swap(one, other)

    def begin(self, slots: slice, positions: torch.Tensor, columns: torch.Tensor) -> None:
        """Compute the doses of the coming pass; places where no row has any stay out of it."""
        layers = [layer for layer in self._layers if any(layer.used[slots])]
        if not layers:
            return
        self._slots_of_pass = slots
        self._positions, self._columns = positions.to(self._device), columns.to(self._device)
        self._made_in_pass = torch.zeros_like(self._positions, dtype=torch.int16)
        self._in_pass = layers
        self._doses = [layer.doses(slots, self._positions) for layer in layers]

    def end(self) -> None:
        """Write the pass's counts to the columns of its tokens."""
        slots, self._slots_of_pass = self._slots_of_pass, None
        if slots is None:
            return
        spare = self._made.shape[1] - 1
        columns = torch.where(self._columns < 0, spare, self._columns)
        self._made[slots].scatter_(1, columns, self._made_in_pass)

    def count(self, slot: int, columns: int) -> int:
        """Additions made to a slot's first columns.

        Where no row of a pass has a term nothing is written, so that columns of a slot without one
        still hold what an earlier sequence left there.
        """
        return int(self._made[slot, :columns].sum()) if self._acts_on(slot) else 0

    def _acts_on(self, slot: int) -> bool:
        return any(layer.used[slot] for layer in self._layers)

    def hook(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """Add the rows' vectors to a module's output; None, for as it is, outside of a pass."""
        slots = self._slots_of_pass
        if slots is None:
            return None
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        before = hidden
        for layer, doses in zip(self._in_pass, self._doses, strict=True):
            # Conditions look at the state before any term, so that the terms' order means nothing.
            acting = layer.gated(slots, before, doses)
            self._made_in_pass += (acting != 0).to(torch.int16)
            hidden = steer(hidden, layer.vectors_at(slots, self._positions), acting)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


class _Layer:
    """The n-th term of every slot at one place."""

    def __init__(self, slots: int, width: int, device: torch.device) -> None:
        # A vector for each step, of which nearly every term has one for all.
        self._vectors = torch.zeros(slots, 1, width, device=device)
        self._given = torch.zeros(slots, 1, device=device)
        self._is_given = [False] * slots
        self.used = [False] * slots
        # alpha, first, last, origin, over: see `Doses`. over = 1 keeps unused slots finite.
        self._doses = torch.zeros(slots, 5, device=device)
        self._doses[:, 4] = 1
        self._conditional = [False] * slots
        self._directions = torch.zeros(slots, width, device=device)
        # threshold, bias, whether by cosine. -1 is below every probability and cosine.
        self._conditions = torch.zeros(slots, 3, device=device)
        self._conditions[:, 0] = -2

    def widen(self, term: Term) -> None:
        """Make room for a term's steps."""
        vectors = term.vector.shape[0] if len(term.vector.shape) == 2 else 1
        for name, steps in (("_vectors", vectors), ("_given", len(term.given))):
            table: torch.Tensor = getattr(self, name)
            if steps > table.shape[1]:
                wider = table.new_zeros(table.shape[0], steps, *table.shape[2:])
                wider[:, : table.shape[1]] = table
                setattr(self, name, wider)

    def assign(self, slot: int, term: Term | None, prompt: int) -> None:
        self.used[slot] = term is not None
        self._is_given[slot] = term is not None and term.schedule == "given"
        self._conditional[slot] = term is not None and term.condition is not None
        if term is None:
            self._doses[slot, 0] = 0
            return
        vector = term.vector.tensor()
        if vector.ndim == 1:
            self._vectors[slot] = vector
        else:
            self._vectors[slot] = 0
            self._vectors[slot, : len(vector)] = vector
        self._given[slot] = 0
        self._given[slot, : len(term.given)] = torch.tensor(term.given)
        self._doses[slot] = torch.tensor(timing(term, prompt))
        condition = term.condition
        if condition is None:
            self._conditions[slot, 0] = -2
        else:
            self._directions[slot] = condition.direction.tensor()
            by_cosine = float(condition.kind == "cosine")
            values = [condition.threshold, condition.bias, by_cosine]
            self._conditions[slot] = torch.tensor(values)

    def move(self, source: int, target: int) -> None:
        for table in self._tables:
            table[target] = table[source]
        for flags in self._flags:
            flags[target] = flags[source]

    def swap(self, one: int, other: int) -> None:
        for table in self._tables:
            table[[one, other]] = table[[other, one]]
        for flags in self._flags:
            flags[one], flags[other] = flags[other], flags[one]

    def doses(self, slots: slice, positions: torch.Tensor) -> torch.Tensor:
        doses = Doses(*self._doses[slots].unbind(dim=1))
        found = doses_at(doses, positions)
        if not any(self._is_given[slots]):
            return found
        steps = positions - doses.origin[:, None].long()
        given = self._at(self._given[slots], steps) * (steps < self._given.shape[1])
        rows = torch.tensor(self._is_given[slots], device=positions.device)
        return torch.where(rows[:, None], found * given, found)

    def vectors_at(self, slots: slice, positions: torch.Tensor) -> torch.Tensor:
        """The vector of every token [R, T, H], or of every row [R, 1, H] where steps share it."""
        if self._vectors.shape[1] == 1:
            return self._vectors[slots]
        steps = positions - self._doses[slots, 3][:, None].long()
        return self._at(self._vectors[slots], steps)

    @staticmethod
    def _at(table: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Rows [R, S, ...] at steps [R, T], those outside taken at the nearest end."""
        inside = steps.clamp(0, table.shape[1] - 1)
        return table[torch.arange(len(table), device=table.device)[:, None], inside]

    def gated(self, slots: slice, hidden: torch.Tensor, doses: torch.Tensor) -> torch.Tensor:
        """The doses of those tokens whose condition, if their row has one, holds."""
        if not any(self._conditional[slots]):
            return doses
        thresholds, biases, cosine = self._conditions[slots].unbind(dim=1)
        held = fires(hidden, self._directions[slots], thresholds, biases, cosine > 0)
        return torch.where(held, doses, 0.0)

    @property
    def _tables(self) -> tuple[torch.Tensor, ...]:
        return self._vectors, self._given, self._doses, self._directions, self._conditions

    @property
    def _flags(self) -> tuple[list[bool], ...]:
        return self.used, self._conditional, self._is_given
