"""What a report says of dose-response curves: doses, windows, potencies (`docs/statistics.md`)."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue, PositiveInt

from harness.report.run_info import ReportPart


class DoseInterval(ReportPart):
    """A dose, in the unit of its axis, with its 95 % interval."""

    value: float
    low: float
    high: float


class BenchmarkDose(ReportPart):
    """The dose of a change for the worse (of a metric without one, in the curve's own direction),
    and how far one may go below it.
    """

    response: float
    """Size of the change, in the metric's unit."""
    dose: float | None
    """BMD: where the isotonic fit has changed by so much; null beyond the highest dose."""
    lower: float | None
    """BMDL: its lower bound at 95 %; null where even the highest dose is below it."""
    low: float | None = None
    """BMD's two-sided 95 % interval; null beyond the highest dose, and, both ends, in reports of
    earlier versions."""
    high: float | None = None


class Slope(ReportPart):
    """The slope of Hill's curve, with its 95 % interval; `p` is the chance of a worse fit."""

    value: float
    low: float
    high: float
    p: float
    ed50: float | None = None
    """The curve's own ED50; null in reports of earlier versions."""
    begins: float | None = None
    """Where the curve begins: the mean at the first dose; null in reports of earlier versions."""
    height: float | None = None
    """How far it goes from there, below 0 where it falls; null in reports of earlier versions."""

    def at(self, dose: float) -> float | None:
        """The curve at a dose of at least 0; None where a report does not say where it lies."""
        if self.ed50 is None or self.begins is None or self.height is None:
            return None
        part = 1 / (1 + (self.ed50 / dose) ** self.value) if dose else 0.0
        return self.begins + self.height * part


class LevelsInterval(ReportPart):
    """What another run of the same size would say, in 95 % of runs (`statistics/levels.py`)."""

    loel_low: float | None
    """Null where no dose would differ."""
    loel_high: float | None
    noel_low: float
    noel_high: float


class DoseReport(ReportPart):
    """At which dose: what one curve says, in its primary metric (`docs/statistics.md`)."""

    experiment: str
    params: dict[str, JsonValue]
    """Value of every axis but the dose's, which the curve's cases share."""
    metric: str
    scale: Literal["linear", "log2(dose + 1)"]
    """Over what the curve is straight between two doses."""
    doses: tuple[float, ...]
    """From the one that changes nothing on."""
    samples: PositiveInt
    """With a value at every dose; of a curve over seeds the number of these."""
    unit: Literal["samples", "seeds"] = "samples"
    """What intervals are over: other samples, or other seeds and the texts that these draw."""
    ed50: DoseInterval | None
    """Where half of the whole change is there; null for the reason in `no_ed50`."""
    no_ed50: str | None = None
    ed10: DoseInterval | None = None
    """Where a tenth of it is there; null with `ed50`, and in reports of earlier versions."""
    ed90: DoseInterval | None = None
    """Where nine tenths of it are there."""
    slope: Slope | None = None
    """Null where the data reject Hill's curve, or there are too few doses for it."""
    loel: float | None
    """The lowest dose from which on every one differs from the first (Holm); null where none."""
    noel: float
    """The dose below it; the highest where none differs."""
    levels: LevelsInterval | None = None
    """Of LOEL and NOEL; null for fewer than ten samples, for what is no mean, for a run that
    stopped itself, and in reports of earlier versions."""
    benchmark: BenchmarkDose | None = None
    """Of metrics between 0 and 1."""
    no_benchmark: str | None = None
    """Why such a metric has none."""


class RatioInterval(ReportPart):
    """How many times one dose is another, with its 95 % interval."""

    value: float
    low: float
    high: float | None
    """Null where the data set no end to it."""


class WindowReport(ReportPart):
    """The doses between half of what is wanted and the first loss of what must be kept."""

    experiment: str
    params: dict[str, JsonValue]
    """As of a curve."""
    target: str
    """The metric whose ED50 is its beginning."""
    capability: str
    """The metric whose BMDL is its end."""
    response: float
    """The loss that BMDL is of."""
    highest: float
    """The highest dose that was measured."""
    samples: PositiveInt
    state: Literal["exists", "none", "undecided", "refused"]
    """exists: all of ED50's interval lies below BMDL. none: none of it does. undecided: between.
    refused: the target has no ED50, for the reason in `why`."""
    ed50: DoseInterval | None
    lower: float | None
    """BMDL; null where even the highest dose is below it, and where refused."""
    index: RatioInterval | None = None
    """ED50 of the capability over that of the target; null for the reason in `why`."""
    why: str | None = None

    @property
    def end(self) -> float:
        """The last dose of it: BMDL, or the highest one where that lies beyond."""
        return self.highest if self.lower is None else self.lower

    @property
    def opens(self) -> bool:
        """Whether there is anything to draw: its beginning lies below its end."""
        return self.ed50 is not None and self.ed50.value < self.end


class PotencyReport(ReportPart):
    """How many times the dose a curve takes for half of its effect, beside another one."""

    experiment: str
    metric: str
    params: dict[str, JsonValue]
    """What both curves have in common."""
    axis: str
    """What tells them apart: a dotted field."""
    value: JsonValue
    """Of the curve whose ED50 is divided by that of the other."""
    other: JsonValue
    samples: PositiveInt
    ratio: RatioInterval | None
    why: str | None = None
    """Why there is none."""
