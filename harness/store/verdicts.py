"""Verdicts that stay: equal answers to a sample are judged once, by this run and by later ones.

- A verdict's key is the SHA-256 of all that decides it: the sample's record, the answer, the
  task's class, its version and those of its bases (how answers are read is theirs), and its
  conditions (isolation, limits, versions). Nothing about the model is in it.
- In the completion store lie only the verdicts that are settled, and only of tasks whose class
  states a `version` of its own: one that inherits it says nothing of its own scorer. Within a run
  every verdict holds for all equal answers.
- A fresh store finds no verdict of other runs, as it finds no completion; `rescore` has no store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from harness.errors import StoreError
from harness.store.completions import CompletionStore, key_of
from harness.tasks.base import Sample, Score, Style, Task


class Verdicts:
    """Scores answers, each that is another one once; without a store, for as long as it lives."""

    def __init__(self, store: CompletionStore | None = None) -> None:
        self._store = store
        self._known: dict[str, Score] = {}
        self._criteria: dict[Task, str] = {}
        self._records: dict[Sample, str] = {}

    def score(self, task: Task, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """The scores of answers, in order, as `task.score` gives them; raises what it raises."""
        keys = [self._key(task, *answer) for answer in answers]
        stays = "version" in vars(type(task))
        missing: dict[str, tuple[Sample, Style, str]] = {}
        for key, answer in zip(keys, answers, strict=True):
            if key not in missing and not self._find(key, look=stays):
                missing[key] = answer
        made = task.score(list(missing.values())) if missing else []
        for key, score in zip(missing, made, strict=True):
            self._known[key] = score
            if stays and score.settled and not score.doubt:
                self._keep(key, score, task)
        return [self._known[key] for key in keys]

    def _find(self, key: str, *, look: bool) -> bool:
        """Whether a verdict is known, or lies in the store."""
        if key not in self._known and look and self._store is not None:
            found = self._store.value(key, score_from)
            if found is not None:
                self._known[key] = found
        return key in self._known

    def _keep(self, key: str, score: Score, task: Task) -> None:
        """Put a verdict into the store; where nothing can be written, the next run judges again."""
        if self._store is not None:
            with suppress(StoreError):
                self._store.put_value(key, score_json(score), "verdict", named(task))

    def _key(self, task: Task, sample: Sample, style: Style, text: str) -> str:
        if task not in self._criteria:
            own = type(task)
            stated = [vars(each)["version"] for each in own.__mro__ if "version" in vars(each)]
            criteria = [own.__module__, own.__qualname__, stated, dict(task.conditions)]
            if own.names_answers:  # verdicts of earlier versions do not say the answer
                criteria.append("answer")
            self._criteria[task] = _digest(criteria)
        if sample not in self._records:
            self._records[sample] = _digest([sample.id, dict(sample.record)])
        content = [self._criteria[task], self._records[sample], task.judged(sample, style, text)]
        return key_of("verdict", json.dumps(content, default=repr))


def named(task: Task) -> str:
    """Whose verdicts a record of the store holds."""
    return f"{task.name}, version {task.version}"


def score_json(score: Score) -> list[Any]:
    """A score as JSON values."""
    return [score.correct, score.parsed, score.detail, score.tool_call, score.answer]


def score_from(value: Any) -> Score:
    """The score that `score_json` described; raises ValueError for anything else."""
    kinds = [bool, bool, str, bool]
    if not isinstance(value, list) or [type(each) for each in value[:4]] != kinds:
        raise ValueError("no verdict")
    answer = value[4] if len(value) == 5 else None  # earlier versions kept none
    if len(value) > 5 or not isinstance(answer, str | None):
        raise ValueError("no verdict")
    correct, parsed, detail, tool_call = value[:4]
    return Score(correct, parsed, detail, tool_call, answer=answer)


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
