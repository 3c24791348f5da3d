"""Makes the two texts of every sample: from a study's own files, or from a task's two styles.

Both texts of a pair end in the same continuation, the reference answer in its fence, and both
carry the marker `#Function definition and docstring:` above the same function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from harness.errors import TaskError
from harness.tasks.base import Conversation, Task
from harness.tasks.conversations import CODE_MARKER, code_reference, render_text
from harness.tasks.pairs.pair import TextPair, Unpaired, pair_key
from harness.tasks.pairs.trace import conversation

_PLAIN_MARKER = CODE_MARKER.removeprefix("#")


@dataclass(frozen=True)
class Built:
    """The pairs that could be made, and why the others could not."""

    pairs: tuple[TextPair, ...]
    problems: tuple[Unpaired, ...]


def pairs_from_files(
    records: Sequence[Mapping[str, Any]],
    assisted: Mapping[str, str],
    traces: Mapping[str, Sequence[Any]],
    tokenizer: Any,
    *,
    skip_missing: bool = False,
    day: date | None = None,
) -> Built:
    """Pair the records of a HumanEval file with their assisted prompts and agentic traces.

    `day` is that of all conversations, for chat templates that print one; today's without it.

    Raises:
        TaskError: a record has no assisted prompt or no trace, unless these are to be skipped.
    """
    pairs: list[TextPair] = []
    problems = list(_unknown(records, assisted, traces))
    named: dict[str, str] = {}
    for record in records:
        key = pair_key(record["task_id"])
        if (other := named.setdefault(key, record["task_id"])) != record["task_id"]:
            problems.append(Unpaired(key, f"{record['task_id']} has the key of {other}"))
            continue
        lacking = [
            what
            for what, side in (("assisted prompt", assisted), ("agentic message_trace", traces))
            if key not in side
        ]
        if lacking:
            if not skip_missing:
                raise TaskError(
                    f"{key}: the files hold no {' and no '.join(lacking)} for {record['task_id']}; "
                    "add it, or leave such samples out with --skip-missing"
                )
            problems.append(Unpaired(key, f"no {' and no '.join(lacking)}", missing=True))
            continue
        try:
            pairs.append(
                TextPair(
                    key,
                    assisted=_assisted(tokenizer, assisted[key], record, day),
                    agentic=render_text(tokenizer, replace(conversation(traces[key]), date=day))
                    + _answer(record),
                )
            )
        except TaskError as error:
            problems.append(Unpaired(key, str(error)))
    return Built(tuple(pairs), tuple(problems))


def pairs_from_task(task: Task, tokenizer: Any) -> Built:
    """Pair the assisted and the agentic prompt of every sample of a task."""
    pairs: list[TextPair] = []
    problems: list[Unpaired] = []
    named: dict[str, str] = {}
    for sample in task.samples:
        key = pair_key(sample.id)
        if (other := named.setdefault(key, sample.id)) != sample.id:
            problems.append(Unpaired(key, f"{sample.id} has the key of {other}"))
            continue
        answer = task.reference(sample).text
        try:
            texts = {}
            for style in ("assisted", "agentic"):
                prompt = task.prompt(sample, style)
                assert isinstance(prompt, Conversation)
                texts[style] = render_text(tokenizer, prompt)
        except TaskError as error:
            problems.append(Unpaired(key, str(error)))
            continue
        if CODE_MARKER not in texts["assisted"]:
            problems.append(Unpaired(key, _no_marker(f"the assisted prompt of {task.name}")))
            continue
        pairs.append(
            TextPair(key, texts["assisted"] + answer, texts["agentic"] + answer, _shared(texts))
        )
    return Built(tuple(pairs), tuple(problems))


def _assisted(tokenizer: Any, prompt: str, record: Mapping[str, Any], day: date | None) -> str:
    if CODE_MARKER not in prompt:
        if _PLAIN_MARKER not in prompt:
            raise TaskError(_no_marker("the assisted prompt"))
        prompt = prompt.replace(_PLAIN_MARKER, CODE_MARKER, 1)
    turn = Conversation(({"role": "user", "content": prompt},), date=day)
    return render_text(tokenizer, turn) + _answer(record)


def _answer(record: Mapping[str, Any]) -> str:
    return code_reference(record["canonical_solution"]).text


def _shared(texts: Mapping[str, str]) -> bool:
    """Whether the assisted request, up to the marker, stands in the agentic text as well."""
    request, _, _ = texts["assisted"].partition(CODE_MARKER)
    return request in texts["agentic"]


def _no_marker(where: str) -> str:
    return f"the marker {_PLAIN_MARKER.strip()!r} is missing in {where}"


def _unknown(records: Sequence[Mapping[str, Any]], *sides: Mapping[str, Any]) -> Iterator[Unpaired]:
    """Keys of the files that no record has."""
    known = {pair_key(record["task_id"]) for record in records}
    for key in sorted({key for side in sides for key in side} - known):
        yield Unpaired(key, "no record of the data file has this key")
