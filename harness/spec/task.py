"""The section `task` of a spec: a registered task, prompts of one's own as data, or lm-eval's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from harness import registry
from harness.spec.registered import registered
from harness.spec.settings import DatasetReference, Settings, SpecPath, TaskReference

#: The seed by which lm-eval draws worked examples unless it is told another.
_FEWSHOT_SEED = 1234
#: Fields that are left out of what is written where they say nothing.
_YOUNG = frozenset({"lm_eval"})


class RecordFields(Settings):
    """What the fields of one's own records are called, where they have other names."""

    prompt: str = "prompt"
    """The field that holds what is asked, a text; prompt by default."""
    messages: str = "messages"
    """The field that holds what is asked as chat turns, a list of {role, content}; messages by
    default. A record has this one or a prompt."""
    answer: str = "answer"
    """The field that holds the gold answer; answer by default."""
    choices: str | Annotated[list[str], Field(min_length=2)] = "choices"
    """The field that holds the answers to choose from, a list of texts; or a list of fields that
    hold one each, such as [sentence_good, sentence_bad]. choices by default."""
    id: str = "id"
    """The field that names a record; id by default. Records without one are numbered from 0."""


class ShotSettings(Settings):
    """Worked examples in front of every prompt, other ones for each sample."""

    n: NonNegativeInt
    """How many examples are shown; 0 for none, where a task of lm-eval's has some of its own."""
    path: SpecPath | None = None
    """A file of records like the task's own, which the examples are drawn from; relative to the
    folder of the spec. The task's other records when left out."""
    seed: NonNegativeInt = 0
    """The seed by which examples are drawn; 0 by default, and 1234 for a task of lm-eval's, as
    there. A sample's examples depend on this and on its id."""
    answer: str | None = None
    """What an example answers: a Jinja template over its record, such as "{{ solution }}". Its gold
    answer when left out."""


class TaskSettings(Settings):
    """What is asked: a registered task by its name, one's own data by path or dataset, or a task of
    lm-evaluation-harness by lm_eval.
    """

    name: str | None = None
    """The registered task whose samples are asked, such as micro_humaneval, micro_gsm8k, humaneval
    or gsm8k; `titrate list tasks` has all. Left out where the data are one's own."""
    lm_eval: TaskReference | None = None
    """A task or group of lm-evaluation-harness that is asked and scored as there (docs/lm_eval.md),
    by its name, such as hellaswag, or a YAML file of one (./mine.yaml). Left out for all others."""
    limit: PositiveInt | None = None
    """How many samples are used, the first ones in the task's order. All of them when left out."""
    path: SpecPath | None = None
    """The data file that is read (.jsonl, .jsonl.gz, .json, .csv or .parquet), relative to the
    spec's folder. With a name it is in that task's own format, which has its usual source when left
    out; without one its records are asked as they are (docs/own_tasks.md)."""
    only: SpecPath | None = None
    """Only the samples are used whose ids a JSON file lists, in this order; relative to the folder
    of the spec. All samples when left out."""
    dataset: DatasetReference | None = None
    """A Hugging Face data set whose records are asked: its id, or a folder (./data). Left out where
    there is a path."""
    config: str | None = None
    """The configuration of the data set that is read, by its name. The only one, or its default, is
    read when left out."""
    split: str | None = None
    """The split of the data set that is asked, by its name, such as test. The only one is asked
    when left out."""
    label: (
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+/-]*$", max_length=100)] | None
    ) = None
    """What one's own data are called in tables, reports and sample ids. The name of the file, or
    the data set's id, when left out."""
    fields: RecordFields = RecordFields()
    """What the fields of one's own records are called, where they are not prompt, answer, ..."""
    answer: Annotated[str, registered(registry.answers)] | None = None
    """How completions are held against the gold answers of one's own records: exact, number,
    choice, regex, code or math. They are not scored when left out; name `metrics` then."""
    pattern: str | None = None
    """A regular expression whose last match in a completion is its answer: the first group, or all
    of it. When left out, what counts of a completion is up to the kind of answer."""
    shots: ShotSettings | None = None
    """Worked examples that stand in front of every prompt of one's own data. None when left out."""

    @property
    def title(self) -> str:
        """What the task is called: its registered name, or that of one's own data."""
        if self.name is not None:
            return self.name
        if self.lm_eval is not None:
            return Path(self.lm_eval).stem if self.lm_eval.startswith("/") else self.lm_eval
        if self.label is not None:
            return self.label
        source = self.path or self.dataset or ""
        return Path(source).name.partition(".")[0] if source.startswith("/") else source

    @property
    def own(self) -> bool:
        """Whether the data are one's own: no registered task says how they are asked."""
        return self.name is None and self.lm_eval is None

    @model_serializer(mode="wrap")
    def _without_lm_eval(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave it out where it is not said: hashes of earlier settings stay."""
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if value or name not in _YOUNG}

    @model_validator(mode="before")
    @classmethod
    def _seed_of_lm_eval(cls, values: Any) -> Any:
        """Draw a task of lm-eval's its worked examples as lm-eval does, unless a seed is said."""
        if not isinstance(values, Mapping):
            return values
        shots, named = values.get("shots"), values.get("lm_eval")
        if named is None or not isinstance(shots, Mapping):
            return values
        return {**values, "shots": {"seed": _FEWSHOT_SEED, **shots}}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.lm_eval is not None:
            self._of_lm_eval()
            return self
        if self.name is None and (self.path is None) == (self.dataset is None):
            given = "both are given" if self.path else "neither is given"
            raise ValueError(
                f"{given}: a task is a registered `name` (micro_gsm8k), or one's own data by `path`"
                " (prompts.jsonl) or `dataset` (owner/name)"
            )
        kept = {"name", "limit", "path", "only"}
        used = [each for each in type(self).model_fields if getattr(self, each) is not None]
        for field in used:
            default = type(self).model_fields[field].default
            if self.name is not None and field not in kept and getattr(self, field) != default:
                raise ValueError(
                    f"{field} is for one's own data, and {self.name} knows its own; leave it out, "
                    "or leave `name` out"
                )
        for field in ("config", "split"):
            if getattr(self, field) is not None and self.dataset is None:
                raise ValueError(f"{field} is of a `dataset`, and there is none; leave it out")
        if self.pattern is not None and self.answer is None:
            raise ValueError("pattern finds an answer to score, and no `answer` says how; add one")
        return self

    def _of_lm_eval(self) -> None:
        """Refuse what a task of lm-eval's has no use for."""
        kept = {"lm_eval", "limit", "only", "shots"}
        for field, info in type(self).model_fields.items():
            if field not in kept and getattr(self, field) != info.default:
                raise ValueError(
                    f"{field} means nothing to a task of lm-eval's, whose YAML says what it is; "
                    "leave it out, or leave `lm_eval` out"
                )
        for field in ("path", "answer"):
            if self.shots is not None and getattr(self.shots, field) is not None:
                raise ValueError(
                    f"shots.{field} means nothing to a task of lm-eval's, whose YAML says it; "
                    "leave it out"
                )
