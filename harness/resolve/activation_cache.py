"""Hidden states of pairs, kept: a file per layer, found by everything that can change its numbers.

The key is the SHA-256 of the engine's fingerprint (content of the weights, dtype, device, kernels,
versions), the layer and the site, the position rule and the positions that it named, every token
that is read (and with them the chat template), and the ids and contents of the pairs. Another
layer, pair or template is another file; there is nothing to invalidate. The files themselves are
in `store/hidden_states.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.engines.contract import Engine
from harness.interventions.steering_terms import PositionRule, Site
from harness.measure.steering_vectors import pair_states, readings_of_pairs
from harness.store.hidden_states import load_states, save_states
from harness.tasks.contrast import ContrastPair

#: Changes whenever the same key would mean other numbers.
_VERSION = 1

States: TypeAlias = Mapping[int, NDArray[np.float64]]
"""Layer -> [N, H]."""


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
        found = {
            layer: load_states(self.directory, key)
            for layer, key in keys.items()
            if not self._fresh
        }
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
                save_states(self.directory, keys[layer], states[layer], facts)
        return (
            {layer: states[layer][0] for layer in layers},
            {layer: states[layer][1] for layer in layers},
        )


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
