"""Orderings of router points, most important first: from a file, at random, or by measured usage.

A dose is how many leading points of an ordering are masked, so that doses are nested. A points
file is a JSON list; keys other than these two are for people and are ignored:

    [{"layer": 46, "router": 17, "score": 0.21}, {"layer": 45, "router": 3, "score": 0.19}]
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import FieldError
from harness.files.given import json_value
from harness.interventions.router_logits import Point

if TYPE_CHECKING:
    from torch import Tensor

_EXPECTED = 'the file must read [{"layer": 0, "router": 3}, ...]'


def read_points(path: Path | str) -> tuple[Point, ...]:
    """The points of a file, in its order.

    Raises FieldError, its entries counted from 1, for whatever is not a list of distinct points;
    whether a model has these points is checked where the model is known.
    """
    try:
        entries = json_value(path)
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror}); {_EXPECTED}") from error
    except ValueError as error:
        raise _unusable(path, f"is not JSON ({error}); {_EXPECTED}") from error
    if not isinstance(entries, list):
        raise _unusable(
            path,
            f"{_shown(entries)} is not a list of points; {_EXPECTED}",
        )
    first_seen: dict[Point, int] = {}
    for number, entry in enumerate(entries, start=1):
        point = _read_entry(path, number, entry)
        if point in first_seen:
            raise _unusable(
                path,
                f"entry {number}: layer {point[0]}, router {point[1]} is entry "
                f"{first_seen[point]} already; a point can be masked once",
            )
        first_seen[point] = number
    return tuple(first_seen)


def random_points(layers: Iterable[int], experts: int, seed: int) -> tuple[Point, ...]:
    """All points of a model in an order that only depends on the seed.

    Sorted by draws of `random.Random(seed).random()`, the one sequence that Python promises to
    keep across versions and platforms; `shuffle` and NumPy's generators may change.
    """
    draw = random.Random(seed).random
    points = ((layer, expert) for layer in sorted(layers) for expert in range(experts))
    return tuple(sorted(points, key=lambda _: draw()))


def rank(usage: Tensor, layers: Iterable[int]) -> tuple[Point, ...]:
    """All points by usage [L, E], largest first; equal ones in (layer, expert) order.

    `layers` are the model's layer indices of the L rows, ascending. Raises FieldError for a usage
    that is not a number, which has no place in an order.
    """
    rows = zip(layers, usage.tolist(), strict=True)
    used = [(value, (layer, expert)) for layer, row in rows for expert, value in enumerate(row)]
    for value, (layer, expert) in used:
        if math.isnan(value):
            raise FieldError(
                "intervention.points.usage",
                f"the usage of layer {layer}, expert {expert} is {value}; the router's "
                "probabilities were not finite, run the model in a wider dtype",
            )
    used.sort(key=lambda item: (-item[0], item[1]))
    return tuple(point for _, point in used)


def _read_entry(path: Path | str, number: int, entry: object) -> Point:
    """One entry as a point."""
    if not isinstance(entry, dict):
        raise _unusable(path, f'entry {number}: {_shown(entry)} is not {{"layer": 0, "router": 3}}')
    for key in ("layer", "router"):
        if key not in entry:
            raise _unusable(path, f"entry {number}: {_shown(entry)} has no {key!r}; {_EXPECTED}")
        value = entry[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _unusable(
                path, f"entry {number}: {key} is {_shown(value)}; use an integer of at least 0"
            )
    return entry["layer"], entry["router"]


def _shown(value: object) -> str:
    """A value as its JSON, cut to what fits into a one-line message."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unusable(path: Path | str, problem: str) -> FieldError:
    return FieldError("intervention.points.file", f"{path}: {problem}")
