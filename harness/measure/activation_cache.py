"""Hidden states of pairs, kept: a file per layer, found by everything that can change its numbers.

The key is the SHA-256 of the engine's fingerprint (content of the weights, dtype, device, kernels,
versions), the layer and the site, the position rule and the positions that it named, every token
that is read (and with them the chat template), and the ids and contents of the pairs. Another
layer, pair or template is another file; there is nothing to invalidate.

    KEY.safetensors   positive, negative: [N, H] float64; metadata: what it is, and a digest
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from harness.atomic import open_regular, replace_file
from harness.engines.base import Engine
from harness.errors import StoreError
from harness.measure.steering_vectors import pair_states, readings_of_pairs
from harness.spec.steering_terms import PositionRule, Site
from harness.tasks.contrast import ContrastPair

#: Changes whenever the same key would mean other numbers.
_VERSION = 1
_SIDES = ("positive", "negative")
_SUFFIX = ".safetensors"

States: TypeAlias = Mapping[int, NDArray[np.float64]]
"""Layer -> [N, H]."""


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


class ActivationCache:
    """A folder of hidden states; made when the first ones are kept.

    Args:
        directory: The folder.
        fresh: Find nothing of what is there; what is read is kept all the same.
    """

    def __init__(self, directory: Path, *, fresh: bool = False) -> None:
        self.directory = directory
        self._fresh = fresh

    def pair_states(
        self,
        engine: Engine,
        pairs: Sequence[ContrastPair],
        *,
        layers: Sequence[int],
        site: Site,
        position: PositionRule,
    ) -> tuple[States, States]:
        """As `steering_vectors.pair_states`, reading only the layers that are not kept.

        Raises:
            TaskError: the pairs cannot be read.
            StoreError: what was read cannot be kept.
        """
        keys = state_keys(engine, pairs, layers=layers, site=site, position=position)
        found = {layer: self._load(key) for layer, key in keys.items() if not self._fresh}
        states = {layer: sides for layer, sides in found.items() if sides is not None}
        missing = [layer for layer in dict.fromkeys(layers) if layer not in states]
        if missing:
            positive, negative = pair_states(
                engine, pairs, layers=missing, site=site, position=position
            )
            for layer in missing:
                states[layer] = positive[layer], negative[layer]
                facts = {
                    "engine": engine.fingerprint,
                    "dtype": engine.determinism.get("dtype", ""),
                    "layer": str(layer),
                    "site": site,
                    "position": str(position),
                    "pairs": str(len(pairs)),
                }
                self._save(keys[layer], states[layer], facts)
        return (
            {layer: states[layer][0] for layer in layers},
            {layer: states[layer][1] for layer in layers},
        )

    def _load(self, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """What is kept under a key; nothing where it is not whole."""
        path = self.directory / f"{key}{_SUFFIX}"
        if not path.exists() or _problem(path) is not None:
            return None
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor(_SIDES[0]), file.get_tensor(_SIDES[1])

    def _save(
        self,
        key: str,
        sides: tuple[NDArray[np.float64], NDArray[np.float64]],
        facts: Mapping[str, str],
    ) -> None:
        tensors = dict(zip(_SIDES, map(np.ascontiguousarray, sides), strict=True))
        metadata = {**facts, "key": key, "digest": _digest(tensors), "at": str(int(time.time()))}
        try:
            with replace_file(self.directory / f"{key}{_SUFFIX}") as part:
                save_file(tensors, part, metadata=metadata)
        except (OSError, SafetensorError) as error:
            raise StoreError(
                f"{self.directory}: hidden states cannot be kept: {error}; free some space or give "
                "another folder with --titrate-store"
            ) from error


def activations_below(store: Path) -> Path:
    """Where the hidden states lie that belong to a completion store."""
    return store / ".activations"


def state_keys(
    engine: Engine,
    pairs: Sequence[ContrastPair],
    *,
    layers: Sequence[int],
    site: Site,
    position: PositionRule,
) -> dict[int, str]:
    """The key of every layer's states."""
    readings = readings_of_pairs(
        engine.tokenizer, pairs, layers=layers[:1], site=site, position=position
    )
    shared = {
        "version": _VERSION,
        "engine": engine.fingerprint,
        "site": site,
        "position": position,
        "read": [[list(each.tokens), list(each.capture.positions or ())] for each in readings],
        "pairs": [[pair.id, pair.content_hash] for pair in pairs],
    }
    text = json.dumps(shared, sort_keys=True)
    return {layer: hashlib.sha256(f"{layer} {text}".encode()).hexdigest() for layer in layers}


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
