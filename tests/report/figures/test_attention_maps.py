"""Where a model looked when it asked: the answer with most consultations, a row for each."""

from __future__ import annotations

import numpy as np
import pytest

from harness.report.build import build
from harness.report.figures.attention_maps import attention_figure, attention_images
from tests.report.small_run import sweep

PNG = b"\x89PNG"


def line(case: str, sample: str, rows: list[list[float]]):
    traces = {f"looked {n}": row for n, row in enumerate(rows, start=1)}
    return {"case": case, "sample": sample, "traces": traces, "pieces": ["a", "$b", "\n"]}


def test_a_row_for_each_consultation_over_the_prompt_and_the_answer():
    drawn = attention_figure("e", line("c", "s", [[0, 0, 0], [0.2, 0.3, 0]]))
    (axes, *_) = drawn.axes
    (image,) = axes.images
    assert np.asarray(image.get_array()) == pytest.approx(
        np.array([[1, 0, 0, 0], [0.5, 0.2, 0.3, 0]])
    )
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["prompt", "a", r"\$b", "\\n"]


def test_of_an_experiment_the_answer_that_asked_most_is_drawn(run):
    report = build(run, sweep(doses=(0, 1), n=3))
    (case, *_) = (each.id for each in report.cases)
    lines = [line(case, "one", [[0, 0, 0]]), line(case, "two", [[0, 0, 0], [0, 0.1, 0]])]
    assert attention_images(report, [{"case": case, "sample": "none"}]) == {}
    (image,) = attention_images(report, lines).values()
    assert image.startswith(PNG)
