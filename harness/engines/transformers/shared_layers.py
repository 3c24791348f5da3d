"""Conditions of one prompt share the layers below the first one that any of them changes.

There their states are equal. So one row is read for all of them, and becomes as many equal rows
where the last of these layers ends, before anything is done to its output. Masks and rotary
embeddings stay those of the one row, which torch applies to each. Keys and values of the layers
below are written to every row's slot.

Whether a model's code takes that is found out by `trial.py` before any request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from harness.engines.transformers.residents import Resident
from harness.models.sites import site_module

#: Models whose layers take more rows than went in.
able: WeakSet[Any] = WeakSet()


@contextmanager
def widened(model: Any, layers: int, rows: int) -> Iterator[None]:
    """Inside, a pass over one row has `rows` equal ones behind so many layers, one at least."""

    def widen(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0].expand(rows, -1, -1), *output[1:])
        return output.expand(rows, -1, -1)

    # In front of the hooks that steer this output.
    block = site_module(model, layers - 1, "block")
    hook = block.register_forward_hook(widen, prepend=True)
    try:
        yield
    finally:
        hook.remove()


def of_one_prompt(sequences: Sequence[Resident]) -> Iterator[list[Resident]]:
    """Neighbours with the same tokens, as many of them in the cache; each the only one mostly."""
    part: list[Resident] = []
    for sequence in sequences:
        if part and _prompt(sequence) != _prompt(part[0]):
            yield part
            part = []
        part.append(sequence)
    if part:
        yield part


def untouched(sequences: Sequence[Resident], layers: int) -> int:
    """The first layers of so many that no intervention of these sequences changes."""
    first = [layers]
    for sequence in sequences:
        what = sequence.intervention
        changed = None if what is None else what.first_layer()
        if changed is not None:
            first.append(changed)
    return min(first)


def _prompt(sequence: Resident) -> tuple[int, int, int, list[int]]:
    return sequence.length, sequence.prompt_length, sequence.regime, sequence.all_tokens
