"""report.json as pydantic models: what a run was, what each case measured, what held.

The models say what a report looks like and nothing else: `build` fills them from results, `schema`
checks documents against them, `write` and `load` move them to and from a directory.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveInt,
    WithJsonSchema,
)

from harness.metrics.entry import MetricEntry
from harness.metrics.lookup import metric_of
from harness.report.dose_report import DoseReport, PotencyReport, WindowReport
from harness.report.help_report import HelpReport
from harness.report.predictors_report import PredictorReport
from harness.report.run_info import ReportPart, RunInfo
from harness.report.stopping_report import StoppedReport, StoppingReport
from harness.spec.doses import ENDLESS, number_of, written
from harness.spec.gates import Claim
from harness.spec.metric import Good, MetricSettings, Sort, items_of, section_of
from harness.statistics.estimates import Metric, Versus
from harness.store.results import UNDECIDED, CaseStatus, GateResult
from harness.tasks.base import TaskMetric

if TYPE_CHECKING:
    import pandas as pd

#: The `schema` of the reports that are written and read here. New optional fields leave it as it
#: is: it rises when a report that was written before could no longer be read.
SCHEMA_VERSION = 1


#: A number of the dose axis; the endless one is a text in JSON.
Dose = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(number_of),
    PlainSerializer(written, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"const": ENDLESS}]}),
]


class TaskInfo(ReportPart):
    """The task that a case was scored on."""

    name: str
    version: int
    """Changes whenever prompts, data or scoring do: other versions cannot be compared."""
    size: NonNegativeInt
    """Number of samples; the denominator of every rate."""


class Agreement(ReportPart):
    """How long a case's completions follow those of its baseline."""

    tokens: NonNegativeFloat
    """Mean over samples (first over a sample's draws) of the tokens before the first departure."""
    ci_low: NonNegativeFloat | None = None
    """Lower bound of its 95 % interval (Student's t, Hall's transformation), or null."""
    ci_high: NonNegativeFloat | None = None
    """Upper bound, or null together with `ci_low`."""
    identical: float = Field(ge=0, le=1)
    """Share of samples all of whose draws equal the baseline's, token for token."""
    coupled: float | None = Field(default=None, ge=0, le=1)
    """Share of equal tokens among those that were drawn after equal ones: draws share their noise.
    null where none was, and in reports of earlier versions."""


class RouterUsage(ReportPart):
    """How much a model used each of its router points, as an ordering of them was measured."""

    expression: str
    """What was averaged, such as `avg_last_agentic`."""
    layers: tuple[NonNegativeInt, ...]
    """The layers that have a router."""
    values: tuple[tuple[float, ...], ...]
    """A row per router layer with a value per expert: its share of the top-k weights."""


class VectorNorm(ReportPart):
    """The length of a steering vector at one place, and beside the residual stream there."""

    layer: NonNegativeInt
    site: str
    norm: NonNegativeFloat
    """Euclidean; of the vector itself, before it is multiplied by any dose."""
    residual_norm: NonNegativeFloat | None = None
    """Mean norm of the residual stream after the layer; null where it is not known."""
    relative: NonNegativeFloat | None = None
    """`norm / residual_norm`."""


class StatedMetric(ReportPart):
    """What a metric is that only its task knows, so that values can be compared without it."""

    summary: str
    good: Good
    kind: Sort
    bounds: tuple[float | None, float | None] = (None, None)
    aggregate: str = "mean"
    """How samples' values become the number, by name (`harness.metrics.aggregates`)."""
    partial: bool = False
    """Whether it is one of some samples only."""


