"""`measure: forward`: forward passes over the reference answer, in both chat styles of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from harness.spec import Experiment
from harness.spec.measure import Measure
from harness.spec.settings import Settings
from harness.spec.usage_expression import UsageText
from harness.tasks.base import Style
from harness.tasks.pairs.pair import VARIANTS


class ForwardSettings(Settings):
    """What a forward measurement keeps, beside the numbers in its report."""

    hidden: Literal["none", "full", "canonical", "pooled"] = "none"
    """Which hidden states are stored. none, the default; full: of every token; canonical: of the
    answer's non-blank tokens; pooled: the mean over these."""
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    """The type of number that hidden states are stored in; float16 by default."""
    orderings: list[UsageText] = []
    """Usage expressions, such as avg_last_agentic, for each of which a points file is written
    beside the study's own. No further ones by default."""


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
    section=ForwardSettings,
)
