"""The engines of one run by the names that requests give: `""` is the run's own model.

- A stream is split by these names, and each engine answers its part, one after the other.
- An answer depends on the engine that gives it, so that its key holds the fingerprint of that one:
  what a model was asked as a run's own is known when it is another's company, and a run that takes
  company keeps all that it has stored. The key of an answer to which others contribute, under a
  `Guidance`, holds theirs, too.
- A guidance is followed here, in rounds over all engines that it names: every one keeps the columns
  of what it has read, and goes on from there when it is asked again.
- All weights must be in memory before one of the engines sizes its cache from what is free.
- Engines that generate on one device share what is free for keys and values in proportion to what
  each needs; one that scores keeps nothing, and one whose cache is fixed at its start is passed by.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

from harness.engines.contract import (
    Asked,
    Capture,
    Completion,
    Engine,
    Reading,
    Reply,
    Request,
    Scored,
    Scoring,
    Watch,
)
from harness.engines.decoding.rounds import in_rounds, parted
from harness.engines.decoding.translation import Translation
from harness.interventions.policy import Guidance

A = TypeVar("A", Request, Scoring)
R = TypeVar("R", bound=Reply)

#: Sequences in flight under guidance where no engine says how many it keeps the columns of.
_MOST_IN_FLIGHT = 128


@dataclass(frozen=True, slots=True)
class CacheNeed:
    """What an engine's keys and values come to, in bytes of memory on a device."""

    device: str
    wanted: int
    """What would serve its requests best."""
    held: int
    """What its cache takes now."""
    free: int
    """What caches may take beside all that is held."""


@runtime_checkable
class SizesCache(Protocol):
    """An engine that sizes its cache when it is asked, within a limit that it is told."""

    def cache_need(self, requests: Sequence[Request]) -> CacheNeed | None:
        """What these requests need; None of an engine whose cache is fixed after all."""

    def limit_cache(self, most: int | None) -> None:
        """Take at most so many bytes from now on, None for all that fits; asked between streams."""

    def reserve(self, requests: Sequence[Request]) -> int:
        """Make room for what these come to, in pieces; how many it keeps the columns of."""