class CaseReport(ReportPart):
    """One row of the table: a case with its metrics.

    Only a complete case has metrics, agreement and a comparison. An incomplete or failed one keeps
    its place and says why in `error`: part of the samples would be another denominator.
    """

    id: str
    nodeid: str | None
    experiment: str
    model: str
    task: TaskInfo
    params: dict[str, JsonValue]
    """Value of every axis, by dotted field."""
    settings: dict[str, JsonValue] = {}
    """The experiment with every axis fixed, defaults included: what to run to see this again."""
    intervention: dict[str, JsonValue] | None = None
    """What was done to the model, measured orderings resolved; null where nothing was."""
    vectors: tuple[VectorNorm, ...] = ()
    """The lengths of the steering vectors that were added; none at a neutral dose."""
    dose_axis: str | None
    """The axis that is the dose; null in an experiment without one."""
    dose: Dose | None
    """The number on it; inf, which is its own text in JSON, comes behind all others."""
    baseline: str | None
    """Id of the case that this one is compared with; null for a baseline itself."""
    grid: PositiveInt | None = None
    """Cases of its experiment's whole grid; null for a baseline, and in earlier reports."""
    status: CaseStatus
    metric: str
    """Name of the primary metric, the one in tables and plots."""
    metrics: dict[str, Metric] = {}
    versus_baseline: dict[str, Versus] = {}
    contents: dict[str, str] = {}
    """Hashes of what decides the values of the metrics that the spec adds, by their names."""
    stopped: StoppedReport | None = None
    """How it ended in a run that stops itself; null in one that sees every sample."""
    entries: dict[str, StatedMetric] = {}
    """What those metrics are that only the task knows, by their names."""
    agreement: Agreement | None = None
    """Null for a baseline, and where there is no complete baseline to compare with."""
    usage: RouterUsage | None = None
    """What the points were ordered by; the first case with an ordering has it for the others."""
    counts: dict[str, int] = {}
    """What the intervention counted, summed over all completions."""
    tokens: NonNegativeInt
    """Tokens of all completions of this case, those that came from the store included."""
    seconds: NonNegativeFloat
    """Its share, by tokens, of the engine's time in this run; stored completions took none."""
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @property
    def measure(self) -> str:
        """The name of what was measured; reports of the first versions do not say it."""
        return str(self.settings.get("measure", "generate"))

    def kind(self, metric: str) -> MetricEntry:
        """What one of its metrics is: which way is better, how its values become one number."""
        task = self.settings.get("task")
        named = task if isinstance(task, dict) else {}
        return metric_of(
            self.measure,
            metric,
            self._asked_metrics,
            task=named.get("name"),
            answer=named.get("answer"),
            stated={name: TaskMetric(**dict(each)) for name, each in self.entries.items()},
        )

    @property
    def asked_metrics(self) -> list[str]:
        """The names of those that its spec has added, in its order."""
        return [section_of(item).called for item in self._asked_metrics]

    @cached_property
    def _asked_metrics(self) -> list[str | MetricSettings]:
        """Those that the spec has added; none where what they need is not installed here."""
        with suppress(ValueError):
            return items_of(self.settings.get("metrics", []))
        return []


class DepartureReport(ReportPart):
    """Where a completion first departs from the one that it must equal."""

    request: str
    """The sample, or another name of what was asked."""
    token: NonNegativeInt
    """Generated tokens before it."""
    own: int | None
    """Id of the token there; null where the completion had ended."""
    expected: int | None
    log_probability_gap: float | None
    """Own minus expected, in nats; null where one had ended or is not finite."""


class InvariantReport(ReportPart):
    """An identity that was checked in this run."""

    name: str
    case: str
    holds: bool
    detail: str
    departure: DepartureReport | None = None
    """Null where it holds, and for an identity that compares no completions."""

    @property
    def undecided(self) -> bool:
        """As that of a gate."""
        return not self.holds and self.detail.startswith(UNDECIDED)


class GateReport(ReportPart):
    """A claim of a spec and whether it held."""

    gate: str
    """As it was written; of a rule, `compare SAVED: RULE`."""
    claim: Claim | None = None
    """What it says; null in reports that were written before gates were kept as data."""
    experiment: str
    holds: bool
    detail: str
    """Why; what opens with `undecided: ` has failed because nothing decided it."""

    @property
    def undecided(self) -> bool:
        """Whether it failed because nothing decided it, and not because it was found untrue."""
        return not self.holds and self.detail.startswith(UNDECIDED)

    @classmethod
    def of(cls, judged: GateResult) -> Self:
        """As a report says it."""
        return cls(
            gate=judged.gate.text,
            claim=judged.gate.claim,
            experiment=judged.experiment,
            holds=judged.holds,
            detail=judged.detail,
        )


