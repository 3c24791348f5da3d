"""What the files of a case that reads given texts come to, counted again without a model.

A reading itself cannot be had again without the model that was read; everything that follows from
it can: the values of samples, and the files that are made of others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue


@dataclass(frozen=True)
class CaseFiles:
    """Where the files of a case are.

    Args:
        folder: Those that lie beside the report.
        readings: What was read of each sample, where its measure names a folder of it
            (`Measure.readings_kept`); it need not be there.
    """

    folder: Path
    readings: Path


@dataclass(frozen=True)
class Apart:
    """What is stored of one thing, and what it comes to."""

    what: str
    stored: str
    found: str


@dataclass(frozen=True)
class Recounted:
    """What was counted again.

    Args:
        values: Metric -> sample -> value.
        files: Files below the case's folder that follow from the others, by their names.
        apart: What else does not fit.
        kept: Metrics whose values follow from nothing that is on record.
        left: What could not be counted again, and why, a line each.
        rounding: Up to so much, absolute and relative, files may differ since what they are made
            of was rounded as it was written.
    """

    values: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    apart: Sequence[Apart] = ()
    kept: Collection[str] = ()
    left: Sequence[str] = ()
    rounding: float = 0.0


def unequal(what: str, stored: Any, found: Any) -> Iterator[Apart]:
    """Yield the two where they are not equal."""
    if stored != found:
        yield Apart(what, str(stored), str(found))
