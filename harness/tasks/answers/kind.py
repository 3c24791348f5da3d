"""What a kind of answer is: which records it fits, and which completions it finds right.

    class Exact(AnswerKind):
        name = "exact"
        ...
    ANSWER = Exact()

It is an entry of `harness.registry.answers`, named by `task.answer`. What it reads lies in a
sample's record under the canonical names of `harness.tasks.data.records`: `answer`, `choices`, and
for code `test` and `entry_point`; a model's reasoning is taken out before it sees a completion.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from harness.tasks.base import Reference, Sample, Score, Style, TaskMetric, common_rates
from harness.tasks.conversations import calls_tool
from harness.tasks.reasoning import without_reasoning


class AnswerVerdict(NamedTuple):
    """What is said of one answer: right or wrong, whether it could be read, and what was read.

    `answer` is the same text for equal answers; None where they have no name. One that is not
    `settled` might be another when it is tried again.
    """

    correct: bool
    parsed: bool
    detail: str = ""
    settled: bool = True
    answer: str | None = None


class AnswerKind(ABC):
    """One kind of answer. `version` changes whenever what is right does."""

    name: str
    version = 1
    metric = "exact_match"
    #: Of its metrics those that are no shares of right answers, by their names.
    entries: ClassVar[Mapping[str, TaskMetric]] = MappingProxyType({})
    #: The fields of a record that it cannot do without, beside what is asked.
    fields: tuple[str, ...] = ("answer",)

    def ready(self, samples: Sequence[Sample], *, unsafe_code: bool) -> AnswerKind:
        """This kind, found to be able to score these samples here.

        Raises TaskError or SandboxError, as `Task.scored_here` does.
        """
        del samples, unsafe_code
        return self

    @property
    def isolated_by(self) -> str | None:
        """How answers are isolated that are run to be scored; None where nothing is run."""
        return None

    @property
    def conditions(self) -> Mapping[str, Any]:
        """What decides a verdict beside record, answer and version, as JSON values."""
        return {}

    def kept(self, record: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The record as a sample of this name keeps it: with what it lacks, and the kind knows.

        Raises ValueError for one that cannot be read, in words.
        """
        del name
        return dict(record)

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """What is wrong with a record that has the fields; None for one that can be scored."""
        del record
        return None

    @abstractmethod
    def reference(self, record: Mapping[str, Any]) -> Reference | None:
        """The answer of a record, as a model would write it; None where it has none to say."""

    def distractors(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Wrong answers, each in the place of the reference's; none where there are no choices."""
        del record
        return ()

    def gold(self, record: Mapping[str, Any]) -> int:
        """Where the reference stands among the choices."""
        del record
        return 0

    def prompt(self, record: Mapping[str, Any], style: Style) -> str:
        """What is asked where no template says it."""
        del style
        return str(record["prompt"])

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """Strings that end a completion in this style."""
        del style
        return ()

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """The scores of completions, in order."""
        return [self._scored(sample, text) for sample, _, text in answers]

    def verdict(self, record: Mapping[str, Any], text: str) -> AnswerVerdict:
        """What is said of one answer, without the model's reasoning."""
        raise NotImplementedError

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """The share of right answers among a sample's draws, and the common rates."""
        right = sum(bool(score.correct) for score in scores) / len(scores)
        return {self.metric: right, **common_rates(scores)}

    def _scored(self, sample: Sample, text: str) -> Score:
        found = self.verdict(sample.record, without_reasoning(text))
        return Score(
            found.correct,
            found.parsed,
            found.detail,
            tool_call=calls_tool(text),
            settled=found.settled,
            answer=found.answer,
        )
