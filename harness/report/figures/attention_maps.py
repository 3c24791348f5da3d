"""Where a model looked when it asked its oracle: a row for each consultation of one answer.

The first column is the whole prompt, the others are the tokens of the answer: each cell is the
weight that the last layer's heads give it on average, at the token before the consultation.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.report.figures.figure import canvas, surround
from harness.report.report import RunReport

#: The first word of the columns, before the number of the consultation.
_LOOKED = "looked "
#: Consultations and tokens that are still legible.
_MOST_ROWS, _MOST_TOKENS = 24, 60
#: Rows that the name of their axis is as high as.
_FEWEST_ROWS = 5


def attention_images(report: RunReport, records: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """PNG by experiment, of its answer with most consultations among those that were looked at."""
    found: dict[str, Mapping[str, Any]] = {}
    experiments = {case.id: case.experiment for case in report.cases}
    for record in records:
        name = experiments.get(record["case"])
        if name is not None and _looks(record) > _looks(found.get(name, {})):
            found[name] = record
    images = {}
    for name, record in found.items():
        image = io.BytesIO()
        attention_figure(name, record).savefig(image, format="png")
        images[name] = image.getvalue()
    return images


def attention_figure(experiment: str, record: Mapping[str, Any]) -> Figure:
    """The map of one line of samples.jsonl."""
    rows = [record["traces"][f"{_LOOKED}{n}"] for n in range(1, _looks(record) + 1)]
    answer = np.array(rows[:_MOST_ROWS], dtype=float)[:, :_MOST_TOKENS]
    prompt = 1 - np.array([sum(row) for row in rows[:_MOST_ROWS]])
    cells = np.concatenate([prompt[:, None], answer], axis=1)
    pieces = list(record.get("pieces") or [""] * answer.shape[1])[: answer.shape[1]]
    figure, axes = canvas(1.7 + 0.16 * max(len(cells), _FEWEST_ROWS))
    axes.imshow(cells, cmap="Blues", aspect="auto", vmin=0, vmax=max(float(cells.max()), 1e-9))
    names = ["prompt", *(piece.replace("\n", "\\n").replace("$", r"\$") for piece in pieces)]
    axes.set_xticks(range(len(names)), names, rotation=90, size=6)
    axes.set_yticks(range(len(cells)), [str(at + 1) for at in range(len(cells))], size=7)
    axes.set_ylabel("consultation")
    surround(
        figure,
        axes,
        title=f"{experiment}: where the model looked when it asked",
        subtitle=f"{record['case']}, {record['sample']}",
        caption="Attention of the last layer, mean over heads, at the token before each "
        "consultation; a row sums to 1 over the prompt and the tokens before it.",
        entries=[],
    )
    return figure


def _looks(record: Mapping[str, Any]) -> int:
    return sum(name.startswith(_LOOKED) for name in record.get("traces") or {})
