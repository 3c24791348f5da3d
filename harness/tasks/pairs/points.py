"""Router masks in the forms that the study's tools take, as an ordered list of points.

    [{"layer": 46, "router": 17, "diff": 0.21}, ...]   ordered points, other keys ignored
    [[46, 17], [45, 3]]                                pairs
    {"46": [17, 3], "45": [3]}                         experts by layer
    {(46, 17), (45, 3)}                                the set in the study's scripts and requests

The last two carry no order: points come out by layer and expert, and mean something only masked
all together. Negative numbers, which the study drops without a word, are errors.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import FieldError, TaskError
from harness.files.given import parsed, text
from harness.interventions.router_logits import Point
from harness.interventions.router_points import read_points

_FORMS = '[{"layer": 46, "router": 17}], [[46, 17]], {"46": [17]} or {(46, 17)}'


def read_mask(path: Path | str) -> tuple[Point, ...]:
    """The points of a mask file of any form.

    Raises:
        TaskError: it is of none of the forms, or a point is impossible or occurs twice.
    """
    document = _document(path)
    if isinstance(document, list | dict | tuple) and not document:
        raise TaskError(f"{path}: holds no point; expected {_FORMS}")
    if isinstance(document, list) and all(isinstance(entry, dict) for entry in document):
        try:
            return read_points(path)
        except FieldError as error:
            raise TaskError(error.problem) from error
    if isinstance(document, dict):
        pairs = sorted(_by_layer(path, document))
    elif isinstance(document, (set, frozenset)):
        pairs = sorted(_point(path, entry) for entry in document)
    elif isinstance(document, list | tuple):
        pairs = [_point(path, entry) for entry in document]
    else:
        raise _unusable(path, document)
    twice = next((point for at, point in enumerate(pairs) if point in pairs[:at]), None)
    if twice is not None:
        raise TaskError(f"{path}: layer {twice[0]}, router {twice[1]} occurs twice")
    return tuple(pairs)


def _document(path: Path | str) -> Any:
    try:
        document = text(Path(path).expanduser())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TaskError(f"{path}: cannot be read ({why}); expected {_FORMS}") from error
    try:
        return parsed(document)
    except ValueError:
        pass
    try:
        # An assignment, as it stands in a script, or its value alone.
        return ast.literal_eval(document.partition("=")[2].strip() or document.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise TaskError(f"{path}: is not a mask; expected {_FORMS}") from error


def _by_layer(path: Path | str, document: dict[Any, Any]) -> list[Point]:
    points = []
    for layer, experts in document.items():
        number = int(layer) if isinstance(layer, str) and layer.isdecimal() else layer
        if not isinstance(experts, Sequence) or isinstance(experts, str):
            raise _unusable(path, experts)
        points += [_point(path, (number, expert)) for expert in experts]
    return points


def _point(path: Path | str, entry: Any) -> Point:
    numbers = list(entry) if isinstance(entry, list | tuple) else []
    if len(numbers) != 2 or any(type(n) is not int or n < 0 for n in numbers):
        raise _unusable(path, entry)
    return numbers[0], numbers[1]


def _unusable(path: Path | str, value: Any) -> TaskError:
    return TaskError(f"{path}: {str(value)[:60]!r} is not a point of a mask; expected {_FORMS}")
