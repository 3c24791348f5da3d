"""Before every pass: which condition each of its tokens uses, and at which dose.

Everything is computed on the host, in one vector operation for all requests and terms, and written
to the tables only where it differs from the pass before: decoding at constant doses writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from harness.engines.vllm.worker.row_tables import Tables
from harness.engines.vllm.worker.scheduled import Scheduled, ScheduledRequests
from harness.interventions.residual import Doses, doses_at


class RowMap:
    """Lays the running requests out over the tokens of a pass."""

    def __init__(self, tables: Tables, registry: ScheduledRequests) -> None:
        self._tables = tables
        self._registry = registry
        self._order: tuple[int, list[str]] | None = None
        self._requests: list[Scheduled | None] = []
        self._masks = np.zeros(0, np.int64)
        self._states = np.zeros((0, 3))
        self._owners = np.zeros(0, np.int64)
        self._terms = np.zeros((0, 8))
        self._lists: list[tuple[list[float] | None, int]] = []
        self._written_masks = np.zeros(0, np.int64)
        self._written: list[np.ndarray] = []

    def begin(self, order: Sequence[str], counts: np.ndarray) -> None:
        """Lay out a pass over the requests in this order, with so many tokens of each."""
        self._follow(order)
        starts = np.array([0 if each is None else each.start for each in self._requests], np.int64)
        counts = np.asarray(counts, np.int64)
        offsets = np.cumsum(counts) - counts
        self._write_masks(np.repeat(self._masks, counts))
        self._lay_states(counts, offsets, starts)
        self._write_doses(int(counts.sum()), counts, offsets, starts)
        self._tables.reading = any(each is not None and each.captured for each in self._requests)

    def _follow(self, order: Sequence[str]) -> None:
        """Gather the requests' terms anew when other requests run, or in another order."""
        key = (self._registry.version, list(order))
        if key == self._order:
            return
        self._order = key
        self._requests = [self._registry.requests.get(id_) for id_ in order]
        masks = [0 if each is None else each.mask for each in self._requests]
        self._masks = np.array(masks, np.int64)
        states = [(0, 0, 0) if each is None else each.states for each in self._requests]
        self._states = np.array(states, np.float64).reshape(-1, 3)
        steered = [(i, each) for i, each in enumerate(self._requests) if each and len(each.terms)]
        self._owners = np.array([i for i, each in steered for _ in each.terms], np.int64)
        self._terms = np.concatenate([np.zeros((0, 8)), *(each.terms for _, each in steered)])
        self._lists = [
            pair for _, each in steered for pair in zip(each.given, each.vectors, strict=True)
        ]

    def _write_masks(self, rows: np.ndarray) -> None:
        tables = self._tables
        tables.masked = bool(rows.any())
        tables.replaces = bool(tables.replacing[rows].any())
        before = self._written_masks
        if len(rows) == len(before) and (rows == before).all():
            return
        _write(tables.mask_rows, rows, max(len(rows), len(before)))
        self._written_masks = rows

    def _lay_states(self, counts: np.ndarray, offsets: np.ndarray, starts: np.ndarray) -> None:
        """Find the tokens whose hidden states change; few have any, so no table holds the rest."""
        rows, first, last = np.repeat(self._states, counts, axis=0).T
        position = np.repeat(starts - offsets, counts) + np.arange(len(rows))
        tokens = np.flatnonzero((rows > 0) & (position >= first) & (position < last))
        self._tables.change(tokens, rows[tokens].astype(np.int64))

    def _write_doses(
        self, tokens: int, counts: np.ndarray, offsets: np.ndarray, starts: np.ndarray
    ) -> None:
        tables = self._tables
        columns = len(tables.doses)
        if not len(self._terms):
            tables.dosed = frozenset()
            if not self._written:
                return
        # One entry for each term and token of the request that has it.
        lengths = counts[self._owners]
        entry = np.repeat(np.arange(len(self._owners)), lengths)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        token = offsets[self._owners][entry] + within
        position = starts[self._owners][entry] + within
        terms = self._terms[entry]
        column = terms[:, 0].astype(np.int64)
        timing = torch.from_numpy(terms[:, 1:6].astype(np.float32))
        found = doses_at(Doses(*timing.unbind(1)), torch.from_numpy(position)[:, None])
        doses = found[:, 0].numpy()
        rows = terms[:, 6].astype(np.int64)
        doses, rows = self._by_step(entry, position - terms[:, 4].astype(np.int64), doses, rows)
        laid = [np.zeros((columns, tokens), kind) for kind in (np.float32, np.int64, np.int64)]
        for table, values in zip(laid, (doses, rows, terms[:, 7].astype(np.int64)), strict=True):
            table[column, token] = values
        tables.dosed = frozenset(np.flatnonzero(laid[0].any(axis=1)).tolist())
        self._upload(laid, tokens)
        if not len(self._terms):
            self._written = []

    def _by_step(
        self, entry: np.ndarray, step: np.ndarray, doses: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Doses that are given step by step, and vectors of which every step has its own."""
        for index, (given, vectors) in enumerate(self._lists):
            if given is None and vectors == 1:
                continue
            at = np.flatnonzero(entry == index)
            steps = step[at]
            if given is not None:
                held = np.array([*given, 0.0], np.float32)
                inside = (steps >= 0) & (steps < len(given))
                doses[at] *= held[np.where(inside, steps, len(given))]
            rows[at] += np.clip(steps, 0, vectors - 1)
        return doses, rows

    def _upload(self, laid: list[np.ndarray], tokens: int) -> None:
        before = self._written
        width = max(tokens, before[0].shape[1] if before else 0)
        tables = self._tables
        targets = (tables.doses, tables.vector_rows, tables.gate_rows)
        for index, (target, values) in enumerate(zip(targets, laid, strict=True)):
            if before and before[index].shape == values.shape and (before[index] == values).all():
                continue
            _write(target, values, width)
        self._written = laid


def _write(target: torch.Tensor, values: np.ndarray, width: int) -> None:
    """Copy values to the front of a table's last axis, with zeros up to `width`."""
    padded = np.zeros((*values.shape[:-1], width), values.dtype)
    padded[..., : values.shape[-1]] = values
    target[..., :width].copy_(torch.from_numpy(padded), non_blocking=True)
