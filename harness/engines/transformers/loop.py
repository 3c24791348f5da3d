"""One run of the decoding loop: admit, read prompts, step, hand on what has ended.

A step feeds every running sequence its last token, and a draft where that pays, and costs one
synchronisation with the device: the chosen tokens of all rows at once.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial

import torch

from harness.engines.contract import Completion, FinishReason, Request, Watch
from harness.engines.decoding.endings import Endings
from harness.engines.decoding.siblings import SiblingTexts
from harness.engines.decoding.step_log import traces_of
from harness.engines.transformers.admission import Admission
from harness.engines.transformers.attention import grouped_attention
from harness.engines.transformers.drafts import LONGEST, DraftLength
from harness.engines.transformers.drawing import Drawing
from harness.engines.transformers.experts import experts_as
from harness.engines.transformers.ordering import Queued
from harness.engines.transformers.passes import Passes, Work, padded
from harness.engines.transformers.products import packed_products
from harness.engines.transformers.prompts import read_prompts
from harness.engines.transformers.residents import Resident
from harness.engines.transformers.stage import Stage
from harness.models.loading import LoadedModel

# Logits of one step: 128 MiB in float32 on a CPU, eight times that on an accelerator.
_MOST_LOGITS = {"cpu": 2**25}
_MOST_LOGITS_ELSEWHERE = 2**28

_Ended = list[tuple[int, Completion]]


class DecodingRun:
    """Decodes a queue of checked requests; `run` yields completions by the requests' positions.

    `siblings` are texts to draft from, to which those of this run are added; None drafts nothing.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        queue: Sequence[Queued],
        stage: Stage,
        work: Work,
        *,
        strict: bool,
        siblings: SiblingTexts | None,
    ) -> None:
        self.work = work
        self._model = loaded.model
        self._device = loaded.device
        self._vocabulary = int(loaded.model.get_input_embeddings().num_embeddings)
        self._stage = stage
        self._strict = strict
        self._passes = Passes(loaded, stage, self.work, strict=strict)
        self._admission = Admission(
            queue,
            siblings_apart=siblings is not None,
            together=partial(_shares_much, self._passes),
            regime=stage.rotary.regime_of,
        )
        self._endings = Endings(loaded)
        self._siblings = siblings
        self._draft_length = DraftLength()
        self._drawing: Drawing | None = None

    @torch.inference_mode()
    def run(self) -> Iterator[tuple[int, Completion]]:
        """Run until the queue is empty and every sequence has ended."""
        stage, admission = self._stage, self._admission
        while admission or stage.running:
            try:
                with (
                    stage.interventions.attached(),
                    grouped_attention(self._model),
                    experts_as(self._model, strict=self._strict),
                    packed_products(self._model),
                ):
                    while admission or stage.running:
                        free = stage.slots - len(stage.running)
                        due = not stage.running or admission.is_due(free, stage.slots)
                        ended = self._admit() if due else self._step()
                        if self.work.watch is not None:
                            self._tell(self.work.watch, read=due)
                        yield from ended
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                self._halve(error)

    def _tell(self, watch: Watch, *, read: bool) -> None:
        """Say how far the sequences in flight are, after prompts were read or all went on."""
        lengths = [len(sequence.tokens) for sequence in self._stage.running]
        if read:
            watch.read(0)  # the first tokens were drawn, for which the device was waited for
            watch.flying(lengths)
        else:
            watch.step(lengths)

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
        self._admission.put_back(self._stage.running)
        self._drawing = None
        self._stage.shrink(slots)

    def _admit(self) -> _Ended:
        """Give waiting requests the free slots, read their prompts, draw their first tokens.

        Where shapes are fixed, prompts are read one by one and share nothing.
        """
        residents = self._stage.residents
        first = len(residents.running)
        if self._strict:
            wave = self._admission.wave(1, None)
        else:
            wave = self._admission.wave(self._stage.slots - first, residents)
        self._drawing = None
        for sequence in wave:
            residents.open(sequence)
        fresh = residents.running[first:]
        logits = read_prompts(self._passes, fresh, strict=self._strict)
        return self._advance_readers(fresh, logits)

    def _read_anew(self, outgrown: list[Resident]) -> _Ended:
        """Compute all columns of running sequences again, under the rotary regime they are in."""
        for sequence in outgrown:
            self._stage.residents.restart(sequence, self._stage.rotary.regime_of(sequence))
        parts = [read_prompts(self._passes, [each], strict=self._strict) for each in outgrown]
        return self._advance_readers(outgrown, torch.cat(parts))

    def _advance_readers(self, sequences: list[Resident], logits: torch.Tensor) -> _Ended:
        """Let others share what was read, and draw the tokens after it."""
        for sequence in sequences:
            sequence.length = sequence.total
            if not self._strict:
                self._stage.residents.announce(sequence)
        drawing = Drawing.of(sequences, self._device)
        return self._advance(sequences, [()] * len(sequences), logits, drawing)

    def _step(self) -> _Ended:
        """Feed every row its last token and a draft; keep the tokens that the row itself draws."""
        started = time.perf_counter()
        running, rotary = self._stage.running, self._stage.rotary
        outgrown = [row for row in running if rotary.room(row) < 1]
        if outgrown:
            return self._read_anew(outgrown)
        drafts = self._drafts(running)
        width = 1 + max(len(draft) for draft in drafts)
        fed = [[row.tokens[-1], *draft] for row, draft in zip(running, drafts, strict=True)]
        starts = [sequence.length for sequence in running]
        if self._strict:
            nobody = self._stage.slots - len(running)
            fed, starts = fed + [[]] * nobody, starts + [0] * nobody
        tokens, positions = padded(fed, starts, width, align_ends=False)
        if self._drawing is None:
            self._drawing = Drawing.of(running, self._device)
        visible = self._passes.columns(width + max(starts))
        logits = self._passes.forward(tokens, positions, 0, visible, last_only=width == 1)
        ended = self._advance(running, drafts, logits[: len(running)], self._drawing)
        self._draft_length.observe_pass(tokens.numel(), time.perf_counter() - started)
        return ended

    def _drafts(self, running: list[Resident]) -> list[tuple[int, ...]]:
        """What to propose for each row; nothing where a wider step costs more than it saves."""
        nothing: list[tuple[int, ...]] = [()] * len(running)
        if self._siblings is None:
            return nothing
        able = sum(
            bool(sequence.request.draft) or self._siblings.knows(sequence.request.sample)
            for sequence in running
        )
        length = self._draft_length.best(len(running), able, self._longest_draft()) if able else 0
        if not length:
            return nothing
        return [
            # What a rule keeps is known one token ahead and no further.
            self._proposed(sequence, self._siblings, length) if not sequence.states else ()
            for sequence in running
        ]

    def _proposed(self, sequence: Resident, siblings: SiblingTexts, length: int) -> tuple[int, ...]:
        """What its request proposes, as long as it says that; else what siblings have said."""
        most = min(length, self._endings.room(sequence) - 1, self._fitting(sequence))
        draft, said = sequence.request.draft, len(sequence.tokens)
        if said < len(draft) and most > 0 and draft[:said] == tuple(sequence.tokens):
            return draft[said : said + most]
        return siblings.propose(sequence.request.sample, sequence.tokens, most)

    def _longest_draft(self) -> int:
        """Tokens to draft at most: a pass over them has the logits of every one of every row."""
        most = _MOST_LOGITS.get(self._device.type, _MOST_LOGITS_ELSEWHERE)
        return max(0, min(LONGEST, most // (len(self._stage.running) * self._vocabulary) - 1))

    def _fitting(self, sequence: Resident) -> int:
        """Tokens that may be drafted before a sequence has to be read anew."""
        return self._stage.rotary.room(sequence) - 1

    def _advance(
        self,
        sequences: Sequence[Resident],
        drafts: Sequence[Sequence[int]],
        logits: torch.Tensor,
        drawing: Drawing,
    ) -> _Ended:
        """Draw from logits [R, T, V], keep what verifies, end what is over.

        Column 0 follows each row's last token, column i its i-th drafted token.
        """
        generated = [sequence.request.continued + len(sequence.tokens) for sequence in sequences]
        slots = [sequence.slot for sequence in sequences]
        columns = torch.arange(logits.shape[1])
        logits = self._stage.interventions.changed_logits(
            logits, slots, lambda: torch.tensor(generated)[:, None] + columns
        )
        drawn = drawing.draw(logits, generated, [sequence.states for sequence in sequences])
        ended: list[tuple[Resident, FinishReason]] = []
        for row, (sequence, draft) in enumerate(zip(sequences, drafts, strict=True)):
            before = len(sequence.tokens)
            reason = self._take(sequence, draft, drawn.tokens[row], drawn.log_probabilities[row])
            sequence.states = drawn.states[row]
            if sequence.request.logged and drawn.log is not None:
                sequence.log += drawn.log[row][: len(sequence.tokens) - before]
            if reason is not None and sequence.request.distribution:
                last = max(0, len(sequence.tokens) - before - 1)
                sequence.distribution = logits[row, last].log_softmax(dim=-1).cpu()
            sequence.length = len(sequence.request.prompt) + max(len(sequence.tokens) - 1, 0)
            if draft:
                accepted = min(max(len(sequence.tokens) - before - 1, 0), len(draft))
                self.work.drafted += len(draft)
                self.work.accepted += accepted
                self._draft_length.observe_draft(len(draft), accepted)
            if reason is not None:
                ended.append((sequence, reason))
        # From the last slot on: where all rows end at once, none has to move.
        return [
            (sequence.position, self._end(sequence, reason)) for sequence, reason in ended[::-1]
        ]

    def _take(
        self,
        sequence: Resident,
        draft: Sequence[int],
        tokens: Sequence[int],
        scores: Sequence[float],
    ) -> FinishReason | None:
        """Append chosen tokens as far as the draft was right; the reason if the sequence ends."""
        for index in range(len(draft) + 1):
            if not math.isfinite(scores[index]):
                return "non_finite"
            sequence.tokens.append(tokens[index])
            sequence.log_probabilities.append(scores[index])
            reason = self._endings.reason(sequence)
            if reason is not None:
                return reason
            if index < len(draft) and tokens[index] != draft[index]:
                break
        return None

    def _end(self, sequence: Resident, reason: FinishReason) -> Completion:
        """Free a sequence's slot and say what came of it."""
        stage = self._stage
        counts = stage.interventions.counts(sequence.slot, sequence.length)
        keep = reason != "non_finite" and not self._strict and self._admission.wants(sequence)
        if reason == "non_finite":
            stage.cache.clear(sequence.slot)
        if self._siblings is not None:
            self._siblings.add(sequence.request.sample, tuple(sequence.tokens))
        stage.residents.close(sequence, keep=keep)
        self._drawing = None
        return Completion(
            tokens=tuple(sequence.tokens),
            text=self._endings.text(sequence),
            finish_reason=reason,
            log_probabilities=tuple(sequence.log_probabilities),
            counts=counts,
            traces=traces_of(sequence.log),
            states=sequence.states,
            distribution=sequence.distribution,
            attention=sequence.attention,
            hidden=sequence.hidden,
        )


def _shares_much(passes: Passes, request: Request) -> bool:
    """Whether reading a prompt once, in part, saves more than drafts of its answer can."""
    what = request.intervention
    layers = None if what is None else what.first_layer()
    if layers is None or not passes.widen:
        return False
    return len(request.prompt) * layers > request.max_new_tokens * passes.layers


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory; for a CPU it has no type of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
