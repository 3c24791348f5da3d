"""Doses as numbers, and what a grid must have for doses to be read from its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import JsonValue

#: Fewer doses than these, the one that changes nothing included, are no curve.
FEWEST = 4
#: The change that a benchmark dose is of where none is given.
RESPONSE = 0.05
#: What a spec writes for as much as there can be: JSON and YAML have no common infinity.
ENDLESS = "inf"


def number_of(value: JsonValue) -> float | None:
    """The number of an axis value, `inf` being beyond all others; None for what is none."""
    if value == ENDLESS:
        return math.inf
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None


def written(dose: float | None) -> float | str | None:
    """A dose as JSON says it."""
    return ENDLESS if dose == math.inf else dose


def check_doses(experiment: str, axis: str | None, values: Sequence[float]) -> None:
    """Raise ValueError unless an experiment has a dose, and enough of them on one side of 0."""
    if axis is None:
        raise ValueError(
            f"{experiment} has no dose; name the axis along which the intervention grows "
            "stronger (dose: AXIS)"
        )
    # Where 0 is no case, the baseline stands for it; what has no end has no place on a curve.
    doses = {value for value in values if 0 < value < math.inf}
    if len(doses) + 1 < FEWEST:
        raise ValueError(
            f"{axis} has {len(doses)} dose{'s' * (len(doses) != 1)} above 0, which "
            f"{'is' if len(doses) == 1 else 'are'} no curve; use at least {FEWEST - 1}"
        )


def beyond(response: float, bounds: tuple[float | None, float | None]) -> str:
    """Why a metric of these bounds can never change by so much; empty if it can."""
    low, high = bounds
    if low is not None and high is not None and response >= high - low:
        return f"lies between {low:g} and {high:g} and never changes by so much"
    return ""
