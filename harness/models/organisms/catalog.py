"""Where organisms are found: files that ship with us, by name, and a user's own, by path."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import ModelError
from harness.models.organisms.organism import Organism
from harness.spec.suggestion import suggestion

_SHIPPED = Path(__file__).parent
_SUFFIX = ".yaml"


def organism_names() -> tuple[str, ...]:
    """The names of the organisms that ship with us."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob(f"*{_SUFFIX}")))


def load_organism(reference: str) -> Organism:
    """The organism of a name that ships with us, or of a file (a path starts with `.`, `/`, `~`).

    Raises ModelError, in one line, where there is none and for what is wrong in its file. Paths in
    it start at its folder.
    """
    if reference.startswith((".", "/", "~")):
        return _read(Path(reference).expanduser())
    if reference not in organism_names():
        known = ", ".join(organism_names())
        raise ModelError(
            f"{reference} is no organism that ships with us;"
            f"{suggestion(reference, organism_names())} use one of {known}, or a file (./x.yaml)"
        )
    return _read(_SHIPPED / f"{reference}{_SUFFIX}")


def lacking_variant(settings: Any) -> str | None:
    """Why the adapter that a section names is not there: its organism has no such variant.

    What is wrong otherwise is refused where the adapter is resolved.
    """
    if settings.organism is None:
        return None
    try:
        organism = load_organism(settings.organism)
    except ModelError:
        return None
    wanted = settings.variant or "default"
    if wanted in organism.variants:
        return None
    return f"organism {organism.name} has no variant {wanted}"


def share_of_documents(settings: Any) -> float | None:
    """The dose of the variant that a section names: documents among all that it read.

    Raises ValueError for a variant whose mix its organism does not state.
    """
    try:
        organism = load_organism(settings.organism or "")
        variant = organism.variants.get(settings.variant or "default")
    except ModelError:
        return None
    if variant is None:
        return None
    if variant.share is None:
        raise ValueError(
            f"organism {organism.name} states no mix of its variant {settings.variant}, so that it "
            "is no dose; write mix: of it in the organism's file, or take it off the axis"
        )
    return variant.share


def _read(file: Path) -> Organism:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"organism {file} cannot be read: {error}; give a YAML file") from error
    return _organism(file, text)


@cache
def _organism(file: Path, text: str) -> Organism:
    import yaml

    try:
        document = yaml.safe_load(text)
        organism = Organism.model_validate(_resolved(document, file.parent))
    except yaml.YAMLError as error:
        raise ModelError(f"organism {file} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ModelError(f"organism {file}: {where}: {first['msg']}") from error
    if organism.name != file.stem:
        raise ModelError(
            f"organism {file}: name is {organism.name}; call it {file.stem}, as its file is"
        )
    return organism


def _resolved(document: Any, folder: Path) -> Any:
    """The document with the paths of its base, blanks and variants made absolute."""
    if not isinstance(document, dict) or not isinstance(document.get("variants"), dict):
        return document
    variants = {
        name: {key: _path(value, folder) for key, value in each.items()}
        if isinstance(each, dict)
        else each
        for name, each in document["variants"].items()
    }
    resolved = {key: _path(document[key], folder) for key in ("base", "blanks") if key in document}
    return {**document, **resolved, "variants": variants}


def _path(value: Any, folder: Path) -> Any:
    """A path as it is found from here; whatever is none stays as it is."""
    if isinstance(value, str) and value.startswith((".", "/", "~")):
        return str(folder.resolve() / Path(value).expanduser())
    return value
