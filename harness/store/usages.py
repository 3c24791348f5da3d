"""Maps of router usage as JSON."""

from __future__ import annotations

from typing import Any

from harness.store import record_shapes as shapes
from harness.store.results import UsageMap


def usage_from(document: Any) -> UsageMap:
    """The map whose fields a document holds, as numbers and rows again.

    Raises:
        ValueError: they are others, or no table.
    """
    return usage_of(shapes.USAGE.validate_python(document))


def usage_of(shape: shapes.UsageShape) -> UsageMap:
    """The map of a shape; raises ValueError for one that is no table."""
    widths = {len(row) for row in shape["values"]}
    if len(shape["values"]) != len(shape["layers"]) or len(widths) != 1:
        raise ValueError("a map of usage has a row per layer, all of one length")
    return UsageMap(shape["expression"], shape["layers"], shape["values"])
