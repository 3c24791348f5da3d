"""What the zoo ships: `names`, where a member lies, and its card; nothing is loaded.

A member is a folder that `AutoModelForCausalLM` and `AutoTokenizer` load by itself, with a
`card.json` beside the weights: its recipe, its size, and its accuracies with how they were
measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError

if TYPE_CHECKING:
    from harness.models.zoo.training import Progress

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


def build(name: str, output: Path, progress: Progress | None = None) -> Path:
    """Train a member from its recipe, measure it and write it to `output`; takes minutes."""
    # Whoever only looks a member up should not wait for what training imports.
    from harness.models.zoo.building import build_member
    from harness.models.zoo.recipes import RECIPES

    check_recipe(name)
    return build_member(RECIPES[name], output, progress)


def check_recipe(name: str) -> None:
    """Raise `ModelError` for a member that cannot be built."""
    from harness.models.zoo.recipes import RECIPES

    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise ModelError(f"the zoo has no recipe for {name}; use one of {known}")
