"""`measure: forward`: forward passes over the reference answer, in one chat style or in both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from harness.errors import FieldError
from harness.spec import Experiment
from harness.spec.measure import Measure
from harness.spec.settings import Settings
from harness.spec.usage_expression import UsageText
from harness.tasks.base import Style


class ForwardSettings(Settings):
    """What a forward measurement reads, and what it keeps beside the numbers in its report."""

    styles: Literal["both", "agentic", "assisted"] = "both"
    """The chat styles that are read. both, the default, compares them; agentic or assisted reads
    one alone, which costs half of it and asks less of a chat template."""
    lens: Literal["all", "none"] | Annotated[list[NonNegativeInt], Field(min_length=1)] = "all"
    """The blocks whose prediction of the answer is read through the final norm and the head: all,
    the default, none, or a list such as [9, 19, 29]. none is the fastest by far."""
    hidden: Literal["none", "full", "canonical", "pooled"] = "none"
    """Which hidden states are stored. none, the default; full: of every token; canonical: of the
    answer's non-blank tokens; pooled: the mean over these."""
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    """The type of number that hidden states are stored in; float16 by default."""
    orderings: list[UsageText] = []
    """Usage expressions, such as avg_last_agentic, for each of which a points file is written
    beside the study's own. No further ones by default."""

    @property
    def read(self) -> tuple[Literal["agentic", "assisted"], ...]:
        """The styles that are read."""
        return ("agentic", "assisted") if self.styles == "both" else (self.styles,)

    @model_validator(mode="after")
    def _orderings_compare(self) -> Self:
        if self.orderings and self.styles != "both":
            raise ValueError(
                f"orderings compare both styles, and styles: {self.styles} reads one; leave one of "
                "them out"
            )
        return self


def forward_of(experiment: Experiment) -> ForwardSettings:
    """What an experiment's `forward:` says."""
    found: ForwardSettings = experiment.section_of("forward")
    return found


def lens_of(experiment: Experiment) -> tuple[int, ...]:
    """The blocks that are read through norm and head, in order.

    Raises:
        FieldError: the model has no such block.
    """
    lens, blocks = forward_of(experiment).lens, _blocks(experiment)
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
    lens = forward_of(experiment).lens
    return lens == "all" or (lens != "none" and _blocks(experiment) - 1 in lens_of(experiment))


def _blocks(experiment: Experiment) -> int:
    from harness.models.loading import load_config  # imports torch, and is seldom needed

    return int(load_config(experiment.model).get_text_config().num_hidden_layers)


def _measured(experiment: Experiment) -> Collection[str]:
    """The metrics of a case: how styles differ where both are read, and their predictions too."""
    styles = forward_of(experiment).read
    names = {f"nll_{style}" for style in styles}
    if len(styles) > 1:
        names |= {"delta_nll", "routing_tv", "routing_jaccard"}
        names |= {"js"} if reads_output(experiment) else set()
    return names


def _styles(experiment: Experiment) -> Mapping[Style, str]:
    """The chat styles; none of the task's own where aligned pairs replace its prompts."""
    if experiment.prompt.pairs is not None:
        return {}
    return dict.fromkeys(forward_of(experiment).read, "measure")


def _readings(experiment: Experiment) -> int:
    return len(forward_of(experiment).read)


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
    readings_kept="statistics",
    recounted="harness.runs.forward_again:recounted",
    figures="harness.report.figures.paired_plots:forward_figures",
    section=ForwardSettings,
)