class Unjudged(ReportPart):
    """A claim of a spec that speaks of cases which were not selected."""

    gate: str
    claim: Claim | None = None
    experiment: str
    needs: str
    """Which cases are missing."""


class RunReport(ReportPart):
    """A whole report.json."""

    version: Literal[1] = Field(default=1, alias="schema")
    """Version of this format."""
    run: RunInfo
    cases: tuple[CaseReport, ...] = ()
    invariants: tuple[InvariantReport, ...] = ()
    gates: tuple[GateReport, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    """Gates of specs that wait for cases which were not selected; they fail nothing."""
    doses: tuple[DoseReport, ...] = ()
    """What its curves say; none in reports of earlier versions."""
    windows: tuple[WindowReport, ...] = ()
    """Of experiments that ask for one: between what is wanted and what must be kept."""
    potencies: tuple[PotencyReport, ...] = ()
    """Of curves that differ in one axis: how many times the dose one takes."""
    stopping: tuple[StoppingReport, ...] = ()
    """Of experiments that stopped themselves: what that saved, and what power was paid."""
    help: tuple[HelpReport, ...] = ()
    """What help of an oracle came to, of guided cases; none in reports of earlier versions."""
    predictors: tuple[PredictorReport, ...] = ()
    """Of cases that say what asking is worth: which numbers tell where; the best one first."""

    @cached_property
    def baselines(self) -> frozenset[str]:
        """Ids of the cases that other cases are compared with."""
        return frozenset(case.baseline for case in self.cases if case.baseline is not None)

    def experiment(self, name: str) -> tuple[CaseReport, ...]:
        """The cases of one experiment, in order."""
        return tuple(case for case in self.cases if case.experiment == name)

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments in order of their first case."""
        return tuple(dict.fromkeys(case.experiment for case in self.cases))

    def frame(self) -> pd.DataFrame:
        """One row per case; columns are named by their path in report.json.

        Fixed columns come first, then `params.*`, `metrics.*`, `versus_baseline.*` and `counts.*`
        in the order of their first appearance. Lists and mappings are JSON text; whole numbers
        stay whole where some are missing.
        """
        import pandas as pd  # here: it takes half a second, and tables do not need it

        rows = [_flat(case) for case in self.cases]
        names = list(dict.fromkeys(name for row in rows for name in row))
        ordered = [*_FIXED]
        for group in _GROUPS:
            ordered += [name for name in names if name.startswith(f"{group}.")]
        frame = pd.DataFrame(rows, columns=ordered)
        for name in ordered:
            values = [row[name] for row in rows if row.get(name) is not None]
            if all(type(value) is int for value in values) and values:
                frame[name] = frame[name].astype("Int64")
        return frame


_FIXED = (
    "id",
    "nodeid",
    "experiment",
    "model",
    "task.name",
    "task.version",
    "task.size",
    "dose_axis",
    "dose",
    "baseline",
    "status",
    "metric",
    "agreement.tokens",
    "agreement.ci_low",
    "agreement.ci_high",
    "agreement.identical",
    "agreement.coupled",
    "tokens",
    "seconds",
    "warnings",
    "error",
)
_GROUPS = ("params", "metrics", "versus_baseline", "counts")
#: The fields of a case that its row is made of.
_COLUMNS = {*(name.partition(".")[0] for name in _FIXED), *_GROUPS}


def _flat(case: CaseReport) -> dict[str, Any]:
    row: dict[str, Any] = {}

    def add(path: str, value: Any, *, nested: bool) -> None:
        if nested and isinstance(value, dict):
            for key, part in value.items():
                add(f"{path}.{key}", part, nested=path in {"metrics", "versus_baseline"})
        elif isinstance(value, list | dict):
            row[path] = json.dumps(value, ensure_ascii=False) if value else None
        else:
            row[path] = value

    for name, value in case.model_dump(mode="json", include=_COLUMNS).items():
        add(name, value, nested=True)
    # A number where JSON has a text.
    row["dose"] = case.dose
    return row
