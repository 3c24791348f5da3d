"""What a comparison of two models comes to, from its evidence and from what judges answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue

from harness.engines.contract import Asked, Completion, Reply, Request
from harness.errors import TaskError
from harness.measure.diffing.agents import Investigation
from harness.measure.diffing.evidence import Evidence
from harness.measure.diffing.judging import ModelAsker
from harness.measure.diffing.methods import lists_of
from harness.measure.diffing.relevance import Facts
from harness.measure.diffing.section import DiffSettings, diff_of
from harness.measure.diffing.steered import SteeredPosition
from harness.measure.diffing.texts import Texts, texts_of
from harness.measure.diffing.verdict import (
    PlaceLabels,
    Places,
    evaluation,
    places_of,
    values_of,
    verdict_on,
)
from harness.measure.recounted import Apart, CaseFiles, Recounted, unequal
from harness.runs.diffing_values import (
    AGENTS,
    EVALUATION,
    EVIDENCE,
    STEERING,
    agent_numbers,
    facts_of,
    sample_values,
    steered_numbers,
)
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult

T = TypeVar("T")


def recounted(
    case: PlannedCase, result: CaseResult, files: CaseFiles, tokenizer: Callable[[], Any]
) -> Recounted:
    """Labels, percentages and the file of them, from the listed tokens and the judges' answers.

    What judges cost is as it is stored: their answers are there as text.

    Raises:
        TaskError: files are missing, or are none of such a comparison.
        FieldError: its texts, or what they are about, are not at hand.
    """
    del result
    settings, words = diff_of(case.experiment), tokenizer()
    evidence = _read(files.folder / EVIDENCE, Evidence.of)
    texts = texts_of(
        words,
        case.task,
        case.experiment.prompt.style,
        count=settings.samples,
        length=settings.positions,
        seed=case.experiment.seed,
    )
    places = places_of(evidence, lists_of(settings, texts), settings.candidates)
    columns: dict[str, list[JsonValue]] = {}
    numbers: dict[str, float] = {}
    made: dict[str, str | bytes] = {}
    facts = facts_of(settings)
    if facts is not None:
        stored = _read(files.folder / EVALUATION, json.loads)
        verdict = _judged_again(stored, places, facts, settings)
        chance = facts.chance([words.decode([token]) for token in range(len(words))])
        columns |= values_of(places, facts, verdict, chance)
        made[EVALUATION] = evaluation(places, facts, verdict, settings)
    whole = settings.mode != "plotting"  # which leaves out what is not stored
    if settings.steered is not None and (whole or (files.folder / STEERING).is_file()):
        told = _read(files.folder / STEERING, _each(SteeredPosition))
        numbers |= steered_numbers(told, facts)
    agents = settings.mode != "diffing" and (whole or (files.folder / AGENTS).is_file())
    if settings.agent is not None and agents and facts is not None:
        numbers |= agent_numbers(_read(files.folder / AGENTS, _each(Investigation)))
    return Recounted(
        sample_values(case.experiment, places, columns, numbers),
        made,
        [*_told(evidence, texts, settings, words)],
    )


def _told(evidence: Evidence, texts: Texts, settings: DiffSettings, words: Any) -> Iterator[Apart]:
    """What evidence says that can be known without the models."""
    yield from unequal(f"{EVIDENCE}: method", evidence.method, settings.method)
    yield from unequal(f"{EVIDENCE}: texts", evidence.texts, len(texts))
    yield from unequal(f"{EVIDENCE}: dropped", evidence.dropped, texts.dropped)
    for number, each in enumerate(evidence.candidates):
        where = f"{EVIDENCE}: candidates[{number}].text"
        yield from unequal(where, each.text, str(words.decode([each.token])))


def _judged_again(
    stored: Mapping[str, Any], places: Places, facts: Facts, settings: DiffSettings
) -> PlaceLabels:
    """The labels that the judges' answers come to, in the order in which they were given."""
    try:
        texts = [str(each["answer"]) for each in stored["answers"]]
        cost = int(stored["judge_tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise TaskError(f"{EVALUATION}: is none of a comparison: {error!r}") from error
    said = _Said(iter(texts))
    judges = [_Replayed(judge.called, None, said) for judge in settings.judges]
    return replace(verdict_on(places, facts, settings, judges), tokens=cost)


@dataclass
class _Said:
    """Answers that were given, to whoever asks next."""

    texts: Iterator[str]

    def __call__(self, asked: Sequence[Asked]) -> list[Reply]:
        found: list[Reply] = []
        for _ in asked:
            text = next(self.texts, None)
            if text is None:
                raise TaskError(f"{EVALUATION}: has fewer answers than its judges were asked for")
            found.append(Completion((), text, "stop"))
        return found


class _Replayed(ModelAsker):
    """A judge whose answers are known."""

    def requests(
        self, conversations: Sequence[Any], *, temperature: float, seed: int, max_new_tokens: int
    ) -> list[Request]:
        """One for each conversation, which nobody reads."""
        del temperature, seed
        return [Request((0,), max_new_tokens) for _ in conversations]


def _read(path: Path, read: Callable[[str], T]) -> T:
    try:
        return read(path.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{path}: is none of a comparison: {error!r}") from error


def _each(kind: Callable[..., T]) -> Callable[[str], list[T]]:
    return lambda text: [kind(**each) for each in json.loads(text)]
