"""A metric as an entry: a value per sample, how values become one number, and what that number is.

    nll_agentic = MetricEntry("nll_agentic", "nats per token ...", "lower", "loss")

The number of a metric is the mean over samples unless it has an aggregate of its own, such as a
median, or a ratio of sums. What has one is compared by a paired bootstrap: a test that looks at
one sample at a time (McNemar, sign flips) speaks of means, and is refused for it by name.

A metric that cannot say what a sample's value is raises `MetricError`: the sample is left out of
it and counted as failed, which is not the same as a value of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from harness.engines.contract import Asked, FinishReason, Reply, Request
from harness.errors import MetricError
from harness.interventions.base import Intervention
from harness.spec.metric import Good, Sort

if TYPE_CHECKING:
    from harness.spec.experiment import EngineSettings

Need = Literal["routers", "choices"]


@dataclass(frozen=True)
class Answer:
    """What a metric sees of one completion of a sample.

    `log_probabilities` are natural, one per token; `traces` what the completion brought along, by
    name, a number per token. A request that was refused has an `error`, which
    says why, and neither tokens nor text. `correct` is None where the task has no answer to hold it
    against.
    """

    tokens: tuple[int, ...]
    text: str
    log_probabilities: tuple[float, ...] = ()
    correct: bool | None = False
    parsed: bool = False
    finish: FinishReason = "stop"
    error: str | None = None
    traces: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What a metric sees of a sample: what was asked, and what came of it.

    Args:
        id: The sample's id.
        record: Its record, as the task's data has it.
        prompt: Its prompt as the model reads it, special tokens included.
        answers: Its completions, draw by draw; none yet for a metric that asks early.
        replies: To what the metric has asked of it, in the order in which it asked. One that came
            to nothing has an `error`.
        correct: Says of a text whether it is a right answer to the sample, as the task does; None
            where it has no answers.
    """

    id: str
    record: Mapping[str, Any]
    prompt: str
    answers: tuple[Answer, ...] = ()
    replies: tuple[Reply, ...] = ()
    correct: Callable[[str], bool | None] = lambda _: None


@dataclass(frozen=True)
class Asker:
    """What a metric asks with, of one sample.

    Args:
        tokenizer: That of the run's own model.
        prompt: The sample's prompt, as token ids.
        intervention: What is done to the model in this case; None where nothing is. A request
            without it goes to the untouched model.
        reference: The `engine` of a request to the model that the spec names as its `reference:`,
            which has the same tokens; "", the run's own, where it names none.
        request: What was asked for the sample's first completion; None of what is no sample.
    """

    tokenizer: Any
    prompt: tuple[int, ...]
    intervention: Intervention | None
    reference: str = ""
    request: Request | None = None


@dataclass(frozen=True)
class Opening:
    """Another engine that a metric asks: the model, and what runs it (the run's own if None).

    `section` is the place in a spec that names the two, as `diff.judges[0]`; they are checked
    before a run. It is empty where a metric checks them itself, or all answers are stored.
    """

    model: str
    settings: EngineSettings | None = None
    section: str = ""


@dataclass(frozen=True)
class Item:
    """What a metric asks about where that is no sample of the task: a text of its own, by its id.

    `record` is what it says of it, as `Seen` has it.
    """

    id: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Asks:
    """With which a metric asks engines for more than the completions of its samples.

    What it asks is stored, resumed, shared and counted as completions are: the same content is
    asked once. Replies are in a run's records, so that scoring again asks nothing.

    Args:
        ask: `(seen, asker) -> asked` of one sample: requests and scorings, each to the engine that
            its `engine` names, "" being the run's own model.
        most: How many these are, of each completion (of each sample, if early) at most.
        early: Whether it needs no completions: it is asked together with them then.
        again: The same, once more, because of the replies, which `seen` has then. What comes of it
            stands behind them. Not for what is early.
        reference: Whether it asks the model that the spec names as its `reference:`.
        engines: Further engines by the names that its requests give; such a name says what the
            engine is, as two metrics may ask the same one.
        items: Gives what it asks about instead of samples, early: each has a value of its own, and
            neither prompt nor completions.
    """

    ask: Callable[[Seen, Asker], Sequence[Asked]]
    most: int = 1
    early: bool = False
    again: Callable[[Seen, Asker], Sequence[Asked]] | None = None
    reference: bool = False
    engines: Mapping[str, Opening] = field(default_factory=dict)
    items: Callable[[], Sequence[Item]] | None = None


@dataclass(frozen=True)
class MetricEntry:
    """One metric.

    Args:
        name: As specs, gates and tables call it.
        summary: What it is, in a line.
        good: The direction in which a change is for the better.
        kind: A rate is a mean of successes, from 0 to 1 for every sample; all others are numbers.
        bounds: The least and the greatest number that it can be; None where there is no bound.
        aggregate: From the samples' values, of which there is at least one, to one finite number;
            the mean when left out, whose values are numbers.
        additive: Whether the aggregate of samples is that of their mean alone, taken element by
            element, as it is of means and of ratios of sums; a bootstrap is quick then.
        interval: `(values) -> (low, high)`, the 95 % interval of an aggregate that has a better one
            than a bootstrap over samples; or a reference to it.
        value: From what is seen of a sample to its value: a number, or the JSON that the aggregate
            takes. Raises MetricError where it has none. None for what a measure, or a task, counts
            by itself.
        needs: What a model (routers) or a task (wrong choices) must have to be measured so.
        asks: What it asks engines for, beside completions.
    """

    name: str
    summary: str
    good: Good = "neither"
    kind: Sort = "score"
    bounds: tuple[float | None, float | None] = (None, None)
    aggregate: Callable[[Sequence[JsonValue]], float] | None = None
    additive: bool = False
    interval: str | Callable[[Sequence[Any]], tuple[Any, Any]] | None = None
    value: Callable[[Seen], JsonValue] | None = None
    needs: frozenset[Need] = frozenset()
    asks: Asks | None = field(default=None, hash=False)

    @property
    def share(self) -> bool:
        """Whether it is a mean of successes."""
        return self.kind == "rate"

    def of(self, values: Iterable[JsonValue]) -> float:
        """The one number that these values of samples give; of a single value, the sample's own."""
        listed: list[Any] = list(values)
        return float(fmean(listed) if self.aggregate is None else self.aggregate(listed))


def per_answer(value: Callable[[Seen, Answer], float]) -> Callable[[Seen], JsonValue]:
    """A sample's value as the mean over its completions of what `value` says of each.

    A request that was refused has no completion to say anything of: the sample fails.
    """

    def of(seen: Seen) -> JsonValue:
        for answer in seen.answers:
            if answer.error is not None:
                raise MetricError(f"its request was refused: {answer.error}")
        return fmean(value(seen, answer) for answer in seen.answers)

    return of
