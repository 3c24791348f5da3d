"""`measure: calibration`: how often the r-th most probable token is the reference's, by confidence.

A frozen model reads every sample's reference answer behind its prompt (teacher forcing), and its K
most probable tokens at each place are kept: all tokens of the answer, its frame and blanks
included. From these follow the grid of rank by confidence, the error of calibration, lists for
`sampling.dynamic_top_k`, and the fit that `sampling.calibrated: {from: ...}` takes.

    traces.jsonl        a line per token: {"gt": id, "top_ids": [...], "top_probs": ["0.9321", ...]}
    traces.parquet      the same with sample and place, where pyarrow is installed
    grid.csv            a row per confidence bin and rank, with supports and intervals
    calibration.json    the error, the lists, the fits, and what was asked of the model

Li, Su, Sachan and Geiping (2025), arXiv:2510.05987; unlike their code the model is not trained on
the answers meanwhile.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from harness.spec import Experiment
from harness.spec.measure import Measure
from harness.spec.settings import Settings

THRESHOLDS = (0.01, 0.03, 0.05, 0.07, 0.09, 0.1)


class CalibrationSettings(Settings):
    """How much of each distribution a calibration keeps, and which lists it makes of it."""

    top: PositiveInt = 20
    """How many of the most probable tokens are kept at each place; 20 by default."""
    thresholds: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)] = [
        *THRESHOLDS
    ]
    """A list for sampling.dynamic_top_k is made for each of these: in every bin of confidence the
    ranks up to the last one that is right more often than that. 0.01, 0.03, 0.05, 0.07, 0.09 and
    0.1 by default."""


def calibration_of(experiment: Experiment) -> CalibrationSettings:
    """What an experiment's `calibration:` says."""
    found: CalibrationSettings = experiment.section_of("calibration")
    return found


MEASURE = Measure(
    "calibration",
    "calibrations",
    "how often each rank is the reference's token, by the model's confidence",
    run="harness.runs.calibration:measured_case",
    metrics="harness.metrics.calibration:METRICS",
    styles="harness.runs.prompt_styles:asked_styles",
    readings=1,
    fixed={"sampling": "a calibration draws nothing; leave it out"},
    recounted="harness.runs.calibration:recounted",
    figures="harness.report.figures.calibration_plot:calibration_figures",
    overview="harness.report.page.calibration:overview",
    section=CalibrationSettings,
)
