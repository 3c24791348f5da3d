"""`measure: forward`: forward passes over the reference answer, in both chat styles of a sample."""

from __future__ import annotations

from collections.abc import Mapping

from harness.spec import Experiment
from harness.spec.measure import Measure
from harness.tasks.base import Style
from harness.tasks.pairs.pair import VARIANTS


def _styles(experiment: Experiment) -> Mapping[Style, str]:
    """Both chat styles; none of the task's own where aligned pairs replace its prompts."""
    return {} if experiment.prompt.pairs is not None else dict.fromkeys(VARIANTS, "measure")


MEASURE = Measure(
    "forward",
    "forward passes",
    "how the two chat styles differ at the reference answer",
    run="harness.runs.forward:measured_case",
    metrics="harness.metrics.forward:METRICS",
    styles=_styles,
    needs="harness.measure.paired_forward:needed",
    readings=len(VARIANTS),
    fixed={"prompt.style": "forward passes read both chat styles in one case; leave it out"},
    figures="harness.report.figures.paired_plots:forward_figures",
)
