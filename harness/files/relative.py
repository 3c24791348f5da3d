"""Texts of a spec that are paths: made absolute from the folder of the file that says them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated


@dataclass(frozen=True)
class Resolved:
    """Marks a string that may be a path: the loader makes it absolute, from the spec's folder."""

    resolve: Callable[[str, Path], str]


def absolute(text: str, folder: Path) -> str:
    """A path that starts at a folder, or at a home."""
    path = Path(text)
    with suppress(RuntimeError):  # a `~user` that this machine does not know stays as it is
        path = path.expanduser()
    return str(folder.resolve() / path)


SpecPath = Annotated[str, Resolved(absolute)]
