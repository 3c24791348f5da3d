"""What a report says of a guidance: what an oracle's help came to (`docs/guided.md`)."""

from __future__ import annotations

from pydantic import JsonValue, PositiveInt

from harness.report.run_info import ReportPart


class Estimated(ReportPart):
    """A number with its 95 % interval over samples; null what is not known, or without bound."""

    value: float | None
    low: float | None
    high: float | None


class PromiseReport(ReportPart):
    """What a fitted threshold promised of samples that are not seen, and what showed it."""

    aim: float
    """The share of the performance gap that is promised, at 95 %."""
    threshold: float
    samples: PositiveInt
    """On how many samples that are not evaluated it was shown."""
    recovered: float
    """What was recovered of these."""
    at_least: float
    """The largest share that could have been shown there."""


class FittedReport(ReportPart):
    """A threshold, and the samples that it was fitted on, none of which is evaluated."""

    threshold: float
    seed: int
    """Of the permutation of all samples that are not evaluated, `of` in number."""
    of: PositiveInt
    samples: PositiveInt
    """How many of them, the first ones of the permutation, it was fitted on."""
    ids: str
    """SHA-256 of their ids in this order, a line each."""


class HelpPoint(ReportPart):
    """What one case with help came to."""

    case: str
    accuracy: float
    share: Estimated
    """The oracle's share of the tokens."""
    pgr: Estimated | None
    """The performance gap recovered, from 0 (the model alone) to 1 (the oracle alone)."""
    cost: Estimated | None
    """Tokens times weights per token, beside the model alone; null where a size is not known."""
    promise: PromiseReport | None = None
    """What its threshold was fitted to keep; null where it was not fitted to a promise."""
    fitted: FittedReport | None = None
    """What its threshold was fitted on; null where it was given."""


class HelpReport(ReportPart):
    """What one trigger's help came to (`docs/guided.md`)."""

    experiment: str
    params: dict[str, JsonValue]
    """Value of every axis that the curve's cases share."""
    trigger: str
    metric: str
    samples: PositiveInt
    weak: float
    """Accuracy of the model alone."""
    strong: float
    """Accuracy of the oracle alone."""
    strong_cost: float | None = None
    """The oracle alone beside the model alone; null where a size is not known."""
    points: tuple[HelpPoint, ...]
    no_pgr: str | None = None
    """Why there is nothing to recover; null where there is."""
    apgr: Estimated | None = None
    """Mean of the performance gap recovered over the oracle's shares from 0 to 1."""
    regret: Estimated | None = None
    """Area between the line of consultations chosen in hindsight and this one; null where the run
    has no `measure: value_of_asking` of the same model, oracle, length and samples."""
    cpt50: Estimated | None = None
    """Least share of the oracle that recovers half of the gap; 1 where only it alone does."""
    cpt80: Estimated | None = None
    """The same for 80 % of it."""
