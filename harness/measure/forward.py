"""`measure: forward`: forward passes over the reference answer, in one chat style or in both."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.errors import FieldError
from harness.spec import Experiment
from harness.spec.measure import Measure
from harness.tasks.base import Style


def lens_of(experiment: Experiment) -> tuple[int, ...]:
    """The blocks that are read through norm and head, in order.

    Raises:
        FieldError: the model has no such block.
    """
    lens, blocks = experiment.forward.lens, _blocks(experiment)
    if isinstance(lens, str):
        return tuple(range(blocks)) if lens == "all" else ()
    if max(lens) >= blocks:
        raise FieldError(
            "forward.lens",
            f"block {max(lens)} is not one of {experiment.model}; use 0 to {blocks - 1}",
        )
    return tuple(sorted(set(lens)))


def reads_output(experiment: Experiment) -> bool:
    """Whether the last block is among these, whose prediction is the model's own."""
    lens = experiment.forward.lens
    return lens == "all" or (lens != "none" and _blocks(experiment) - 1 in lens_of(experiment))


def _blocks(experiment: Experiment) -> int:
    from harness.models.loading import load_config  # imports torch, and is seldom needed

    return int(load_config(experiment.model).get_text_config().num_hidden_layers)


def _measured(experiment: Experiment) -> Collection[str]:
    """The metrics of a case: how styles differ where both are read, and their predictions too."""
    styles = experiment.forward.read
    names = {f"nll_{style}" for style in styles}
    if len(styles) > 1:
        names |= {"delta_nll", "routing_tv", "routing_jaccard"}
        names |= {"js"} if reads_output(experiment) else set()
    return names


def _styles(experiment: Experiment) -> Mapping[Style, str]:
    """The chat styles; none of the task's own where aligned pairs replace its prompts."""
    if experiment.prompt.pairs is not None:
        return {}
    return dict.fromkeys(experiment.forward.read, "measure")


def _readings(experiment: Experiment) -> int:
    return len(experiment.forward.read)


MEASURE = Measure(
    "forward",
    "forward passes",
    "how the two chat styles differ at the reference answer",
    run="harness.runs.forward:measured_case",
    metrics="harness.metrics.forward:METRICS",
    yields=_measured,
    styles=_styles,
    needs="harness.measure.paired_forward:needed",
    readings=_readings,
    fixed={
        "prompt.style": "forward passes read both chat styles in one case, or the one that "
        "forward.styles names; leave it out"
    },
    figures="harness.report.figures.paired_plots:forward_figures",
)