class Company(Mapping[str, Engine]):
    """Answers requests and scorings by the engines that they name.

    Args:
        own: The engine of the run's own model.
        others: Further engines by name.
    """

    def __init__(self, own: Engine, others: Mapping[str, Engine] | None = None) -> None:
        self._engines = {"": own, **(others or {})}
        # The largest need, in bytes, of each engine that has generated.
        self._wanted: dict[str, int] = {}

    def __getitem__(self, name: str) -> Engine:
        return self._engines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def fingerprint(self, asked: Asked) -> str:
        """The fingerprint of all that decides an answer: of the engine that is asked, and of those
        that contribute.
        """
        own = self[asked.engine].fingerprint
        others = [self[name].fingerprint for name in contributing(asked)]
        if not others:
            return own
        return hashlib.sha256(json.dumps([own, *others]).encode()).hexdigest()

    def tell(self, watch: Watch) -> None:
        """Have every engine tell what it does."""
        for engine in self.values():
            engine.watch = watch

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(position in requests, completion)`, as an `Engine` does."""
        asked = list(requests)
        if len(self) > 1:
            self._share_memory(asked)
        at_once, guided = parted(asked, "guidance")
        for index, completion in self._plain([request for _, request in at_once]):
            yield at_once[index][0], completion
        by_own: dict[str, list[tuple[int, Request]]] = {}
        for position, request in guided:
            by_own.setdefault(request.engine, []).append((position, request))
        for name, queue in by_own.items():
            yield from self._guided(name, queue)

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """Yield `(position in scorings, scored)`, as an `Engine` does."""
        return self._answers(scorings, lambda engine, own: engine.score(own))

    def close(self) -> None:
        """Give the memory of all models back."""
        for engine in self.values():
            engine.close()

    def _plain(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        return self._answers(requests, lambda engine, own: engine.generate(own))

    def _guided(
        self, own: str, queue: Sequence[tuple[int, Request]]
    ) -> Iterator[tuple[int, Completion]]:
        """Follow guidances, all conditions of a sample side by side."""
        parts = _parts(request for _, request in queue)
        rows = _MOST_IN_FLIGHT
        for name, part in parts.items():
            engine = self[name]
            if isinstance(engine, SizesCache):
                rows = min(rows, engine.reserve(part))
        tokenizer = self[own].tokenizer
        translations = {
            name: Translation(tokenizer, self[name].tokenizer)
            for name in dict.fromkeys(name for _, request in queue for name, _ in request.prompts)
        }
        asked = dict(queue)
        samples = {request.sample: at for at, (_, request) in reversed([*enumerate(queue)])}
        watches = {name: self[name].watch for name in parts}
        for name in parts:
            self[name].watch = None  # whole rounds are what is watched
        try:
            for position, completion in in_rounds(
                sorted(queue, key=lambda each: samples[each[1].sample]),
                self._plain,
                rows=rows,
                watch=watches[own],
                tokenizer=tokenizer,
                translations=translations,
            ):
                yield position, self._looked_over(asked[position], completion)
        finally:
            for name, watch in watches.items():
                self[name].watch = watch

    def _looked_over(self, request: Request, completion: Completion) -> Completion:
        """A whole answer, read once more by its own engine where its guidance looks back."""
        guidance = request.intervention
        assert isinstance(guidance, Guidance)
        if not guidance.looks_back or completion.error is not None or not completion.tokens:
            return completion
        tokens = (*request.prompt, *completion.tokens)
        before = tuple(range(len(request.prompt) - 1, len(tokens) - 1))
        capture = Capture(logits=True, attention_scores=True, positions=before)
        ((_, read),) = self[request.engine].forward(
            [Reading(tokens, capture, prompt=request.prompt_length)]
        )
        assert read.logits is not None
        told = guidance.seen(read.logits, read.attention_scores)
        return replace(completion, traces={**completion.traces, **told})

    def _share_memory(self, requests: Sequence[Request]) -> None:
        """Limit the caches of all that generate now or did before, where not all of them fit."""
        parts = _parts(requests)
        places = defaultdict[str, dict[str, CacheNeed]](dict)
        for name in dict.fromkeys([*parts, *self._wanted]):
            engine = self[name]
            need = engine.cache_need(parts[name]) if isinstance(engine, SizesCache) else None
            if need is not None:
                self._wanted[name] = max(self._wanted.get(name, 0), need.wanted)
                places[need.device][name] = need
        for needs in places.values():
            total = min(need.free for need in needs.values())
            total += sum(need.held for need in needs.values())
            wanted = sum(self._wanted[name] for name in needs)
            for name in needs:
                engine = self[name]
                assert isinstance(engine, SizesCache)
                fits = wanted <= total
                engine.limit_cache(None if fits else total * self._wanted[name] // wanted)

    def _answers(
        self, asked: Iterable[A], ask: Callable[[Engine, list[A]], Iterator[tuple[int, R]]]
    ) -> Iterator[tuple[int, R]]:
        parts: dict[str, list[tuple[int, A]]] = {}
        for position, each in enumerate(asked):
            parts.setdefault(each.engine, []).append((position, each))
        for name, part in parts.items():
            for index, reply in ask(self[name], [each for _, each in part]):
                yield part[index][0], reply


def contributing(asked: Asked) -> tuple[str, ...]:
    """The names of the engines that contribute to an answer, beside the one that is asked."""
    guidance = asked.intervention
    return guidance.engines() if isinstance(guidance, Guidance) else ()


def _parts(requests: Iterable[Request]) -> dict[str, list[Request]]:
    """Requests by the engines that answer them or contribute, each in its own tokens."""
    parts = defaultdict[str, list[Request]](list)
    for request in requests:
        guiding = contributing(request)
        guided = isinstance(request.intervention, Guidance)
        plain = replace(request, intervention=None, prompts=()) if guided else request
        parts[request.engine].append(plain)
        prompts = dict(request.prompts)
        for name in guiding:
            prompt = prompts.get(name, request.prompt)
            parts[name].append(replace(plain, prompt=prompt, engine=name))
    return parts
