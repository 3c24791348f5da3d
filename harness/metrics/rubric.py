r"""A rubric: a judge in a Markdown file, with what its answers mean in front, and a template below.

    ---
    version: 1
    scale: {least: 1, greatest: 5}        # or options: {good: 1, bad: 0}
    answer: 'SCORE:\s*(\d+)'              # the last match counts, by its first group
    wordings: [helpful, useful]           # other words for other rotations
    ---
    How {{ wording }} is this answer to "{{ record.question }}"?

    {{ completion }}

    End with a line `SCORE: n`, with n from {{ scale.least }} to {{ scale.greatest }}.

The template (Jinja, in its sandbox) sees `completion`, `prompt`, `record`, `wording`, `options` (in
the rotation's order), `scale` and `rotation`; what it names and is not there is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, ValidationError, model_validator

from harness.errors import FieldError, MetricError, SpecError
from harness.metrics.entry import Answer, Seen
from harness.metrics.judging import Level
from harness.spec.complaints import describe
from harness.spec.document import read_value
from harness.spec.settings import Settings
from harness.tasks.base import Conversation, Message
from harness.tasks.data.templates import said
from harness.tasks.reasoning import without_reasoning

_FENCE = "---"
#: Seconds for which a pattern may look through an answer; some patterns never end.
_LIMIT = 1.0


class Scale(Settings):
    """Numbers from one to another."""

    least: float
    """The least number that an answer may give."""
    greatest: float
    """The greatest number that an answer may give."""


class Heading(Settings):
    """What stands in front of a rubric's template."""

    version: int | str
    """Which version of the rubric this is, in your own numbers or words."""
    scale: Scale | None = None
    """The numbers that an answer may give. It gives an option when left out."""
    options: dict[str, float] | None = Field(default=None, min_length=2)
    """What an answer may name, with the value of each. It gives a number when left out."""
    answer: str
    """A pattern (library regex) whose first group is the number, or the option, in an answer."""
    system: str | None = None
    """What the system message says. There is none when left out."""
    wordings: list[str] = []
    """Words that mean the same, one for each rotation; none by default."""

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> Self:
        if (self.scale is None) == (self.options is None):
            raise ValueError("scale or options says what an answer may be; give one of them")
        if self.scale is not None and self.scale.least >= self.scale.greatest:
            raise ValueError("scale.least must be below scale.greatest")
        return self


@dataclass(frozen=True)
class Rubric:
    """A rubric that was read; a judge, as every (`judging.py`)."""

    file: str
    heading: Heading
    template: Any
    pattern: Any

    @classmethod
    def of(cls, file: str) -> Rubric:
        """Read a file. Raises `FieldError`, of the field `rubric`, for one that is no rubric."""
        try:
            changed = Path(file).stat().st_mtime_ns
        except OSError as error:
            raise FieldError("rubric", f"{file}: cannot be read: {error.strerror}") from error
        return _read(file, changed)

    @property
    def rotations(self) -> int:
        """As many as it has wordings, or orders of its options."""
        return max(1, len(self.heading.wordings), len(self.heading.options or ()))

    @property
    def level(self) -> Level:
        """Numbers of a scale have distances."""
        return "nominal" if self.heading.options else "interval"

    def conversation(self, seen: Seen, answer: Answer, rotation: int) -> Conversation:
        """As every judge."""
        options, wordings = list(self.heading.options or ()), self.heading.wordings
        turned = rotation % len(options) if options else 0
        try:
            text = self.template.render(
                completion=answer.text,
                prompt=seen.prompt,
                record=seen.record,
                rotation=rotation,
                wording=wordings[rotation % len(wordings)] if wordings else "",
                options=options[turned:] + options[:turned],
                scale=self.heading.scale,
            )
        except Exception as error:  # whatever a user's expression raises on a user's value
            problem = str(error).rstrip(".") or type(error).__name__
            raise MetricError(f"{self.file}: {problem}, for sample {seen.id}") from error
        asked: tuple[Message, ...] = ({"role": "user", "content": text},)
        if self.heading.system is not None:
            asked = ({"role": "system", "content": self.heading.system}, *asked)
        return Conversation(asked)

    def value(self, text: str) -> float | None:
        """As every judge; what a model thinks aloud is no answer."""
        try:
            found = list(self.pattern.finditer(without_reasoning(text), timeout=_LIMIT))
        except TimeoutError:
            return None
        named = (found[-1][1] or "").strip() if found else ""
        options, scale = self.heading.options, self.heading.scale
        if options is not None:
            values = {name.casefold(): value for name, value in options.items()}
            return values.get(named.casefold())
        assert scale is not None, "a heading has one of the two"
        try:
            number = float(named)
        except ValueError:
            return None
        return number if scale.least <= number <= scale.greatest else None


@lru_cache(maxsize=32)
def _read(file: str, changed: int) -> Rubric:
    del changed  # a file that was written again is read again
    import regex

    head, body, skipped = _parts(file)
    try:
        heading = Heading.model_validate(read_value(head, f"{file}: its heading"))
        pattern = regex.compile(heading.answer, regex.IGNORECASE)
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=said)
        template = environment.from_string(body)
    except ValidationError as error:
        where, problem = describe(error.errors()[0], Heading)
        raise FieldError("rubric", f"{file} {where or 'heading'}: {problem}") from None
    except SpecError as error:
        raise FieldError("rubric", str(error)) from None
    except regex.error as error:
        raise FieldError("rubric", f"{file} answer: is not a pattern: {error}") from error
    except RecursionError:
        raise FieldError("rubric", f"{file}: its template is nested too deep") from None
    except TemplateSyntaxError as error:
        line_number = skipped + error.lineno
        raise FieldError("rubric", f"{file}:{line_number}: {error.message}") from error
    if not pattern.groups:
        raise FieldError(
            "rubric", f"{file} answer: {heading.answer!r} has no group; put the value in (...)"
        )
    return Rubric(file, heading, template, pattern)


def _parts(file: str) -> tuple[str, str, int]:
    """The heading, the template, and how many lines stand in front of the template."""
    try:
        lines = Path(file).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FieldError("rubric", f"{file}: cannot be read as text: {error}") from error
    fences = [number for number, line in enumerate(lines) if line.rstrip() == _FENCE]
    if len(fences) < 2 or fences[0] != 0:
        raise FieldError(
            "rubric",
            f"{file}: has no heading; begin it with a line {_FENCE}, version, scale or options, "
            f"answer, and a line {_FENCE}",
        )
    return _joined(lines[1 : fences[1]]), _joined(lines[fences[1] + 1 :]), fences[1] + 1


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines)
