"""What the zoo ships: `names`, where a member lies, and its card; nothing is loaded.

A member is a folder that `AutoModelForCausalLM` and `AutoTokenizer` load by itself, with a
`card.json` beside the weights: its recipe, its size, and its accuracies with how they were
measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.errors import ModelError

_CHECKPOINTS = Path(__file__).with_name("checkpoints")


def names() -> tuple[str, ...]:
    """Names of the members, without `zoo/`."""
    return tuple(sorted(card.parent.name for card in _CHECKPOINTS.glob("*/card.json")))


def resolve(name: str) -> Path:
    """The folder of a member, for `from_pretrained`."""
    if name not in names():
        known = ", ".join(f"zoo/{member}" for member in names())
        raise ModelError(f"zoo/{name} is not in the zoo; use one of {known}")
    return _CHECKPOINTS / name


def card(name: str) -> dict[str, Any]:
    """A member's card."""
    content: dict[str, Any] = json.loads((resolve(name) / "card.json").read_text())
    return content


def written_config(name: str) -> dict[str, Any]:
    """A member's config.json."""
    content: dict[str, Any] = json.loads((resolve(name) / "config.json").read_text())
    return content
