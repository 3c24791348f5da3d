"""The files of both kinds of run: prompts of the assisted one, traces of the agentic one.

Assisted: `{"humaneval_0": {"prompt": "..."}}`. Agentic: `{"humaneval_0": {"message_trace": [...]}}`
(`trace.py`). Other keys of an entry are not read. A file that is something else is refused whole;
an entry that lacks its side is left out, and looking up its key reports that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import TaskError
from harness.files.given import json_value

ASSISTED_FORM = '{"humaneval_0": {"prompt": "..."}, ...}'
AGENTIC_FORM = '{"humaneval_0": {"message_trace": [...]}, ...}'


def read_assisted(path: Path | str) -> dict[str, str]:
    """The user prompt of every assisted sample.

    Raises:
        TaskError: the file cannot be read, has another form, or is one of agentic traces.
    """
    entries = _entries(path, ASSISTED_FORM)
    traced = next((key for key, entry in entries.items() if "message_trace" in entry), None)
    if traced is not None:
        raise TaskError(f"{path}: {traced} has a message_trace; give this file as --agentic")
    prompts = {
        key: entry["prompt"]
        for key, entry in entries.items()
        if isinstance(entry.get("prompt"), str) and entry["prompt"]
    }
    if not prompts:
        raise TaskError(f"{path}: no entry has a prompt; expected {ASSISTED_FORM}")
    return prompts


def read_traces(path: Path | str, fallback: Path | str | None = None) -> dict[str, list[Any]]:
    """The message trace of every agentic sample; those the first file lacks from the second.

    Raises:
        TaskError: a file cannot be read, or holds no trace at all.
    """
    traces: dict[str, list[Any]] = {}
    for file in (path, fallback):
        if file is None:
            continue
        found = {
            key: entry["message_trace"]
            for key, entry in _entries(file, AGENTIC_FORM).items()
            if isinstance(entry.get("message_trace"), list) and entry["message_trace"]
        }
        if not found:
            raise TaskError(f"{file}: no entry has a message_trace; expected {AGENTIC_FORM}")
        traces = found | traces
    return traces


def read_document(path: Path | str, form: str) -> Any:
    """A JSON file's content.

    Raises:
        TaskError: it cannot be read or is not JSON; `form` says what was expected.
    """
    try:
        return json_value(Path(path).expanduser())
    except OSError as error:
        raise TaskError(f"{path}: cannot be read ({error.strerror}); expected {form}") from error
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise TaskError(f"{path}: is not JSON ({first}); expected {form}") from error


def _entries(path: Path | str, form: str) -> Mapping[str, Mapping[str, Any]]:
    document = read_document(path, form)
    if not isinstance(document, dict) or not document:
        raise TaskError(f"{path}: is not an object of samples; expected {form}")
    wrong = next((key for key, entry in document.items() if not isinstance(entry, dict)), None)
    if wrong is not None:
        raise TaskError(f"{path}: {wrong} is not an object; expected {form}")
    return document
