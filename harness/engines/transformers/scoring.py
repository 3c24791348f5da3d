"""Scores given continuations: a row of a pass is one context with its continuations as branches.

    columns    0 ........ C-1  |  C ................. C+K-1
    a row      (padding) context  branch 1  branch 2  (padding)

A branch is a continuation without its last token, after which nothing is predicted. Its tokens
see the context and their own branch, at the positions that they have behind the context alone. So
the context is computed once for all continuations, those of one token add no column, and nothing
is kept between passes. Contexts end in the same column, behind which logits are computed. Where all
are of one length and no row has two branches, as with texts that are read from their first token,
a row is a plain sequence and the model masks it itself, with the fastest kernel that it has.

Where rotary embeddings depend on a sequence's length, only continuations that turn them alike share
a row. `apart` gives every continuation a pass of its own, whose shape is then its own affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.engines.contract import Scored, Scoring, Watch
from harness.engines.scoring import Gathering
from harness.engines.transformers.attention_masks import AttentionMasks
from harness.engines.transformers.last_layer import can_be_cut, last_layer_cut
from harness.engines.transformers.ordering import LOOK_AHEAD
from harness.engines.transformers.predictions import said_of, tokens_with_logits
from harness.engines.transformers.rotary import RowRotary
from harness.engines.transformers.row_interventions import InterventionSet
from harness.models.loading import LoadedModel

# Tokens of one pass, which bound its activations and masks.
_PASS_TOKENS = 4096

Queued = tuple[int, Scoring]


@dataclass(frozen=True, slots=True)
class _Row:
    """A scoring with those of its continuations, by their numbers, that share a row."""

    position: int
    scoring: Scoring
    continuations: tuple[int, ...]

    @property
    def branches(self) -> list[tuple[int, ...]]:
        """What is fed of each continuation."""
        return [self.scoring.continuations[index][:-1] for index in self.continuations]

    @property
    def width(self) -> int:
        """Tokens of all branches."""
        return sum(map(len, self.branches))

    @property
    def total(self) -> int:
        """The length by which the row is turned: all of its continuations are turned alike."""
        longest = max(len(self.scoring.continuations[index]) for index in self.continuations)
        return len(self.scoring.context) + longest


@torch.inference_mode()
def score(
    loaded: LoadedModel, queue: Sequence[Queued], *, apart: bool, watch: Watch | None = None
) -> Iterator[tuple[int, Scored]]:
    """Yield `(position, scored)` of checked scorings, as the last continuation of each is read."""
    rotary = RowRotary(loaded.model)
    logits = tokens_with_logits(loaded)
    for start in range(0, len(queue), LOOK_AHEAD):
        ahead = queue[start : start + LOOK_AHEAD]
        gathering = {position: Gathering(scoring) for position, scoring in ahead}
        for position in [position for position, each in gathering.items() if each.complete]:
            yield position, gathering.pop(position).scored()
        rows = [row for queued in ahead for row in _rows(queued, rotary, logits, apart=apart)]
        for batch in _batches(rows, logits, apart=apart):
            _read(loaded, batch, rotary, gathering, watch, apart=apart)
            for position in dict.fromkeys(row.position for row in batch):
                if gathering[position].complete:
                    yield position, gathering.pop(position).scored()


def _rows(queued: Queued, rotary: RowRotary, logits: int, *, apart: bool) -> Iterator[_Row]:
    """The rows of one scoring: of continuations that are turned alike, as many as fit a pass."""
    position, scoring = queued
    groups: dict[int, list[int]] = {}
    for index, continuation in enumerate(scoring.continuations):
        if continuation:
            alike = index if apart else rotary.regime(len(scoring.context) + len(continuation))
            groups.setdefault(alike, []).append(index)
    for group in groups.values():
        row: list[int] = []
        room = most = min(_PASS_TOKENS - len(scoring.context), logits - 1)
        for index in group:
            fed = len(scoring.continuations[index]) - 1
            if row and fed > room:
                yield _Row(position, scoring, tuple(row))
                row, room = [], most
            row.append(index)
            room -= fed
        yield _Row(position, scoring, tuple(row))


def _batches(rows: Sequence[_Row], logits: int, *, apart: bool) -> Iterator[list[_Row]]:
    """Rows of similar shape in passes of bounded size, the longest first."""
    batch: list[_Row] = []
    context = width = 0
    for row in sorted(rows, key=lambda row: (-len(row.scoring.context), -row.width)):
        longer = max(context, len(row.scoring.context)), max(width, row.width)
        many = len(batch) + 1
        if batch and (
            apart or many * sum(longer) > _PASS_TOKENS or many * (1 + longer[1]) > logits
        ):
            yield batch
            batch, longer = [], (len(row.scoring.context), row.width)
        batch.append(row)
        context, width = longer
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class _Laid:
    """A batch as a pass sees it, [R, C + K] each; see the head of this module.

    `positions` and `columns`, where tokens are counted, are -1 for padding, `branches` 0 for
    contexts. `context` is C, of which there is one at least. `causal` says whether every token sees
    all that is to the left of it, so that no mask is needed: padding is to the right only.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    columns: torch.Tensor
    branches: torch.Tensor
    context: int
    causal: bool

    @classmethod
    def of(cls, batch: Sequence[_Row], device: torch.device) -> _Laid:
        """Lay rows out over the columns of a pass."""
        context = max(1, *(len(row.scoring.context) for row in batch))
        shape = len(batch), context + max(row.width for row in batch)
        tokens, branches = np.zeros((2, *shape), np.int64)
        positions, columns = np.full((2, *shape), -1)
        for number, row in enumerate(batch):
            own = len(row.scoring.context)
            start, end = context - own, context + row.width
            fed = [*row.scoring.context, *(token for branch in row.branches for token in branch)]
            tokens[number, start:end] = fed
            columns[number, start:end] = np.arange(len(fed))
            positions[number, start:context] = np.arange(own)
            at = context
            for branch, part in enumerate(row.branches, start=1):
                place = slice(at, at + len(part))
                positions[number, place] = np.arange(own, own + len(part))
                branches[number, place] = branch
                at += len(part)

        def moved(values: NDArray[np.int64]) -> torch.Tensor:
            return torch.from_numpy(values).to(device)

        causal = all(
            len(row.scoring.context) == context and sum(map(bool, row.branches)) <= 1
            for row in batch
        )
        return cls(
            moved(tokens), moved(positions), moved(columns), moved(branches), context, causal
        )

    def masks(self, loaded: LoadedModel) -> dict[str, Any]:
        """What tells a model's forward which tokens see which, and where they are."""
        if self.causal:
            # Positions that start again would be taken for sequences packed into one.
            columns = torch.arange(self.tokens.shape[1], device=self.tokens.device)
            return {"position_ids": columns.expand(self.tokens.shape)}
        mask = AttentionMasks(loaded.model.config).build(
            self.positions, self.positions, loaded.model.dtype, self.branches
        )
        return {"attention_mask": mask, "position_ids": self.positions.clamp(min=0)}


