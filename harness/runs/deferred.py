"""An engine whose model is loaded when something must be computed, and not before.

A run whose completions are all stored needs the tokenizer, to know its prompts, and the engine's
fingerprint, to know its keys. The fingerprint of a model that was not loaded is the one that the
store saw the last time the same inputs were loaded (`engines.engine_inputs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.engines import engine_inputs, tokenizer_for
from harness.engines.company import CacheNeed, SizesCache
from harness.engines.contract import (
    Activations,
    Completion,
    Engine,
    Reading,
    Request,
    Scored,
    Scoring,
    Watch,
)
from harness.errors import ModelError
from harness.spec.experiment import EngineSettings
from harness.store.completions import CompletionStore, key_of
from harness.store.record_shapes import ENGINE, EngineShape

if TYPE_CHECKING:
    import torch


class DeferredEngine:
    """Stands for the engine that `opening` gives; calls it at most once.

    Args:
        model: The model's reference.
        settings: What the engine is asked for.
        opening: Loads the model into its engine.
        store: Where fingerprints were noted; without it the model is loaded for its fingerprint.
    """

    def __init__(
        self,
        model: str,
        settings: EngineSettings,
        opening: Callable[[], Engine],
        store: CompletionStore | None = None,
    ) -> None:
        self._model = model
        self._settings = settings
        self._opening = opening
        self._watch: Watch | None = None
        self._store = store
        self._engine: Engine | None = None
        self._tokenizer: Any = None
        self._key: str | None = None
        self._noted: EngineShape | None = None
        if store is not None:
            inputs = engine_inputs(model, settings)
            if inputs is not None:
                self._key = key_of("engine", inputs)
                self._noted = store.value(self._key, ENGINE.validate_python)

    @property
    def known(self) -> bool:
        """Whether the fingerprint can be told without loading the model."""
        return self._engine is not None or self._noted is not None

    def load(self) -> Engine:
        """The engine itself, its model loaded now if it is not yet.

        Raises:
            ModelError: the model cannot be loaded, or is not the one that was noted.
        """
        if self._engine is None:
            self._engine = self._opening()
            self._engine.watch = self._watch
            self._note(self._engine)
        return self._engine

    @property
    def watch(self) -> Watch | None:
        """As the engine's."""
        return self._watch

    @watch.setter
    def watch(self, watch: Watch | None) -> None:
        self._watch = watch
        if self._engine is not None:
            self._engine.watch = watch

    @property
    def tokenizer(self) -> Any:
        """The tokenizer whose ids the engine takes."""
        if self._engine is not None:
            return self._engine.tokenizer
        if self._tokenizer is None:
            self._tokenizer = tokenizer_for(self._model, self._settings)
        return self._tokenizer

    @property
    def fingerprint(self) -> str:
        """The engine's fingerprint; loads the model where it is not known."""
        if self._noted is not None:
            return self._noted["fingerprint"]
        return self.load().fingerprint

    @property
    def determinism(self) -> Mapping[str, str]:
        """The settings behind the fingerprint."""
        if self._noted is not None:
            return self._noted["determinism"]
        return self.load().determinism

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """As the engine does."""
        return self.load().generate(requests)

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """As the engine does."""
        return self.load().score(scorings)

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        """As the engine does."""
        return self.load().forward(readings)

    def readout(self, hidden: torch.Tensor) -> torch.Tensor:
        """As the engine does."""
        return self.load().readout(hidden)

    def cache_need(self, requests: Sequence[Request]) -> CacheNeed | None:
        """As the engine says, if it is one that sizes its cache when it is asked."""
        engine = self.load()
        return engine.cache_need(requests) if isinstance(engine, SizesCache) else None

    def limit_cache(self, most: int | None) -> None:
        """As the engine does."""
        engine = self.load()
        assert isinstance(engine, SizesCache)
        engine.limit_cache(most)

    def reserve(self, requests: Sequence[Request]) -> int:
        """As the engine does."""
        engine = self.load()
        return engine.reserve(requests) if isinstance(engine, SizesCache) else len(requests)

    def close(self) -> None:
        """Give the model's memory back, if it was loaded."""
        if self._engine is not None:
            self._engine.close()

    def _note(self, engine: Engine) -> None:
        """Keep the fingerprint for the next run; it must be the one this run has worked with."""
        before = self._noted
        self._noted = {
            "model": self._model,
            "fingerprint": engine.fingerprint,
            "determinism": dict(engine.determinism),
        }
        if self._store is not None and self._key is not None and self._noted != before:
            self._store.put_value(self._key, self._noted, "engine", engine.fingerprint)
        if before is not None and before["fingerprint"] != engine.fingerprint:
            raise ModelError(
                f"model {self._model!r}: its engine has changed since its completions were stored; "
                "run the same command again"
            )
