"""Vectors that were read from a model: at hand for the rest of a run, and kept in its store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from harness.engines.base import Engine
from harness.runs.store import CompletionStore

Value = TypeVar("Value")


class KeptVectors(Generic[Value]):
    """Vectors, or sets of them, by their keys; whoever measured first, all processes have the same.

    Args:
        engine: What they were measured on.
        store: Where they are kept; without one they last as long as this object.
        decode: A value from what `json` read of it.
    """

    def __init__(
        self,
        engine: Engine,
        store: CompletionStore | None,
        decode: Callable[[Any], Value],
    ) -> None:
        self._engine = engine
        self._store = store
        self._decode = decode
        self._values: dict[str, Value] = {}

    def get(self, key: str) -> Value | None:
        """What is kept under a key, by this run or by any other."""
        if key not in self._values and self._store is not None:
            document = self._store.value(key)
            if document is not None:
                self._values[key] = self._decode(document)
        return self._values.get(key)

    def keep(self, key: str, document: Any) -> Value:
        """Keep a value, as JSON values; returns the one that was kept first."""
        if self._store is not None:
            document = self._store.agree(key, document, "vectors", self._engine.fingerprint)
        self._values[key] = self._decode(document)
        return self._values[key]