def _read(
    loaded: LoadedModel,
    batch: Sequence[_Row],
    rotary: RowRotary,
    gathering: dict[int, Gathering],
    watch: Watch | None,
    *,
    apart: bool,
) -> None:
    """Run one pass, and add what it says to the scorings of its rows."""
    model = loaded.model
    laid = _Laid.of(batch, loaded.device)
    rows, width = laid.tokens.shape
    interventions = InterventionSet(model, rows, width)
    with interventions.attached():
        # All before the first is assigned: a check may widen tables that are written already.
        for row in batch:
            interventions.check(row.scoring.intervention)
        for number, row in enumerate(batch):
            scoring = row.scoring
            interventions.assign(number, scoring.intervention, prompt=scoring.prompt_length)
        regimes = rotary.regimes([row.total for row in batch], laid.positions)
        kept = 1 + width - laid.context
        cut = not apart and can_be_cut(model, (row.scoring.intervention for row in batch))
        with (
            last_layer_cut(model, kept) if cut else nullcontext(),
            interventions.applied(slice(0, rows), laid.positions, laid.columns),
            rotary.turning(regimes),
        ):
            output: Any = model(
                input_ids=laid.tokens,
                **laid.masks(loaded),
                use_cache=False,
                logits_to_keep=kept,
            )
    if watch is not None:
        watch.read(laid.tokens.numel())
    prompts = torch.tensor([row.scoring.prompt_length for row in batch], device=laid.tokens.device)
    logits = interventions.changed_logits(
        output.logits,
        range(rows),
        lambda: laid.positions[:, laid.context - 1 :] + 1 - prompts[:, None],
    )
    scores = _Scores(logits, batch)
    for number, row in enumerate(batch):
        own, into = len(row.scoring.context), gathering[row.position]
        into.count(interventions.counts(number, own), times=len(row.continuations) - 1)
        into.count(interventions.counts(number, own + row.width))
        for index in row.continuations:
            into.add(index, *scores.next(row, index))


class _Scores:
    """The log-probabilities of a pass's continuations, row by row; one transfer from the device.

    `logits` [R, 1 + K, V] follow the last token of each context and every token of its branches.
    """

    def __init__(self, logits: torch.Tensor, batch: Sequence[_Row]) -> None:
        rows: list[int] = []
        places: list[int] = []
        targets: list[int] = []
        for number, row in enumerate(batch):
            at = 1
            for index, branch in zip(row.continuations, row.branches, strict=True):
                skipped = not row.scoring.context
                predicting = [0, *range(at, at + len(branch))][skipped:]
                rows += [number] * len(predicting)
                places += predicting
                targets += row.scoring.continuations[index][skipped:]
                at += len(branch)
        width, words = logits.shape[1:]
        flat = logits.reshape(-1, words)
        indices = torch.tensor([rows, places, targets], dtype=torch.long, device=logits.device)
        row, place, target = indices
        self._found: list[list[float]] = said_of(flat, row * width + place, target).tolist()
        self._read = 0

    def next(self, row: _Row, index: int) -> tuple[list[float], list[bool]]:
        """The values of one continuation; asked for in the order of the batch."""
        first = [] if row.scoring.context else [0.0]
        start = self._read
        self._read += len(row.scoring.continuations[index]) - len(first)
        values, best = (each[start : self._read] for each in self._found)
        return [*first, *values], [*map(bool, first), *map(bool, best)]
