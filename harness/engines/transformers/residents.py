"""Which sequence lives in which slot: running ones in front, ended ones behind them.

Running sequences are the first slots at every moment, so that a step works on neighbouring slots.
An ended sequence keeps its columns, and a request that extends it, or shares a prefix with it,
starts from them. The least recently used one makes room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from harness.engines.contract import Request
from harness.engines.transformers.prefixes import BLOCK, PrefixIndex
from harness.engines.transformers.row_interventions import InterventionSet
from harness.engines.transformers.slots import SlotCache
from harness.interventions.base import Intervention


@dataclass(slots=True, eq=False)
class Resident:
    """A request that occupies a slot: `length` columns of prompt + tokens are in the cache."""

    position: int
    request: Request
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    #: The numbers of every step, where the request asks for them.
    log: list[list[float]] = field(default_factory=list)
    length: int = 0
    slot: int = -1
    #: The regime of rotary embeddings in which its first columns are, see `rotary.py`.
    regime: int = 0
    distribution: torch.Tensor | None = None
    attention: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    #: What stateful sampling rules keep of it; it goes wherever the sequence goes.
    states: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def all_tokens(self) -> list[int]:
        """Prompt and generated tokens."""
        return [*self.request.prompt, *self.tokens]

    @property
    def total(self) -> int:
        """How many tokens that is."""
        return len(self.request.prompt) + len(self.tokens)

    @property
    def generated(self) -> list[int]:
        """Generated tokens, those of earlier requests of the same sequence included."""
        continued = self.request.continued
        return [*self.request.prompt[-continued:], *self.tokens] if continued else self.tokens

    @property
    def cached(self) -> list[int]:
        """The tokens whose columns are in the cache."""
        return self.all_tokens[: self.length]

    @property
    def intervention(self) -> Intervention | None:
        """What is done to the model while this sequence runs."""
        return self.request.intervention

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt proper, see `Request`."""
        return self.request.prompt_length


class Residents:
    """The sequences of a cache. `running[i]` is in slot i."""

    def __init__(self, cache: SlotCache, interventions: InterventionSet) -> None:
        self.running: list[Resident] = []
        self._cache = cache
        self._interventions = interventions
        # Ended sequences by slot, the least recently used first.
        self._ended: OrderedDict[int, Resident] = OrderedDict()
        self._index = PrefixIndex()
        self.reused_columns = 0

    def source(self, sequence: Resident) -> int:
        """How many leading tokens a new sequence could take over; at least one is left to read."""
        return self._find(sequence)[1]

    def open(self, sequence: Resident) -> None:
        """Give a sequence the next slot, with whatever columns it shares with a resident."""
        source, shared = self._find(sequence)
        slot = len(self.running)
        if slot in self._ended and self._ended[slot] is not source:
            # What shares columns with the source can share with its continuation, so it moves; and
            # where something must go, its columns beyond the shared ones are less than all of
            # another's.
            if (
                source is not None
                and source.slot in self._ended
                and (shared == source.length or self._free_slot() is None)
            ):
                self._exchange(slot, source.slot)
            else:
                self._make_room(slot, source)
        if source is not None and source.slot == slot:
            self._forget(slot)
        elif source is not None:
            self._cache.copy(source.slot, slot, shared)
            self._interventions.copy(source.slot, slot, shared)
            if source.slot in self._ended:
                self._ended.move_to_end(source.slot)
        self._interventions.check(sequence.intervention)
        self._interventions.assign(
            slot, sequence.intervention, kept=shared, prompt=sequence.prompt_length
        )
        sequence.slot, sequence.length = slot, shared
        if source is not None and source.slot == slot:
            # The source gave up its place: others of the same wave find its columns here.
            self._index.add(sequence)
        self.reused_columns += shared
        self.running.append(sequence)

    def announce(self, sequence: Resident) -> None:
        """A running sequence's prompt is in the cache: others may share it from now on."""
        self._index.add(sequence)

    def restart(self, sequence: Resident, regime: int) -> None:
        """Forget a running sequence's columns and counts: all of its tokens will be read again."""
        self._index.remove(sequence)
        sequence.length, sequence.regime = 0, regime
        self._interventions.assign(
            sequence.slot, sequence.intervention, prompt=sequence.prompt_length
        )

    def close(self, sequence: Resident, *, keep: bool) -> None:
        """End a running sequence; the last running one takes its slot."""
        slot, last = sequence.slot, len(self.running) - 1
        mover = self.running[last]
        if slot != last:
            length = max(sequence.length, mover.length)
            if keep:
                self._cache.swap(slot, last, length)
                self._interventions.swap(slot, last, length)
            else:
                self._cache.copy(last, slot, mover.length)
                self._interventions.move(last, slot, mover.length)
            mover.slot = slot
            self.running[slot] = mover
        self.running.pop()
        sequence.slot = last
        self._index.remove(sequence)
        if keep:
            self._ended[last] = sequence
            self._index.add(sequence)

    def _find(self, sequence: Resident) -> tuple[Resident | None, int]:
        tokens = sequence.all_tokens
        holder, shared = self._index.longest(
            tokens, sequence.intervention, sequence.prompt_length, sequence.regime
        )
        shared = min(shared, len(tokens) - 1)
        if holder is None or shared < BLOCK:
            return None, 0
        assert isinstance(holder, Resident)
        return holder, shared

    def _exchange(self, one: int, other: int) -> None:
        """Let two ended sequences change slots."""
        here, there = self._ended[one], self._ended[other]
        length = max(here.length, there.length)
        self._cache.swap(one, other, length)
        self._interventions.swap(one, other, length)
        here.slot, there.slot = other, one
        # Their places in the order of use stay theirs.
        self._ended = OrderedDict((each.slot, each) for each in self._ended.values())

    def _make_room(self, slot: int, source: Resident | None) -> None:
        """Free a slot by dropping the least recently used resident that is not the source."""
        free = self._free_slot()
        if free is None:
            victim = next(other for other in self._ended.values() if other is not source)
            free = victim.slot
            self._forget(free)
            if free == slot:
                return
        resident = self._ended.pop(slot)
        self._cache.copy(slot, free, resident.length)
        self._interventions.move(slot, free, resident.length)
        resident.slot = free
        self._ended[free] = resident

    def _free_slot(self) -> int | None:
        """A slot behind the running ones that holds nothing."""
        behind = range(len(self.running) + 1, self._cache.slots)
        return next((slot for slot in behind if slot not in self._ended), None)

    def _forget(self, slot: int) -> None:
        self._index.remove(self._ended.pop(slot))
