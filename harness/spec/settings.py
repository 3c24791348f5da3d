"""What all sections of a spec share: frozen, strict, and paths that start at the spec's folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness.files.relative import Resolved, SpecPath, absolute


class Registered(ABC):
    """Marks a field that one of several registered sections fills in, each with a `kind`."""

    @abstractmethod
    def sections(self) -> Sequence[type[BaseModel]]:
        """Those that are registered by now."""


def _model(text: str, folder: Path) -> str:
    """Only what looks like a path is one: `./x`, `../x`, `/x`, `~/x`; the rest are names."""
    return absolute(text, folder) if text.startswith((".", "/", "~")) else text


def _pairs(text: str, folder: Path) -> str:
    """What ends like a file or holds a slash is one: `x.jsonl`, `sub/x.jsonl`; the rest, names."""
    if "/" in text or text.endswith((".jsonl", ".jsonl.gz", ".json", ".csv", ".parquet")):
        return absolute(text, folder)
    return _model(text, folder)


def _task(text: str, folder: Path) -> str:
    """What ends like a YAML file, or looks like a path, is one: `x.yaml`, `./x`; the rest, names.

    >>> _task("mine.yaml", Path("/specs")), _task("gsm8k", Path("/specs"))
    ('/specs/mine.yaml', 'gsm8k')
    """
    return absolute(text, folder) if text.endswith((".yaml", ".yml")) else _model(text, folder)


def _function(text: str, folder: Path) -> str:
    """`FILE.py:NAME`, whose file is a path."""
    file, colon, name = text.rpartition(":")
    return f"{absolute(file, folder)}{colon}{name}" if colon else text


ModelReference = Annotated[str, Field(min_length=1), Resolved(_model)]
DatasetReference = Annotated[str, Field(min_length=1), Resolved(_model)]
TaskReference = Annotated[str, Field(min_length=1), Resolved(_task)]
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


__all__ = [
    "DatasetReference",
    "FunctionReference",
    "ModelReference",
    "PairsReference",
    "Resolved",
    "Settings",
    "SpecPath",
]
