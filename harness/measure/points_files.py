"""Orderings of router points as files that a spec can name: `points: {file: ...}`.

    [{"layer": 46, "router": 17, "score": 0.21, "agentic": 0.21, "assisted": 0.05}, ...]

All points, largest score first, equal ones by layer and expert. A difference is called `diff` in
the place of `score`, as in the study's own files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.interventions.router_points import rank
from harness.spec.usage_expression import UsageExpression
from harness.tasks.pairs.pair import VARIANTS

#: The study's two orderings, and the reverse of the first, under the names of its files.
STUDY = {
    "last_token_agentic_minus_assisted_points": "avg_last_agentic - avg_last_assisted",
    "last_token_assisted_minus_agentic_points": "avg_last_assisted - avg_last_agentic",
    "last_token_agentic_points": "avg_last_agentic",
}


def points_document(
    expression: UsageExpression, maps: Mapping[str, NDArray[np.generic]], layers: Sequence[int]
) -> list[dict[str, Any]]:
    """The entries of a points file for an expression over usage maps [R, E] of these layers."""
    score = maps[expression.plus.name].astype(np.float64)
    if expression.minus is not None:
        score = score - maps[expression.minus.name].astype(np.float64)
    key = "score" if expression.minus is None else "diff"
    both = {variant: maps[f"avg_{expression.plus.scope}_{variant}"] for variant in VARIANTS}
    rows = {layer: row for row, layer in enumerate(layers)}
    return [
        {
            "layer": layer,
            "router": expert,
            key: float(score[rows[layer], expert]),
            **{variant: float(matrix[rows[layer], expert]) for variant, matrix in both.items()},
        }
        for layer, expert in rank(torch.from_numpy(score), layers)
    ]


def points_json(entries: Sequence[Mapping[str, Any]]) -> str:
    """A points file's text: one entry a line."""
    return "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n"
