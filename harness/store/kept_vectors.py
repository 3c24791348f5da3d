"""Vectors that were read from a model: at hand for the rest of a run, and kept in its store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from harness.engines.contract import Engine
from harness.store.completions import CompletionStore

Value = TypeVar("Value")


class KeptVectors(Generic[Value]):
    """Vectors, or sets of them, by their keys; all processes use those that were measured first.

    Args:
        engine: What they were measured on.
        store: Where they are kept; without one they last as long as this object.
        decode: A value from what `json` read of it; raises ValueError where it is not one.
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

    def get(self, key: str, fits: Callable[[Value], bool] = lambda _: True) -> Value | None:
        """What is kept under a key, by this run or by any other, if it is what was asked for."""
        if key not in self._values and self._store is not None:
            value = self._store.value(key, partial(self._fitting, fits))
            if value is not None:
                self._values[key] = value
        return self._values.get(key)

    def keep(
        self, key: str, document: Any, fits: Callable[[Value], bool] = lambda _: True
    ) -> Value:
        """Keep a value, as JSON values; returns the one that was kept first."""
        decode, fingerprint = partial(self._fitting, fits), self._engine.fingerprint
        self._values[key] = (
            self._decode(document)
            if self._store is None
            else self._store.agree(key, document, "vectors", fingerprint, decode)
        )
        return self._values[key]

    def _fitting(self, fits: Callable[[Value], bool], document: Any) -> Value:
        value = self._decode(document)
        if not fits(value):
            raise ValueError("vectors of other layers, or of another model")
        return value
