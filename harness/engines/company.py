"""The engines of one run by the names that requests give: `""` is the run's own model.

- A stream is split by these names, and each engine answers its part, one after the other.
- An answer depends on the engine that gives it and on no other, so that its key holds the
  fingerprint of that one: what a model was asked as a run's own is known when it is another's
  company, and a run that takes company keeps all that it has stored.
- All weights must be in memory before one of the engines sizes its cache from what is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from harness.engines.contract import (
    Asked,
    Completion,
    Engine,
    Reply,
    Request,
    Scored,
    Scoring,
    Watch,
)

A = TypeVar("A", Request, Scoring)
R = TypeVar("R", bound=Reply)


class Company(Mapping[str, Engine]):
    """Answers requests and scorings by the engines that they name.

    Args:
        own: The engine of the run's own model.
        others: Further engines by name.
    """

    def __init__(self, own: Engine, others: Mapping[str, Engine] | None = None) -> None:
        self._engines = {"": own, **(others or {})}

    def __getitem__(self, name: str) -> Engine:
        return self._engines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def fingerprint(self, asked: Asked) -> str:
        """The fingerprint of all that decides an answer: of the engine that is asked."""
        return self[asked.engine].fingerprint

    def tell(self, watch: Watch) -> None:
        """Have every engine tell what it does."""
        for engine in self.values():
            engine.watch = watch

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(position in requests, completion)`, as an `Engine` does."""
        return self._answers(requests, lambda engine, own: engine.generate(own))

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """Yield `(position in scorings, scored)`, as an `Engine` does."""
        return self._answers(scorings, lambda engine, own: engine.score(own))

    def close(self) -> None:
        """Give the memory of all models back."""
        for engine in self.values():
            engine.close()

    def _answers(
        self, asked: Iterable[A], ask: Callable[[Engine, list[A]], Iterator[tuple[int, R]]]
    ) -> Iterator[tuple[int, R]]:
        parts: dict[str, list[tuple[int, A]]] = {}
        for position, each in enumerate(asked):
            parts.setdefault(each.engine, []).append((position, each))
        for name, part in parts.items():
            for index, reply in ask(self[name], [each for _, each in part]):
                yield part[index][0], reply
