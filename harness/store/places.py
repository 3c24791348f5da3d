"""Where a project keeps what is stored, below its root; nothing is read or made here."""

from __future__ import annotations

from pathlib import Path

OWN = ".titrate"


def runs_below(root: Path) -> Path:
    """Where runs are recorded that start from `root`."""
    return root / OWN / "runs"


def store_below(root: Path) -> Path:
    """Where their completions are stored unless told otherwise."""
    return root / OWN / "store"


def kept_below(root: Path, measure: str) -> Path:
    """Where the readings of a measure are kept that were made from `root`."""
    return root / OWN / measure


def activations_below(store: Path) -> Path:
    """Where the hidden states lie that belong to a completion store."""
    return store / ".activations"
