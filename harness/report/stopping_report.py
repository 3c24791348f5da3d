"""What a report says of a run that stopped itself: how doses ended, what it saved and cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from harness.report.run_info import ReportPart
from harness.store.results import End

Decision = Literal["differs", "undecided", "undecided, ended early", "leads"]


class StoppedReport(ReportPart):
    """How a case of a run that stops itself ended."""

    of: PositiveInt
    """Samples that there are; the case's `task.size` were asked, the first ones in the order."""
    end: End
    verdict: Decision
    """differs: Holm's anytime p is below alpha. undecided: it is not, though all was asked that the
    decisions needed. undecided, ended early: it was not likely to be decided, which says nothing of
    whether there is an effect. leads: a baseline, which is asked before its doses."""
    benchmark_low: float | None = None
    """Of the difference on this very benchmark, all of its samples: an interval that holds it in
    95 % of runs, whenever these stop."""
    benchmark_high: float | None = None
    """Its upper bound; with all samples asked both are the difference itself."""


class StoppingReport(ReportPart):
    """What an experiment that stops itself has saved, and what power it paid."""

    experiment: str
    decide: tuple[str, ...]
    """As the spec has it."""
    alpha: float
    seed: NonNegativeInt
    order: tuple[str, ...]
    """The permutation: the ids of all samples in the order in which they are asked."""
    samples: NonNegativeInt
    """Asked, over all cases."""
    of: PositiveInt
    """What a run without stopping asks."""
    tokens: NonNegativeInt
    """Of the completions that were asked."""
    share: float = Field(ge=0, le=1)
    """Of the tokens that all samples would take, if the others are as long, case by case."""
    effect: float | None = None
    """The difference that a test of all samples at once, at 5 % and uncorrected, finds with a power
    of 80 %, at the share of samples that changes here; null for what is no rate."""
    power: float | None = None
    """The power with which looking on the way finds it."""
