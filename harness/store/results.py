"""What a run hands to the report: one `CaseResult` per case, one `DrawResult` per completion.

Plain data, no torch: results can be kept, compared and reported without a model at hand.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from harness.engines.contract import Completion, Reply, Scored
from harness.interventions.base import Intervention
from harness.metrics.entry import Answer, MetricEntry
from harness.spec.measure import Measure, measure_named
from harness.tasks.base import Score, TaskMetric

if TYPE_CHECKING:
    from harness.spec.case import Case
    from harness.spec.gates import Gate

#: What opens the detail of a gate or an identity that failed because nothing decided it.
UNDECIDED = "undecided: "

CaseStatus = Literal["complete", "incomplete", "failed"]
#: How a dose of a run that stops itself ended; a baseline leads its doses.
End = Literal["decided", "ended early", "all samples", "leads"]

#: Metric -> sample id -> value: a number, or what the metric's aggregate takes.
SampleMetrics: TypeAlias = Mapping[str, Mapping[str, JsonValue]]


#: Metric -> sample id -> what came back for what the metric asked of it, in its order.
Replies: TypeAlias = Mapping[str, Mapping[str, tuple[Reply, ...]]]

_UNSCORED = Score(correct=False, parsed=False)


@dataclass(frozen=True, slots=True)
class DrawResult:
    """One scored completion. `agreement` counts the tokens before the first departure from the
    baseline's completion of the same sample and draw: the whole length when they are equal, None
    for a baseline itself. `pieces` is the text of each token by itself, of a completion that has
    numbers per token to show beside it. `instead` has `(token, text)`: what another model that was
    asked would have said from there on, where that is something else.
    """

    sample: str
    draw: int
    prompt: str
    completion: Completion
    score: Score
    agreement: int | None = None
    pieces: tuple[str, ...] = ()
    instead: tuple[tuple[int, str], ...] = ()


def agreed(tokens: Sequence[int], reference: Sequence[int]) -> int:
    """Tokens before the first departure; the whole shorter length where there is none."""
    for index, (own, other) in enumerate(zip(tokens, reference, strict=False)):
        if own != other:
            return index
    return min(len(tokens), len(reference))


class DrawLength(NamedTuple):
    """How long a completion is, and how long it follows its baseline's."""

    sample: str
    draw: int
    tokens: int
    agreement: int | None


