"""Which variant of a union a section of a spec fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def variant(section: Any) -> str | None:
    """Which variant of a union a section fills in: its `kind`, or the key only that one has."""
    if isinstance(section, BaseModel):
        section = {name: getattr(section, name) for name in type(section).model_fields}
    if not isinstance(section, Mapping):
        return None
    kind = section.get("kind")
    if isinstance(kind, str):
        return kind
    return next((key for key in ("usage", "pairs", "file", "random") if key in section), None)
