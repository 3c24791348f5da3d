"""What a task is: samples to ask, how they are put to a model, and how an answer is scored.

- A prompt style says how the same sample reaches the model. `assisted`: the user pastes it into one
  turn. `agentic`: the assistant finds it by a `read_file` tool call. `completion`: the bare text is
  continued, for models without a chat template.
- Every style of a sample has the same reference continuation, so that styles can be compared
  position by position (`reference`).
- An answer that cannot be parsed is a wrong answer: it is scored 0 and stays in the denominator.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from harness.spec.metric import Good, Sort
from harness.spec.style import STYLES
from harness.spec.style import Style as Style  # every task is asked in one

Message = Mapping[str, Any]
#: `stalled`: it ran into the wall clock with little processor time used, also with no other beside
#: it. `unjudged`: its sample's tests need what the sandbox cannot give them.
Doubt = Literal["", "stalled", "unjudged"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One record of a task; equal only to itself. Its stable `id` keys randomness and pairing."""

    id: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Conversation:
    """A prompt as chat messages, to be rendered by a model's own chat template.

    Messages and tools have the shape that `PreTrainedTokenizerBase.apply_chat_template` takes.
    `date` is the day on which it takes place, for templates that print one; None for today.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    date: date | None = None


def texts_of(prompt: Conversation | str) -> Iterator[str]:
    """The texts of a prompt: each message's, or the bare one."""
    if isinstance(prompt, str):
        yield prompt
    else:
        yield from (str(message.get("content") or "") for message in prompt.messages)


@dataclass(frozen=True)
class Reference:
    """The ideal continuation of a prompt: `opening + answer + closing`, same for every style.

    Measurements read the positions of `answer`; the rest is the frame around it (a code fence).
    """

    opening: str
    answer: str
    closing: str

    @property
    def text(self) -> str:
        """The whole continuation."""
        return self.opening + self.answer + self.closing


@dataclass(frozen=True)
class Score:
    """One completion's verdict: right or wrong, whether it could be read at all, and why.

    `correct` is None where the task has no answer to hold it against. `answer` is what was read,
    the same text for equal answers, so that draws can vote; None where nothing was, and where
    answers have no name, as programs. `tool_call` says whether it calls a tool, which does not make
    it right or wrong. `doubt`: it counts as wrong for a reason that need not be the answer's. A
    verdict that might turn when it is tried again, such as a time-out, is not `settled`: it holds
    for its own run only.
    """

    correct: bool | None
    parsed: bool
    detail: str = ""
    tool_call: bool = False
    doubt: Doubt = ""
    settled: bool = field(default=True, compare=False)
    answer: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TaskMetric:
    """What a number of a task's own is, unless it is a share of right answers.

    Args:
        summary: What it is, in a line.
        good: The direction in which a change is for the better.
        kind: A rate is a mean of successes, from 0 to 1 for every sample; all others are numbers.
        bounds: The least and the greatest number that it can be; None where there is no bound.
        aggregate: How samples' values become one number: the name of one of
            `harness.metrics.aggregates`.
        partial: Whether it is one of some samples only, such as those of one task of a group.
    """

    summary: str
    good: Good = "higher"
    kind: Sort = "score"
    bounds: tuple[float | None, float | None] = (None, None)
    aggregate: str = "mean"
    partial: bool = False


@dataclass(frozen=True)
class Training:
    """The problems that built-in contrastive pairs are made of: none that a task asks.

    Args:
        fields: Those of a record in a file of them.
        fault: What is wrong with such a record; None for a good one.
        own: The task's own records, fewer of which are the first of more.
        heads: Whether a `prompt` is the head of a function, of which there are pairs of styles
            alone; others have a `question` with its worked `answer`.
        held_out: Whether its own are no samples of the task by how they are made; otherwise they
            are compared, problem by problem.
    """

    fields: tuple[str, ...]
    fault: Callable[[Mapping[str, Any]], str | None]
    own: Callable[[], Iterable[Mapping[str, Any]]]
    heads: bool = False
    held_out: bool = True

    @property
    def asks(self) -> str:
        """The field of a record that is what is asked."""
        return "prompt" if self.heads else "question"


#: Name of the metric that counts tool calls, in every task.
TOOL_CALL = "tool_call"


