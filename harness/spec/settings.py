"""What all sections of a spec share: frozen, strict, and paths that start at the spec's folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Resolved:
    """Marks a string that may be a path: the loader makes it absolute, from the spec's folder."""

    resolve: Callable[[str, Path], str]


class Registered(ABC):
    """Marks a field that one of several registered sections fills in, each with a `kind`."""

    @abstractmethod
    def sections(self) -> Sequence[type[BaseModel]]:
        """Those that are registered by now."""


def _path(text: str, folder: Path) -> str:
    path = Path(text)
    with suppress(RuntimeError):  # a `~user` that this machine does not know stays as it is
        path = path.expanduser()
    return str(folder.resolve() / path)


def _model(text: str, folder: Path) -> str:
    """Only what looks like a path is one: `./x`, `../x`, `/x`, `~/x`; the rest are names."""
    return _path(text, folder) if text.startswith((".", "/", "~")) else text


def _pairs(text: str, folder: Path) -> str:
    """What ends like a file or holds a slash is one: `x.jsonl`, `sub/x.jsonl`; the rest, names."""
    if "/" in text or text.endswith((".jsonl", ".jsonl.gz", ".json", ".csv", ".parquet")):
        return _path(text, folder)
    return _model(text, folder)


def _function(text: str, folder: Path) -> str:
    """`FILE.py:NAME`, whose file is a path."""
    file, colon, name = text.rpartition(":")
    return f"{_path(file, folder)}{colon}{name}" if colon else text


SpecPath = Annotated[str, Resolved(_path)]
ModelReference = Annotated[str, Field(min_length=1), Resolved(_model)]
DatasetReference = Annotated[str, Field(min_length=1), Resolved(_model)]
FunctionReference = Annotated[str, Resolved(_function)]
PairsReference = Annotated[str, Field(min_length=1), Resolved(_pairs)]


class Settings(BaseModel):
    """Base of every section: unknown keys and silent conversions are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @classmethod
    def form(cls) -> type[Settings]:
        """The section with all of its fields, those that are registered by others included."""
        return cls
