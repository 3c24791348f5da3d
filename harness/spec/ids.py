"""Names of cases, made of axis values only: `keep_topk[count=4-style=agentic-seed=0]`.

Nothing else enters, neither a position nor a path made absolute, so that an id means the same case
in every version of a spec and on every machine. Ids of different cases of an experiment differ.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

LONGEST_LIST = 32
"""Characters up to which a list or mapping is spelt out; beyond, its hash stands for it."""
LONGEST_ID = 200
"""Characters of an id; files and folders of a report are named by it, and take 255 bytes."""

_HASH = 8


def case_id(experiment: str, parts: Iterable[str]) -> str:
    """The experiment's name with the parts in brackets, or bare where there are none."""
    joined = "-".join(parts)
    most = LONGEST_ID - len(experiment) - len("[]")
    if len(joined) > most:
        # Twice the usual digits: the hash has to tell apart all the cases of a grid.
        digest = hashlib.sha256(joined.encode()).hexdigest()[: 2 * _HASH]
        joined = f"{joined[: most - len(digest) - 1]}_{digest}"
    return f"{experiment}[{joined}]" if joined else experiment


def axis_parts(axes: Mapping[str, Sequence[JsonValue]]) -> dict[str, list[str]]:
    """For every axis the part `count=4` of each of its values."""
    return {
        axis: [f"{_short_name(axis, axes)}={label}" for label in _labels(values)]
        for axis, values in axes.items()
    }


def content(value: JsonValue) -> str:
    """A text that two values share when they are the same value; `1` and `1.0` are."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def called(axis: str) -> str:
    """A dotted field as people call it: `engine.name` is the engine."""
    return axis.removesuffix(".name")


def _short_name(axis: str, axes: Iterable[str]) -> str:
    """As many of the last components as tell an axis from the others."""
    components = called(axis).split(".")
    others = [f".{called(other)}" for other in axes if other != axis]
    for length in range(1, len(components) + 1):
        name = ".".join(components[-length:])
        if not any(other.endswith(f".{name}") for other in others):
            return name
    return axis


def _labels(values: Sequence[JsonValue]) -> list[str]:
    labels = [_label(value) for value in values]
    shared = Counter(labels)
    return [
        f"{label}_{_hash(value)}" if shared[label] > 1 else label
        for label, value in zip(labels, values, strict=True)
    ]


def _label(value: JsonValue) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return re.sub(r"[^A-Za-z0-9_.+]", "_", value)
    if isinstance(value, list | dict):
        spelt = "_".join(re.findall(r"[A-Za-z0-9_.+]+", content(value)))
        return spelt if 0 < len(spelt) <= LONGEST_LIST else _hash(value)
    return json.dumps(value)  # numbers as Python's repr, booleans as YAML's


def _hash(value: JsonValue) -> str:
    return hashlib.sha256(content(value).encode()).hexdigest()[:_HASH]
