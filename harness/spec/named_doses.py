"""Doses that a spec writes as names, such as variants of an organism: which number each stands for.

The kind of the intervention says it (`Kind.doses`); of all other axes a dose is the number itself.
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import JsonValue

from harness import registry
from harness.spec.doses import number_of


class Intervening(Protocol):
    """An experiment, as far as it matters here."""

    @property
    def dose(self) -> str | None:
        """Its dose axis."""

    @property
    def intervention(self) -> Any:
        """The section of what is done to its model, if anything is."""


def unit_of(kind: str | None, axis: str | None) -> str | None:
    """What the numbers behind the names of an axis are; None where a kind names no doses on it."""
    section, _, field = (axis or "").partition(".")
    if kind is None or section != "intervention" or kind not in registry.interventions:
        return None
    found: str | None = registry.interventions.get(kind).unit_of(field)
    return found


def dose_of(experiment: Intervening, value: JsonValue) -> float | None:
    """The number of a value of the dose axis; None for what is none, and a name without one.

    Raises:
        ValueError: what is named is here, and its file does not say its number.
    """
    number = number_of(value)
    if number is not None:
        return number
    settings = experiment.intervention
    if settings is None or not isinstance(value, str):
        return None
    kind: str = settings.kind
    if unit_of(kind, experiment.dose) is None:
        return None
    field = (experiment.dose or "").partition(".")[2]
    named = settings.model_copy(update={field: value})
    found: float | None = registry.interventions.get(kind).named_dose(field, named)
    return found
