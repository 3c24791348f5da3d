"""Samples that lm-evaluation-harness logs with `repeats`, as lines that analyses of draws read.

    {"doc_id": 3, "target": "#### 18", "resps": [["... The answer is 18.", ...]], ...}

Every raw response is a draw. Its answer is read as our own tasks read one: the number that it ends
with, by value, where the target ends with one too, or else what it calls its answer, as plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import ReportError
from harness.tasks.answers.plain_text import plain, said
from harness.tasks.number_answers import final_number
from harness.tasks.numbers import named


def lm_eval_records(path: Path) -> Iterator[dict[str, Any]]:
    """The draws in a `samples_TASK_DATE.jsonl`, as samples.jsonl would have them.

    Numbers of tokens are not known, and 0. Of several filters of a document the first counts: they
    share its responses.

    Raises:
        ReportError: a line is not a sample of lm-eval's generation tasks, by its place.
    """
    task = path.stem.removeprefix("samples_").rpartition("_2")[0] or path.stem
    seen: set[str] = set()
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            document = json.loads(line)
            sample, target = str(document["doc_id"]), str(document["target"])
            responses = [each for one in document["resps"] for each in one]
        except (ValueError, KeyError, TypeError) as error:
            raise ReportError(
                f"{path}:{number}: is no logged sample of lm-eval: {error}; log with --log_samples"
            ) from error
        if sample in seen:
            continue
        seen.add(sample)
        if not responses or not all(isinstance(each, str) for each in responses):
            raise ReportError(f"{path}:{number}: resps are no generated texts; nothing was drawn")
        expected = _answer(target, number_wanted=final_number(target) is not None)
        for draw, text in enumerate(responses):
            answer = _answer(text, number_wanted=final_number(target) is not None)
            yield {
                "case": task,
                "sample": sample,
                "draw": draw,
                "completion": text,
                "answer": answer,
                "correct": answer is not None and answer == expected,
                "tokens": 0,
            }


def _answer(text: str, *, number_wanted: bool) -> str | None:
    if number_wanted:
        found = final_number(text)
        return None if found is None else named(found)
    return plain(said(text) or text) or None
