"""Which requests wait and which start next: the queue of a run, and waves that fill free slots."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any

from harness.engines.contract import Request
from harness.engines.decoding.rules import initial_states
from harness.engines.transformers.ordering import Queued, by_length
from harness.engines.transformers.prefixes import BLOCK, PrefixIndex, prefix_key
from harness.engines.transformers.residents import Resident, Residents

# Reading prompts costs about as much as a step, so slots are refilled this share at a time.
_REFILL_SHARE = 8


@dataclass(frozen=True, slots=True)
class _Upcoming:
    """A prompt that the coming pass will read, as something to share with."""

    cached: Sequence[int]
    intervention: Any
    prompt_length: int
    regime: int


class Admission:
    """The requests of one run that are not running."""

    def __init__(
        self,
        queue: Sequence[Queued],
        *,
        siblings_apart: bool,
        together: Callable[[Request], bool] = lambda _: False,
        regime: Callable[[Resident], int] = lambda _: 0,
    ) -> None:
        self._regime = regime
        self._together = together
        self._waiting = deque(by_length(queue, siblings_apart=siblings_apart, together=together))
        # Prompts, under what is done to them, that are still to come: see `wants`.
        self._wanted = Counter(_prompt_key(request) for _, request in queue)
        # Sequences that were running, or were passed over once: they go first.
        self._first: deque[Resident] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._first)

    def is_due(self, free: int, slots: int) -> bool:
        """Whether it pays to fill this many free slots now.

        Those that start together are read by themselves, so that they need not wait for others.
        """
        if not len(self):
            return False
        beside = self._beside()
        least = min(beside, slots) if beside > 1 else slots // _REFILL_SHARE
        return free >= max(1, min(least, len(self)))

    def wants(self, sequence: Resident) -> bool:
        """Whether the columns of an ended sequence are worth keeping.

        A waiting request may have its prompt; later runs may want the last sequences of this one.
        """
        return not self._waiting or self._wanted[_prompt_key(sequence.request)] > 0

    def put_back(self, sequences: Sequence[Resident]) -> None:
        """Let these be the next, in their order."""
        self._first.extendleft(reversed(sequences))

    def wave(self, free: int, residents: Residents | None) -> list[Resident]:
        """Up to `free` sequences to admit now, those with the fewest tokens to read first.

        One that shares more with another of the same wave than with a resident waits for the next
        wave, in which it copies that one's columns. Without `residents` nothing is shared. Those
        that are to start together wait for a wave that has room for all of them.
        """
        upcoming = PrefixIndex()
        deferred: list[Resident] = []
        admitted: list[tuple[int, list[int], Resident]] = []
        beside = 0
        while len(self) and (room := free - len(admitted) - len(deferred)) > 0:
            beside = beside or self._beside()
            if room < min(beside, free):
                break
            beside -= 1
            sequence = self._next()
            tokens, shared = sequence.all_tokens, 0
            sequence.regime = self._regime(sequence)
            if residents is not None:
                shared = residents.source(sequence)
                prompt = sequence.prompt_length
                what = (sequence.intervention, prompt, sequence.regime)
                in_wave = upcoming.longest(tokens, *what)[1]
                if min(in_wave, len(tokens) - 1) >= shared + BLOCK:
                    deferred.append(sequence)
                    continue
                upcoming.add(_Upcoming(tokens, *what))
            admitted.append((len(tokens) - shared, tokens, sequence))
        self.put_back(deferred)
        # Those of one prompt next to each other, since they may share layers.
        return [sequence for *_, sequence in sorted(admitted, key=lambda each: each[:2])]

    def _beside(self) -> int:
        """How many at the head of the queue are to start together, the first one included."""
        waiting = chain((each.request for each in self._first), (each for _, each in self._waiting))
        first = next(waiting)
        if not self._together(first):
            return 1
        return 1 + sum(1 for _ in takewhile(lambda each: each.prompt == first.prompt, waiting))

    def _next(self) -> Resident:
        if self._first:
            return self._first.popleft()
        position, request = self._waiting.popleft()
        self._wanted[_prompt_key(request)] -= 1
        return Resident(position, request, states=initial_states(request))


def _prompt_key(request: Request) -> tuple[tuple[int, ...], str]:
    length = len(request.prompt)
    return request.prompt, prefix_key(request.intervention, length, request.prompt_length)
