"""Which variant of a union a section of a spec fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

#: Tags of a field that takes one section, or several in a list.
ONE, SEVERAL = "one", "several"


def one_or_several(value: Any) -> str:
    """Whether a field that takes either is filled in by one section or by a list of them."""
    return SEVERAL if isinstance(value, list) else ONE


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
