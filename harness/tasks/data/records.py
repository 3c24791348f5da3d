"""Records of a user's own data: read, their fields under canonical names, each with an id.

    {"id": "fr", "prompt": "What is the capital of France?", "answer": "Paris", "level": 1}

A record asks by a `prompt` or by `messages`, unless a template does it. All other fields stay as
they are: templates may use them, and reports leave them alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import FieldError, TaskError
from harness.spec import TaskSettings
from harness.spec.task import RecordFields
from harness.tasks.answers.kind import AnswerKind
from harness.tasks.data_files import each_of, rows_of
from harness.tasks.hub import hub_records
from harness.tasks.turns import faulty_turns, said


@dataclass(frozen=True, eq=False)
class DataRecord:
    """One record: its id, where it was read, and its content."""

    id: str
    place: str
    content: Mapping[str, Any]


def own_records(
    settings: TaskSettings, kind: AnswerKind | None, *, templated: bool, path: str | None = None
) -> list[DataRecord]:
    """All records of a task's data, or of a file like them.

    Args:
        settings: The section of the spec.
        kind: How answers are scored; what it needs must be there.
        templated: Whether a template says what is asked, so that a record need not.
        path: A file that is read in place of the task's own data.

    Raises:
        TaskError: records that cannot be used, by their lines.
        FieldError: a field that the spec names, and no record has.
    """
    first: dict[str, str] = {}

    def usable(place: str, row: dict[str, Any]) -> DataRecord:
        if not first:
            _check_names(settings.fields, row, place)
        content = _canonical(row, settings.fields)
        name = _id(content.get("id"), place, f"{settings.title}/{len(first)}")
        if (same := first.setdefault(name, place)) != place:
            raise TaskError(
                f"{place}: its id {name!r} is that of {same}; give every record one of its own"
            )
        return DataRecord(name, place, _checked(content, name, place, kind, templated=templated))

    return each_of(_rows(settings, path), usable)


def _rows(settings: TaskSettings, path: str | None) -> Iterator[tuple[str, Any]]:
    file = path or settings.path
    if file is not None:
        yield from rows_of(file, f"{settings.fields.prompt} or {settings.fields.messages}")
    else:
        assert settings.dataset is not None, "the form asks for one of the two"
        yield from hub_records(settings.dataset, settings.config, settings.split)


def _check_names(fields: RecordFields, row: Mapping[str, Any], place: str) -> None:
    """Raise FieldError for a name that the spec gives and the first record has not."""
    for field, info in type(fields).model_fields.items():
        named = getattr(fields, field)
        for name in [named] if isinstance(named, str) else named:
            if named != info.default and name not in row:
                raise FieldError(
                    f"task.fields.{field}",
                    f"{place}: there is no field {name!r}; it has {', '.join(row) or 'none'}",
                )


def _canonical(row: Mapping[str, Any], fields: RecordFields) -> dict[str, Any]:
    """The record with its fields under our names, those that have others under both."""
    content = dict(row)
    for field in type(fields).model_fields:
        named = getattr(fields, field)
        if isinstance(named, list):
            content[field] = [row.get(name) for name in named]
        elif named != field and named in row:
            content[field] = row[named]
    if "id" not in content and "task_id" in content:  # as HumanEval calls it
        content["id"] = content["task_id"]
    return content


def _id(value: Any, place: str, otherwise: str) -> str:
    if value is None or value == "":
        return otherwise
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TaskError(f"{place}: its id {value!r} is no text and no number")
    name = str(value)
    if not name.strip() or not name.isprintable():
        raise TaskError(f"{place}: its id {name!r} is blank, or holds characters that do not print")
    return name


def _checked(
    content: dict[str, Any], name: str, place: str, kind: AnswerKind | None, *, templated: bool
) -> Mapping[str, Any]:
    """The content, which asks something and has an answer of this kind."""
    messages = content.get("messages")
    if isinstance(messages, str):  # a cell of CSV
        try:
            messages = json.loads(messages)
        except ValueError:
            raise TaskError(f"{place}: messages are not JSON; write a list") from None
    if isinstance(messages, list):
        content["messages"] = [said(message) for message in messages]
    if not templated:
        problem = _unasked(content)
        if problem is not None:
            raise TaskError(f"{place}: {problem}")
    if kind is None:
        return content
    lacking = [each for each in kind.fields if content.get(each) is None]
    if lacking:
        raise TaskError(
            f"{place}: has no {' and no '.join(lacking)}, which answer: {kind.name} needs (it has "
            f"{', '.join(content)}); name the field by task.fields, or leave task.answer out"
        )
    try:
        content = kind.kept(content, name)
        problem = kind.fault(content)
    except ValueError as error:
        problem = str(error)
    if problem is not None:
        raise TaskError(f"{place}: {problem}")
    return content


def _unasked(content: Mapping[str, Any]) -> str | None:
    """What is wrong with what a record asks; None where it can be asked."""
    prompt, messages = content.get("prompt"), content.get("messages")
    if prompt is not None and messages is not None:
        return (
            "has a prompt and messages; keep one of them, or say by prompt.template what is asked"
        )
    if messages is not None:
        return faulty_turns(messages) or (
            "its last message is the assistant's; end with the one that is to be answered"
            if messages[-1]["role"] == "assistant"
            else None
        )
    if isinstance(prompt, str):
        return None
    if prompt is not None:
        return f"its prompt {str(prompt)[:60]} is not a text; for chat turns, write messages"
    return (
        f"has neither prompt nor messages (it has {', '.join(content) or 'no field'}); name the "
        "field by task.fields, or write a prompt.template"
    )