def common_rates(scores: Sequence[Score]) -> dict[str, float]:
    """The rates that every task measures of a sample's draws: readable answers, tool calls."""
    return {
        "parsed": sum(score.parsed for score in scores) / len(scores),
        TOOL_CALL: sum(score.tool_call for score in scores) / len(scores),
    }


@dataclass(frozen=True, eq=False)
class Task(ABC):
    """Samples with their prompts and their scorer; equal only to itself. One module per task."""

    samples: Sequence[Sample] = field(repr=False)
    #: The day on which all samples are asked, where a chat template wants to know; None for today.
    date: date | None = field(default=None, kw_only=True)

    #: Name in a spec, and the version that changes whenever prompts, data or scoring do. The
    #: verdicts of a class that states a version of its own are kept in the store.
    name = ""
    version = 1
    #: Metric shown in the dose-response plot; a key of `metrics`. Empty where nothing is scored.
    metric = ""
    #: Of its metrics those that are no shares of right answers, by their names.
    entries: ClassVar[Mapping[str, TaskMetric]] = MappingProxyType({})
    #: Whether it asks for completions.
    completes = True
    #: What it has scored beside completions, where it counts by itself.
    scored: ClassVar[str | None] = None
    #: Whether its scores say which answer was read, so that draws can vote.
    names_answers: ClassVar[bool] = False
    #: What built-in contrastive pairs of it are made of; None where there are none.
    training: ClassVar[Training | None] = None

    @property
    def isolated_by(self) -> str | None:
        """How answers are isolated that are run to be scored; None where nothing is run."""
        return None

    @property
    def conditions(self) -> Mapping[str, Any]:
        """What decides a verdict beside record, answer and version, as JSON values."""
        return {}

    @property
    def size(self) -> int:
        """Number of samples: the denominator of every rate."""
        return len(self.samples)

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        """The samples by their ids."""
        return {sample.id: sample for sample in self.samples}

    @abstractmethod
    def prompt(self, sample: Sample, style: Style) -> Conversation | str:
        """The prompt in a style: messages for chat styles, bare text for `completion`."""

    def texts(self, sample: Sample) -> Iterator[str]:
        """What asks for a sample, whatever the style: samples that share one are not told apart."""
        for style in STYLES:
            yield from texts_of(self.prompt(sample, style))

    def digest(self, sample: Sample) -> str:
        """What tells the question of a sample from others, whatever task it is in: what was fitted
        on it must not be tested on it.
        """
        text = " ".join(" ".join(texts_of(self.prompt(sample, "completion"))).split())
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @abstractmethod
    def reference(self, sample: Sample) -> Reference:
        """The ideal continuation of the sample's prompt in the chat styles."""

    def distractors(self, sample: Sample) -> tuple[str, ...]:
        """Wrong answers to choose from beside the reference's: each in the place of its `answer`.

        All samples of a task have some, or none has any.
        """
        del sample
        return ()

    def gold(self, sample: Sample) -> int:
        """Where the reference's answer stands among the choices: the distractors keep their order
        around it. Of equally likely choices the first counts as chosen.
        """
        del sample
        return 0

    def scored_here(self, *, unsafe_code: bool) -> Task:
        """This task, found to be scorable on this machine before any answer is asked for.

        Raises SandboxError where answers would have to be run and cannot be isolated, unless
        `unsafe_code` allows that; TaskError where the data cannot be scored at all.
        """
        del unsafe_code  # nothing is run
        return self

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """Strings that end a completion in this style, beside the tokenizer's own end tokens."""
        del style
        return ()

    def judged(self, sample: Sample, style: Style, text: str) -> Any:
        """All of an answer that its score depends on, as JSON: what is equal is judged once."""
        del sample
        return [style, text]

    @abstractmethod
    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Score completions' texts, in order; many at once, because code is run in parallel.

        Called with what was not judged before: equal answers of a run, and of earlier runs where
        verdicts are kept, share one verdict.
        """

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """One sample's metrics from the scores of all its draws, e.g. `{"pass@1": 0.5}`.

        The share of right ones among them, as `metric`, and the common rates; none of right answers
        where nothing is scored.
        """
        right = sum(bool(score.correct) for score in scores) / len(scores)
        return {self.metric: right, **common_rates(scores)}
