"""One forward pass of the model over neighbouring slots: positions, mask, window, interventions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from harness.engines.contract import Watch
from harness.engines.transformers.attention import RowGroup, row_groups
from harness.engines.transformers.last_layer import can_be_cut, last_layer_cut
from harness.engines.transformers.residents import Resident
from harness.engines.transformers.shared_layers import able, widened
from harness.engines.transformers.sight import seen
from harness.engines.transformers.slots import Window
from harness.engines.transformers.stage import Stage
from harness.models.loading import LoadedModel

# Columns in use are rounded up to this, so that attention sees few distinct shapes.
_COLUMN_STEP = 32
# Rows of a group, on a CPU; elsewhere a call of a kernel costs more than what groups leave out.
_GROUP = 8


@dataclass(slots=True)
class Work:
    """What a run cost: forward passes, drafted tokens, and how many of these were accepted."""

    passes: int = 0
    read: float = 0
    """Tokens of prompts that were read, padding too; a part of the layers counts as that part."""
    drafted: int = 0
    accepted: int = 0
    watch: Watch | None = None
    """Told of every pass."""


class Alike(NamedTuple):
    """So many rows with the same tokens, and in the first `layers` layers with the same states."""

    rows: int
    layers: int


class Passes:
    """Feeds tokens to a model on a stage."""

    def __init__(self, loaded: LoadedModel, stage: Stage, work: Work, *, strict: bool) -> None:
        self._model = loaded.model
        self._device = loaded.device
        self._stage = stage
        self._work = work
        self._strict = strict
        self.layers = int(loaded.model.config.get_text_config().num_hidden_layers)
        #: Whether one row can be read for several.
        self.widen = not strict and loaded.model in able

    def has_read(self, tokens: float) -> None:
        """Tell that so many tokens of prompts were read."""
        self._work.read += tokens
        if self._work.watch is not None:
            self._work.watch.read(round(tokens))

    def columns(self, needed: int) -> int:
        """Columns to read: those in use, rounded up; all of them where shapes are fixed."""
        if self._strict:
            return self._stage.cache.capacity
        return min(-(-needed // _COLUMN_STEP) * _COLUMN_STEP, self._stage.cache.capacity)

    def forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        first: int,
        visible: int | None,
        *,
        last_only: bool,
        alike: Alike | None = None,
    ) -> torch.Tensor:
        """One pass over tokens [R, T] at positions [R, T] (-1: padding) of slots `first` and on.

        Reads `visible` columns of the cache, or with None only what the pass itself computes.
        `alike` says that the one row given is that of several slots, whose logits come back.
        Returns float32 logits [R, T, V], or [R, 1, V] of the last column.
        """
        stage = self._stage
        regimes = self._regimes(slice(first, first + len(tokens)), positions)
        rows = len(tokens) if alike is None else alike.rows
        slots = slice(first, first + rows)
        groups = self.groups(positions, visible) if alike is None else []
        tokens, positions = tokens.to(self._device), positions.to(self._device)
        columns = torch.where(positions < 0, stage.cache.spare_column, positions)
        stage.cache.look_at(Window(slots, columns, visible))
        keys = positions if visible is None else torch.arange(visible, device=self._device)
        every = positions.expand(rows, -1)
        with (
            stage.interventions.applied(slots, every),
            stage.rotary.turning(regimes),
            self._widened(alike),
            row_groups(groups),
        ):
            output: Any = self._model(
                input_ids=tokens,
                attention_mask=stage.masks.build(positions, keys, self._model.dtype),
                position_ids=positions.clamp(min=0),
                past_key_values=stage.cache,
                use_cache=True,
                logits_to_keep=1 if last_only else 0,
            )
        self._work.passes += 1
        logits: torch.Tensor = output.logits.float()
        return logits.expand(rows, -1, -1)

    def sight(self, sequences: Sequence[Resident]) -> AbstractContextManager[None]:
        """Let sequences have what they ask to see of the pass inside, with their last tokens."""
        if any(each.request.attention or each.request.hidden for each in sequences):
            return seen(self._model, sequences)
        return nullcontext()

    def cut(self, sequences: Sequence[Resident]) -> AbstractContextManager[None]:
        """Let the pass inside leave out what its last logits do not need; not of a fixed shape."""
        whats = (each.intervention for each in sequences)
        if self._strict or not can_be_cut(self._model, whats):
            return nullcontext()
        return last_layer_cut(self._model, 1)

    def groups(self, positions: torch.Tensor, visible: int | None) -> list[RowGroup]:
        """Neighbours of similar length, so that no row reads as many columns as the longest one."""
        if visible is None or self._strict or self._device.type != "cpu":
            return []
        # As if a row's tokens went on to the end of the pass, which a draft's padding does not.
        behind = torch.arange(positions.shape[1], 0, -1)
        needed = torch.where(positions < 0, 0, positions + behind).amax(dim=1).tolist()
        groups: list[RowGroup] = []
        for start in range(0, len(needed), _GROUP):
            end = min(start + _GROUP, len(needed))
            columns = self.columns(max(needed[start:end]))
            if groups and groups[-1].columns == columns:
                start = groups.pop().rows.start
            groups.append(RowGroup(slice(start, end), columns))
        return groups

    def _widened(self, alike: Alike | None) -> AbstractContextManager[None]:
        """One row becomes several behind the layers that are alike."""
        if alike is None:
            return nullcontext()
        return widened(self._model, alike.layers, alike.rows)

    def _regimes(self, slots: slice, positions: torch.Tensor) -> torch.Tensor | None:
        """The rotary regimes of tokens [R, T]; rows behind the running ones are empty."""
        rotary = self._stage.rotary
        lengths = [rotary.read_at(row) for row in self._stage.running[slots]]
        return rotary.regimes(lengths + [0] * (len(positions) - len(lengths)), positions)


def padded(
    rows: Sequence[list[int]], starts: Sequence[int], width: int, *, align_ends: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [R, T] and positions [R, T] of rows that start at `starts`; padding is 0 and -1."""
    tokens, positions = [], []
    for row, start in zip(rows, starts, strict=True):
        padding = width - len(row)
        before, after = (padding, 0) if align_ends else (0, padding)
        tokens.append([0] * before + row + [0] * after)
        positions.append([-1] * before + list(range(start, start + len(row))) + [-1] * after)
    return torch.tensor(tokens), torch.tensor(positions)
