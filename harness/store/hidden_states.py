"""Files of hidden states: both sides of contrast pairs in one layer, with a digest.

KEY.safetensors   positive, negative: [N, H] float64; metadata: what it is, and a digest
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from harness.errors import StoreError
from harness.files.atomic import open_regular, replace_file
from harness.options import spelled

_SIDES = ("positive", "negative")
_SUFFIX = ".safetensors"

Sides: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Positive and negative, [N, H] each."""


@dataclass(frozen=True)
class KeptStates:
    """One file of the cache, and what is wrong with it, if anything is."""

    path: Path
    facts: Mapping[str, str]
    problem: str | None = None

    @property
    def size(self) -> int:
        """Bytes; none of a link to nothing."""
        return self.path.stat().st_size if self.path.exists() else 0


def load_states(directory: Path, key: str) -> Sides | None:
    """What is kept under a key; nothing where it is not whole."""
    path = directory / f"{key}{_SUFFIX}"
    if not path.exists() or _problem(path) is not None:
        return None
    with safe_open(path, framework="numpy") as file:
        return file.get_tensor(_SIDES[0]), file.get_tensor(_SIDES[1])


def save_states(directory: Path, key: str, sides: Sides, facts: Mapping[str, str]) -> None:
    """Keep both sides under a key, with facts about them.

    Raises:
        StoreError: they cannot be written.
    """
    tensors = dict(zip(_SIDES, map(np.ascontiguousarray, sides), strict=True))
    metadata = {**facts, "key": key, "digest": _digest(tensors), "at": str(int(time.time()))}
    try:
        with replace_file(directory / f"{key}{_SUFFIX}") as part:
            save_file(tensors, part, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{directory}: hidden states cannot be kept: {error}; free some space or give "
            f"another folder with {spelled('store')}"
        ) from error


def kept_states(directory: Path) -> Iterator[KeptStates]:
    """Every file of a cache, read through; nothing where there is no cache."""
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        problem = _problem(path)
        facts: Mapping[str, str] = {}
        if problem is None:
            with safe_open(path, framework="numpy") as file:
                facts = file.metadata()
        yield KeptStates(path, facts, problem)


def _problem(path: Path) -> str | None:
    """Why a file cannot be used, or None."""
    try:
        open_regular(path).close()  # what follows would wait for a pipe, and for a device
        with safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            tensors = {side: file.get_tensor(side) for side in _SIDES}
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except SafetensorError as error:
        return f"cannot be read: {error}"
    if facts.get("digest") != _digest(tensors):
        return "is altered"
    first, second = tensors.values()
    if first.ndim != 2 or first.shape != second.shape or first.dtype != np.float64:
        return "holds no hidden states of pairs"
    if "engine" not in facts or not facts.get("at", "").isdecimal():
        return "does not say when and with which engine it was made"
    if facts.get("key") != path.name.removesuffix(_SUFFIX):
        return "has been renamed"
    return None


def _digest(tensors: Mapping[str, NDArray[np.float64]]) -> str:
    digest = hashlib.sha256()
    for side in _SIDES:
        digest.update(f"{side} {tensors[side].shape} ".encode())
        digest.update(tensors[side].tobytes())
    return digest.hexdigest()