class StoredDraws(Sequence[DrawResult]):
    """Draws that are read from disk when they are looked at; equal to the same ones in memory."""

    __slots__ = ()

    traced: frozenset[str]
    """Names of the numbers per token that some of them have."""

    @abstractmethod
    def lengths(self) -> Iterator[DrawLength]:
        """Their lengths, for which nothing is read."""

    @abstractmethod
    def shapes(self) -> Iterable[Mapping[str, Any]]:
        """The draws as they are recorded, with their own agreements, read each time."""

    @abstractmethod
    def tokens_of_each(self) -> Iterator[Sequence[int]]:
        """Their tokens, for which nothing else is made of what is read."""

    @abstractmethod
    def is_compared_with(self, other: Sequence[DrawResult]) -> bool:
        """Whether their agreements are known to be those with these draws of a baseline."""

    @abstractmethod
    def agreeing(self, agreements: Sequence[int | None]) -> StoredDraws:
        """The same draws with other agreements."""

    @abstractmethod
    def recorded(self) -> bytes | None:
        """The draws as JSON, as they are recorded; None where that says other agreements."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


def answer_to(made: Completion, score: Score = _UNSCORED) -> Answer:
    """What metrics and columns see of a completion."""
    return Answer(
        made.tokens,
        made.text,
        made.log_probabilities,
        score.correct,
        score.parsed,
        made.finish_reason,
        made.error,
        made.traces,
    )


def answer_of(draw: DrawResult) -> Answer:
    """The same of one that is scored."""
    return answer_to(draw.completion, draw.score)


@dataclass(frozen=True, slots=True)
class UsageMap:
    """How much each router point was used, as measured: what an ordering was made from.

    `values` holds a row per router layer, numbered by `layers`, with a value per expert.
    """

    expression: str
    layers: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a case of a run that stops itself ended.

    `of` is the number of samples that there are, `alpha` the level of the whole sweep. Of a
    baseline, which goes before its doses, `end` is `leads`.
    """

    of: int
    alpha: float
    end: End
    order: tuple[str, ...] = ()
    """Of a baseline all samples, in the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """Everything that is known of one case when it ends.

    `sample_metrics` maps metric -> sample id -> value in the order of the task's samples; every
    sample of the task is in it, also those that errored or could not be parsed (scored 0). Of a
    metric that the spec adds, `failures` says why the others have no value: metric -> sample id ->
    reason. `contents` hashes what decides the values of each of these, and `replies` are what
    models have said to those that ask some. `entries` say what those metrics are
    that only the task knows.
    `intervention` is what was done, with every measured ordering resolved to its points.
    `isolation` says what stood around model-written code while it was scored, None where none ran.
    `counts` sums what the intervention counted over all completions. `baseline` is the id of the
    case that this one is compared with: None for a baseline.

    The draws of a large run are read from disk when they are looked at (`StoredDraws`); their
    `lengths` are at hand. A case that reads given texts has no draws; its `sample_metrics` and
    `task_size` are those of the samples that could be measured. `checks` are identities that were
    checked while it ran, and `artefacts` is the folder of the files that belong beside its report.
    `usage` is what the case's points were ordered by; the first case of an experiment with that
    ordering has it for all.

    Of a run that stopped itself, `stopped` says how; its samples, `task_size` of them, stand in the
    order in which they were asked.
    """

    case: Case
    task_name: str
    task_version: int
    task_size: int
    metric: str
    status: CaseStatus
    baseline: str | None = None
    nodeid: str | None = None
    draws: Sequence[DrawResult] = ()
    sample_metrics: SampleMetrics = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    intervention: Intervention | None = None
    isolation: str | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0
    checks: tuple[InvariantResult, ...] = ()
    artefacts: str | None = None
    usage: UsageMap | None = None
    failures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    replies: Replies = field(default_factory=dict)
    stopped: Stopped | None = None
    entries: Mapping[str, TaskMetric] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """Names of what was measured, the primary metric first."""
        return sorted(self.sample_metrics, key=lambda name: name != self.metric)

    @property
    def scored(self) -> int:
        """Completions' samples that have a score: the task's size when nothing is missing."""
        return len({draw.sample for draw in self.lengths})

    @property
    def lengths(self) -> Iterator[DrawLength]:
        """How long its completions are; of stored ones none is read for it."""
        if isinstance(self.draws, StoredDraws):
            return self.draws.lengths()
        return (
            DrawLength(draw.sample, draw.draw, len(draw.completion.tokens), draw.agreement)
            for draw in self.draws
        )

    @property
    def traced(self) -> frozenset[str]:
        """Names of the numbers per token that some completion has; of stored ones none is read."""
        if isinstance(self.draws, StoredDraws):
            return self.draws.traced
        return frozenset(name for draw in self.draws for name in draw.completion.traces)

    @property
    def measure(self) -> Measure:
        """What was measured."""
        return measure_named(self.case.experiment.measure)

    def kind(self, metric: str) -> MetricEntry:
        """What one of its metrics is: which way is better, how its values become one number."""
        from harness.metrics.lookup import metric_of  # with the form of a spec

        experiment = self.case.experiment
        return metric_of(
            experiment.measure,
            metric,
            experiment.metrics,
            task=experiment.task.name,
            answer=experiment.task.answer,
            stated=self.entries,
        )

    def numbers(self, metric: str) -> Mapping[str, float]:
        """Sample id -> value of a metric that is a mean; empty where it was not measured."""
        values = self.sample_metrics.get(metric, {})
        return {sample: value for sample, value in values.items() if isinstance(value, int | float)}

    def recorded_answers(self) -> dict[str, tuple[list[str], list[list[Any]]]]:
        """What a task that counts by itself can count again, by sample: its texts, and the
        `[log-likelihood, greedy]` of each of its scores.
        """
        found: dict[str, tuple[list[str], list[list[Any]]]] = {}
        for draw in self.draws:
            found.setdefault(draw.sample, ([], []))[0].append(draw.completion.text)
        for sample, replies in self.replies.get(self.case.experiment.measure, {}).items():
            for reply in replies:
                assert isinstance(reply, Scored), "what a task scores is kept as scores"
                pairs = zip(reply.log_probabilities, reply.greedy, strict=True)
                own = found.setdefault(sample, ([], []))[1]
                own += [[value[0], best[0]] for value, best in pairs]
        return found

    @property
    def tokens_of_each(self) -> Iterator[tuple[tuple[str, int], Sequence[int]]]:
        """Sample and draw of each completion, and its tokens."""
        if isinstance(self.draws, StoredDraws):
            names = ((each.sample, each.draw) for each in self.draws.lengths())
            return zip(names, self.draws.tokens_of_each(), strict=True)
        return (((draw.sample, draw.draw), draw.completion.tokens) for draw in self.draws)

    @property
    def is_neutral(self) -> bool:
        """Whether the case intervenes at the dose that must change nothing."""
        return self.case.is_neutral

    @property
    def tokens(self) -> int:
        """Tokens generated for this case."""
        return sum(draw.tokens for draw in self.lengths)


def compared(
    own: CaseResult, other: CaseResult, metric: str
) -> tuple[Mapping[str, JsonValue], Mapping[str, JsonValue]]:
    """The values of two cases that are compared, sample by sample.

    A sample that failed on either side is left out of both; what is missing for another reason
    stays missing, for the comparison to refuse. A baseline that went before a dose has samples that
    the dose was never asked.
    """
    failed = {*own.failures.get(metric, {}), *other.failures.get(metric, {})}
    mine, theirs = (dict(side.sample_metrics[metric]) for side in (own, other))
    if own.stopped is not None:
        theirs = {sample: theirs[sample] for sample in mine if sample in theirs}
    for sample in failed:
        mine.pop(sample, None)
        theirs.pop(sample, None)
    return mine, theirs


@dataclass(frozen=True, slots=True)
class Departure:
    """Where a completion first departs from the one that it must equal.

    `token` counts generated tokens from 0. `own` and `expected` are token ids, None where that
    completion had ended. `log_probability_gap` is the model's own log-probability (natural) of the
    one minus that of the other; None where one of them had ended or is not finite.
    """

    request: str
    token: int
    own: int | None
    expected: int | None
    log_probability_gap: float | None

    @classmethod
    def between(
        cls, request: str, own: Completion, expected: Completion, *, tolerance: float = math.inf
    ) -> Departure | None:
        """The first departure in tokens, or in log-probabilities beyond a tolerance, if any."""
        longest = max(len(own.tokens), len(expected.tokens))
        for at in range(longest):
            mine, theirs = _token(own, at), _token(expected, at)
            gap = _gap(own, expected, at)
            if mine != theirs or (gap is not None and not abs(gap) <= tolerance):
                return cls(
                    request, at, mine, theirs, gap if gap is None or math.isfinite(gap) else None
                )
        return None

    def __str__(self) -> str:
        where = f"{self.request} at token {self.token}: "
        if self.own != self.expected:
            where += f"{_named(self.own)} instead of {_named(self.expected)}, "
        if self.own is None or self.expected is None:
            return where.removesuffix(", ")
        gap = self.log_probability_gap
        return where + f"log-probability gap {'not finite' if gap is None else f'{gap:+.2e}'}"


def _named(token: int | None) -> str:
    return "the end" if token is None else str(token)


def _token(completion: Completion, at: int) -> int | None:
    return completion.tokens[at] if at < len(completion.tokens) else None


def _gap(own: Completion, expected: Completion, at: int) -> float | None:
    if at >= min(len(own.log_probabilities), len(expected.log_probabilities)):
        return None
    return own.log_probabilities[at] - expected.log_probabilities[at]


@dataclass(frozen=True, slots=True)
class InvariantResult:
    """An identity that was checked in this run. A violated one fails the run.

    `departure` is where two completions first part, for an identity that compares completions.
    """

    name: str
    case: str
    holds: bool
    detail: str
    departure: Departure | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """A claim of a spec and whether it held; an undecidable gate counts as failed.

    The detail of one that nothing decided begins with `UNDECIDED`.
    """

    gate: Gate
    experiment: str
    holds: bool
    detail: str
