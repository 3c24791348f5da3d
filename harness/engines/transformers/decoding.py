"""One run of the decoding loop: admit, read prompts, step, hand on what has ended.

A step feeds every running sequence its last token, and a draft where that pays, and costs one
synchronisation with the device: the chosen tokens of all rows at once.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import Any

import torch

from harness.engines.base import Completion, FinishReason, Request
from harness.engines.noise import noise_key
from harness.engines.sampling import Choice, RowRules, choose
from harness.engines.transformers.attention import grouped_attention
from harness.engines.transformers.drafts import LONGEST, DraftLength, SiblingTexts
from harness.engines.transformers.prefixes import BLOCK, PrefixIndex, prefix_key
from harness.engines.transformers.residents import Sequence
from harness.engines.transformers.slots import Window
from harness.engines.transformers.stage import Stage
from harness.models.loading import LoadedModel

# Tokens of one prefill pass: bounds its activations whatever the prompts' lengths.
_PREFILL_TOKENS = 8192
# A pass is cut where its longest prompt would be this much longer than its shortest one, once it
# has enough rows: measured on zoo/moe, whose prompts differ by a factor of two.
_PREFILL_SPREAD = 1.2
_PREFILL_ROWS = 16
# Width of a prefill pass where every pass has the same shape.
_STRICT_WIDTH = 64
# Columns in use are rounded up to this, so that attention sees few distinct shapes.
_COLUMN_STEP = 32
# A prefill pass costs about as much as a step, so slots are refilled this share at a time.
_REFILL_SHARE = 8

_Ended = list[tuple[int, Completion]]


@dataclass(slots=True)
class Work:
    """What a run cost: forward passes, drafted tokens, and how many of these were accepted."""

    passes: int = 0
    drafted: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class _Rows:
    """How the running rows draw, [R] each on the device; rebuilt when rows come or go."""

    rules: RowRules
    keys: torch.Tensor

    @classmethod
    def of(cls, sequences: SequenceOf[Sequence], device: torch.device) -> _Rows:
        requests = [sequence.request for sequence in sequences]
        keys = [
            noise_key(request.seed, request.sample, request.draw)
            if request.sampling.temperature
            else 0
            for request in requests
        ]
        return cls(
            RowRules.of([request.sampling for request in requests], device),
            torch.tensor(keys, dtype=torch.int64, device=device),
        )


@dataclass(frozen=True, slots=True)
class _Upcoming:
    """A prompt that the coming pass will read, as something to share with."""

    cached: SequenceOf[int]
    intervention: Any
    prompt_length: int


class DecodingRun:
    """Decodes a queue of checked requests; `run` yields completions by the requests' positions."""

    def __init__(
        self,
        loaded: LoadedModel,
        queue: SequenceOf[tuple[int, Request]],
        stage: Stage,
        *,
        strict: bool,
        drafts: bool,
    ) -> None:
        self._loaded = loaded
        self._model = loaded.model
        self._device = loaded.device
        # Read once: transformers' configurations take microseconds for every attribute.
        self._end_tokens = loaded.end_tokens
        self._context = loaded.context
        self._waiting = deque(queue)
        # Prompts, under what is done to them, that are still to come: see `_worth_keeping`.
        self._wanted = Counter(_prompt_key(request) for _, request in queue)
        self._preempted: deque[Sequence] = deque()
        self._stage = stage
        self._strict = strict
        self._siblings = SiblingTexts() if drafts and not strict else None
        self._draft_length = DraftLength()
        self._rows: _Rows | None = None
        self.work = Work()

    @torch.inference_mode()
    def run(self) -> Iterator[tuple[int, Completion]]:
        """Run until the queue is empty and every sequence has ended."""
        while self._waiting or self._preempted or self._stage.running:
            try:
                with self._stage.interventions.attached(), grouped_attention(self._model):
                    while self._waiting or self._preempted or self._stage.running:
                        yield from self._admit() if self._may_admit() else self._step()
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                self._halve(error)

    def _may_admit(self) -> bool:
        """Whether waiting requests should now be given the free slots."""
        waiting = len(self._waiting) + len(self._preempted)
        free = self._stage.slots - len(self._stage.running)
        if not self._stage.running:
            return True
        return waiting > 0 and free >= max(1, min(self._stage.slots // _REFILL_SHARE, waiting))

    def _halve(self, error: Exception) -> None:
        """Out of memory: put every sequence back with the tokens it has, and halve the slots.

        Reading a sequence again gives the columns, and the counts, that it had.
        """
        slots = self._stage.slots // 2
        if slots < 1:
            raise error
        warnings.warn(
            f"out of memory with {self._stage.slots} sequences at once; going on with {slots}",
            RuntimeWarning,
            stacklevel=2,
        )
        for sequence in self._stage.running:
            sequence.length = 0
        self._preempted.extendleft(reversed(self._stage.running))
        self._rows = None
        self._stage.shrink(slots)

    # Prompts --------------------------------------------------------------------------------------

    def _admit(self) -> _Ended:
        """Give waiting requests the free slots, read their prompts, draw their first tokens.

        A request that shares more with another one of the same pass than with what is resident
        waits for the next pass, in which it copies that one's columns. Where shapes are fixed,
        prompts are read one by one.
        """
        stage = self._stage
        first = len(stage.running)
        upcoming = PrefixIndex()
        deferred: list[Sequence] = []
        admitted: list[tuple[int, Sequence]] = []
        free = 1 if self._strict else stage.slots - first
        while (self._preempted or self._waiting) and len(admitted) + len(deferred) < free:
            sequence = self._next()
            tokens = sequence.all_tokens
            shared = 0
            if not self._strict:
                shared = stage.residents.source(sequence)
                prompt = sequence.prompt_length
                in_pass = upcoming.longest(tokens, sequence.intervention, prompt)[1]
                if min(in_pass, len(tokens) - 1) >= shared + BLOCK:
                    deferred.append(sequence)
                    continue
                upcoming.add(_Upcoming(tokens, sequence.intervention, prompt))
            admitted.append((len(tokens) - shared, sequence))
        self._preempted.extendleft(reversed(deferred))
        self._rows = None
        for _, sequence in sorted(admitted, key=lambda pair: pair[0]):
            stage.residents.open(sequence)
        fresh = stage.running[first:]
        logits = torch.cat([self._read_prompts(part) for part in _of_similar_width(fresh)])
        for sequence in fresh:
            sequence.length = len(sequence.all_tokens)
            if not self._strict:
                stage.residents.announce(sequence)
        return self._advance(fresh, [()] * len(fresh), logits, _Rows.of(fresh, self._device))

    def _next(self) -> Sequence:
        if self._preempted:
            return self._preempted.popleft()
        position, request = self._waiting.popleft()
        self._wanted[_prompt_key(request)] -= 1
        return Sequence(position, request)

    def _read_prompts(self, sequences: list[Sequence]) -> torch.Tensor:
        """Compute the prompts' missing columns; the logits [R, 1, V] after their last tokens.

        Prompts are aligned at their ends, so that the last column holds every row's last token and
        the model computes no other logits. What is wider than a pass may be is read in pieces,
        each of which sees the columns before it.
        """
        width = max(map(_missing, sequences))
        piece = _STRICT_WIDTH if self._strict else max(1, _PREFILL_TOKENS // len(sequences))
        if self._strict:
            width = -(-width // piece) * piece
        tokens, positions = _padded(
            [sequence.all_tokens[sequence.length :] for sequence in sequences],
            [sequence.length for sequence in sequences],
            width,
            align_ends=True,
        )
        longest = max(len(sequence.all_tokens) for sequence in sequences)
        nothing_cached = all(sequence.length == 0 for sequence in sequences)
        logits = torch.empty(0)
        for start in range(0, width, piece):
            part = slice(start, start + piece)
            fresh = nothing_cached and start == 0 and not self._strict
            visible = None if fresh else self._columns(longest)
            logits = self._forward(
                tokens[:, part], positions[:, part], sequences[0].slot, visible, last_only=True
            )
        return logits

    # Steps ----------------------------------------------------------------------------------------

    def _step(self) -> _Ended:
        """Feed every row its last token and a draft; keep the tokens that the row itself draws."""
        running = self._stage.running
        drafts = self._drafts(running)
        width = 1 + max(len(draft) for draft in drafts)
        fed = [[row.tokens[-1], *draft] for row, draft in zip(running, drafts, strict=True)]
        starts = [sequence.length for sequence in running]
        if self._strict:
            nobody = self._stage.slots - len(running)
            fed, starts = fed + [[]] * nobody, starts + [0] * nobody
        tokens, positions = _padded(fed, starts, width, align_ends=False)
        if self._rows is None:
            self._rows = _Rows.of(running, self._device)
        started = time.perf_counter()
        visible = self._columns(width + max(sequence.length for sequence in running))
        logits = self._forward(tokens, positions, 0, visible, last_only=width == 1)[: len(running)]
        ended = self._advance(running, drafts, logits, self._rows)
        self._draft_length.observe_pass(tokens.numel(), time.perf_counter() - started)
        return ended

    def _drafts(self, running: list[Sequence]) -> list[tuple[int, ...]]:
        """What to propose for each row; nothing where a wider step costs more than it saves."""
        nothing: list[tuple[int, ...]] = [()] * len(running)
        if self._siblings is None:
            return nothing
        able = sum(self._siblings.knows(sequence.request.sample) for sequence in running)
        length = self._draft_length.best(len(running), able, LONGEST) if able else 0
        if not length:
            return nothing
        return [
            self._siblings.propose(
                sequence.request.sample,
                sequence.tokens,
                min(length, self._room(sequence) - 1),
            )
            for sequence in running
        ]

    def _room(self, sequence: Sequence) -> int:
        """Tokens that a sequence may still generate."""
        request = sequence.request
        context = self._context - len(request.prompt)
        return min(request.max_new_tokens, context) - len(sequence.tokens)

    def _columns(self, needed: int) -> int:
        """Columns to read: those in use, rounded up; all of them where shapes are fixed."""
        if self._strict:
            return self._stage.cache.capacity
        return min(-(-needed // _COLUMN_STEP) * _COLUMN_STEP, self._stage.cache.capacity)

    def _forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        first: int,
        visible: int | None,
        *,
        last_only: bool,
    ) -> torch.Tensor:
        """One pass over tokens [R, T] at positions [R, T] (-1: padding) of slots `first` and on.

        Returns float32 logits [R, T, V], or [R, 1, V] of the last column.
        """
        stage = self._stage
        slots = slice(first, first + len(tokens))
        tokens, positions = tokens.to(self._device), positions.to(self._device)
        stage.cache.window = Window(
            slots, torch.where(positions < 0, stage.cache.spare_column, positions), visible
        )
        keys = positions if visible is None else torch.arange(visible, device=self._device)
        with stage.interventions.applied(slots, positions):
            output: Any = self._model(
                input_ids=tokens,
                attention_mask=stage.masks.build(positions, keys, self._model.dtype),
                position_ids=positions.clamp(min=0),
                past_key_values=stage.cache,
                use_cache=True,
                logits_to_keep=1 if last_only else 0,
            )
        self.work.passes += 1
        logits: torch.Tensor = output.logits.float()
        return logits

    # Tokens ---------------------------------------------------------------------------------------

    def _advance(
        self,
        sequences: SequenceOf[Sequence],
        drafts: SequenceOf[SequenceOf[int]],
        logits: torch.Tensor,
        rows: _Rows,
    ) -> _Ended:
        """Draw from logits [R, T, V], keep what verifies, end what is over.

        Column 0 follows each row's last token, column i its i-th drafted token.
        """
        width = logits.shape[1]
        drawn = torch.tensor(
            [sequence.request.continued + len(sequence.tokens) for sequence in sequences],
            device=self._device,
        )
        choice = choose(
            logits.flatten(0, 1),
            rows.rules.repeat(width),
            rows.keys.repeat_interleave(width),
            (drawn[:, None] + torch.arange(width, device=self._device)).flatten(),
        )
        tokens, scores = _to_host(choice, width)
        ended: list[tuple[Sequence, FinishReason]] = []
        for row, (sequence, draft) in enumerate(zip(sequences, drafts, strict=True)):
            before = len(sequence.tokens)
            reason = self._take(sequence, draft, tokens[row], scores[row])
            if reason is not None and sequence.request.distribution:
                last = len(sequence.tokens) - before - 1
                sequence.distribution = logits[row, max(0, last)].log_softmax(dim=-1).cpu()
            sequence.length = len(sequence.request.prompt) + max(len(sequence.tokens) - 1, 0)
            accepted = min(max(len(sequence.tokens) - before - 1, 0), len(draft))
            self.work.drafted += len(draft)
            self.work.accepted += accepted
            self._draft_length.observe_draft(len(draft), accepted)
            if reason is not None:
                ended.append((sequence, reason))
        return [(sequence.position, self._end(sequence, reason)) for sequence, reason in ended]

    def _take(
        self,
        sequence: Sequence,
        draft: SequenceOf[int],
        tokens: SequenceOf[int],
        scores: SequenceOf[float],
    ) -> FinishReason | None:
        """Append chosen tokens as far as the draft was right; the reason if the sequence ends."""
        for index in range(len(draft) + 1):
            if not math.isfinite(scores[index]):
                return "non_finite"
            sequence.tokens.append(tokens[index])
            sequence.log_probabilities.append(scores[index])
            reason = self._finish_reason(sequence)
            if reason is not None:
                return reason
            if index < len(draft) and tokens[index] != draft[index]:
                break
        return None

    def _finish_reason(self, sequence: Sequence) -> FinishReason | None:
        stop = sequence.request.stop
        if sequence.tokens[-1] in self._end_tokens or sequence.tokens[-1] in stop.tokens:
            return "stop"
        if stop.strings and _first_stop(self._tail(sequence), stop.strings) is not None:
            return "stop"
        return "length" if self._room(sequence) < 1 else None

    def _tail(self, sequence: Sequence) -> str:
        """The end of the text, long enough for a stop string that the last token completes."""
        # A token is at least one byte and a character at most four, hence the factor.
        needed = 4 * max(len(string) for string in sequence.request.stop.strings)
        return str(self._loaded.tokenizer.decode(sequence.tokens[-needed:]))

    def _end(self, sequence: Sequence, reason: FinishReason) -> Completion:
        """Free a sequence's slot and say what came of it."""
        counts = self._stage.interventions.counts(sequence.slot, sequence.length)
        if reason == "non_finite":
            self._stage.cache.clear(sequence.slot)
        elif self._siblings is not None:
            self._siblings.add(sequence.request.sample, tuple(sequence.tokens))
        keep = reason != "non_finite" and self._worth_keeping(sequence)
        self._stage.residents.close(sequence, keep=keep)
        self._rows = None
        return Completion(
            tokens=tuple(sequence.tokens),
            text=self._text(sequence),
            finish_reason=reason,
            log_probabilities=tuple(sequence.log_probabilities),
            counts=counts,
            distribution=sequence.distribution,
        )

    def _worth_keeping(self, sequence: Sequence) -> bool:
        """Whether a waiting request has this prompt; later calls may want the last sequences."""
        if self._strict:
            return False
        return not self._waiting or self._wanted[_prompt_key(sequence.request)] > 0

    def _text(self, sequence: Sequence) -> str:
        """The text without its stop token, cut in front of the first stop string."""
        stop = sequence.request.stop
        ends = self._end_tokens | stop.tokens
        tokens = sequence.tokens
        if tokens and tokens[-1] in ends:
            tokens = tokens[:-1]
        text = str(self._loaded.tokenizer.decode(tokens))
        cut = _first_stop(text, stop.strings)
        return text if cut is None else text[:cut]


def _missing(sequence: Sequence) -> int:
    """Tokens of an admitted sequence that are not in the cache yet."""
    return len(sequence.all_tokens) - sequence.length


def _of_similar_width(sequences: SequenceOf[Sequence]) -> Iterator[list[Sequence]]:
    """Neighbours whose prompts are read in one pass: enough of them, of similar length.

    A pass over few rows costs almost as much as one over more, padding costs what tokens cost.
    """
    part: list[Sequence] = []
    for sequence in sequences:
        width = max(_missing(other) for other in [*part, sequence])
        too_wide = len(part) >= _PREFILL_ROWS and width > _PREFILL_SPREAD * _missing(part[0])
        if part and (too_wide or width * (len(part) + 1) > _PREFILL_TOKENS):
            yield part
            part = []
        part.append(sequence)
    if part:
        yield part


def _prompt_key(request: Request) -> tuple[tuple[int, ...], str]:
    length = len(request.prompt)
    return request.prompt, prefix_key(request.intervention, length, request.prompt_length)


def _padded(
    rows: SequenceOf[list[int]], starts: SequenceOf[int], width: int, *, align_ends: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [R, T] and positions [R, T] of rows that start at `starts`; padding is 0 and -1."""
    tokens, positions = [], []
    for row, start in zip(rows, starts, strict=True):
        padding = width - len(row)
        before, after = (padding, 0) if align_ends else (0, padding)
        tokens.append([0] * before + row + [0] * after)
        positions.append([-1] * before + list(range(start, start + len(row))) + [-1] * after)
    return torch.tensor(tokens), torch.tensor(positions)


def _to_host(choice: Choice, width: int) -> tuple[list[list[int]], list[list[float]]]:
    """Chosen tokens and their scores, [R, width] each, in one transfer."""
    tokens, scores = choice.tokens.view(-1, width), choice.log_probabilities.view(-1, width)
    if tokens.device.type == "cpu":
        return tokens.tolist(), scores.tolist()
    # float32 holds integers up to 2**24 exactly, which is more than any vocabulary.
    both = torch.stack([tokens.float(), scores]).tolist()
    return [[int(token) for token in row] for row in both[0]], both[1]


def _first_stop(text: str, strings: SequenceOf[str]) -> int | None:
    """Where the first stop string starts, or None."""
    found = [index for index in (text.find(string) for string in strings) if index >= 0]
    return min(found, default=None)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory; for a CPU it has no type of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
