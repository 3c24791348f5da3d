"""The transformers engine, refusing what it was not told of when it was opened.

An engine whose forward pass is compiled does the same, but takes a minute to start and a machine
that has it. What it needs is computed from every request and reading, as that one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from harness.engines.contract import Activations, Completion, Reading, Request, Scored, Scoring
from harness.engines.declared import Declared
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.vllm.reading import needed
from harness.errors import RequestError
from harness.models.loading import load
from harness.spec import EngineSettings


class ToldEngine(TransformersEngine):
    """Knows what was declared, and remembers what it was asked."""

    def __init__(self, model: str, declared: Declared | None, **settings: Any) -> None:
        super().__init__(load(model, device="cpu"), **settings)
        self.declared = declared or Declared()
        self.asked = Declared()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        asked = list(requests)
        self._allow(Declared.of(request.intervention for request in asked))
        return super().generate(asked)

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        asked = list(scorings)
        self._allow(Declared.of(scoring.intervention for scoring in asked))
        return super().score(asked)

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        asked = list(readings)
        self._allow(needed(asked))
        return super().forward(asked)

    def _allow(self, needs: Declared) -> None:
        self.asked |= needs
        lacking = self.declared.lacks(needs)
        if lacking is not None:
            raise RequestError(f"{lacking} was not declared when the engine started")


def open_told(monkeypatch: pytest.MonkeyPatch, opener: str) -> list[ToldEngine]:
    """Put told engines where `opener` names `open_engine`; those that were opened, in order."""
    opened: list[ToldEngine] = []

    def open_engine(
        model: str, settings: EngineSettings, needs: Declared | None = None
    ) -> ToldEngine:
        opened.append(ToldEngine(model, needs))
        return opened[-1]

    monkeypatch.setattr(opener, open_engine)
    return opened
