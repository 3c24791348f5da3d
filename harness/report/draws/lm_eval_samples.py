"""What lm-evaluation-harness has logged with `repeats`, as lines that analyses of draws read.

    {"doc_id": 3, "target": "#### 18", "resps": [["... The answer is 18.", ...]], ...}

Every raw response is a draw. Its answer is read as our own tasks read one: the number that it ends
with, by value, where the target ends with one too, or else what it calls its answer, as plain text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import ReportError
from harness.report.foreign.lm_eval_files import task_of, texts_of
from harness.report.foreign.reading import documents, field_of
from harness.tasks.answers.alike import answer_alike


def lm_eval_records(file: Path) -> Iterator[dict[str, Any]]:
    """The draws in a `samples_TASK_DATE.jsonl`, as samples.jsonl would have them.

    Numbers of tokens are not known, and 0. Of several filters of a document the first counts: they
    share its responses.

    Raises:
        ReportError: a line is not a sample of lm-eval's generation tasks, by its place.
    """
    seen: set[str] = set()
    for number, line in documents(file):
        place = f"{file}:{number}"
        sample = str(field_of(line, "doc_id", place))
        target = str(field_of(line, "target", place))
        if sample in seen:
            continue
        seen.add(sample)
        texts = list(texts_of(line))
        if not texts:
            raise ReportError(f"{place}: resps are no generated texts; nothing was drawn")
        expected = answer_alike(target, target)
        for draw, text in enumerate(texts):
            answer = answer_alike(text, target)
            yield {
                "case": task_of(file),
                "sample": sample,
                "draw": draw,
                "completion": text,
                "answer": answer,
                "correct": answer is not None and answer == expected,
                "tokens": 0,
            }
