"""Runs a case that compares two models: texts in, tokens that speak for a difference, their labels.

Evidence is kept below `.titrate/diff/<fingerprint>/` with the engines, the intervention, the texts
and the settings in the fingerprint, so that nothing is read twice; what is said of it is not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import JsonValue

from harness.files.atomic import write_file
from harness.interventions.base import Intervention
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.judging import Asker, Judged, judged
from harness.measure.diffing.methods import METHODS, lists_of
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.relevance import Facts, Label, agreed
from harness.measure.diffing.section import DiffSettings, diff_of
from harness.measure.diffing.texts import Texts, texts_of
from harness.metrics.diff import METRICS
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.runs.generated import result_of
from harness.runs.plan import PlannedCase
from harness.runs.readers import Readers
from harness.store.results import CaseResult

#: Rises when evidence is found otherwise than before.
_VERSION = 1
_EVIDENCE = "evidence.json"


def measured_case(
    readers: Readers,
    case: PlannedCase,
    intervention: Intervention | None,
    root: Path,
    measured: Callable[[float], None],
) -> CaseResult:
    """Read the case's two models and return its result."""
    started = time.perf_counter()
    experiment, settings = case.experiment, diff_of(case.experiment)
    engines = readers.engines
    pair = Pair(engines[""], engines[settings.tuned or ""], intervention)
    pair.check()
    texts = texts_of(
        engines[""].tokenizer,
        case.task,
        experiment.prompt.style,
        count=settings.samples,
        length=settings.positions,
        seed=experiment.seed,
    )
    folder = root / _fingerprint(pair, texts, settings)
    evidence = _evidence(pair, texts, settings, case, folder)
    measured(case.task.size)
    places = _places(evidence, lists_of(settings, texts), settings.candidates)
    facts = facts_of(settings)
    verdict = None if facts is None else _judged(readers, settings, facts, places)
    values = _values(pair, settings, facts, places, verdict)
    told = folder / (verdict.key(settings) if verdict else "evidence")
    _write(told / _EVIDENCE, evidence.text())
    if verdict is not None and facts is not None:
        _write(told / "evaluation.json", _evaluation(facts, places, verdict, settings))
    result = result_of(
        case,
        "complete",
        sample_metrics=values,
        intervention=intervention,
        warnings=tuple(_warnings(evidence, texts, settings, pair)),
    )
    return replace(
        result,
        task_size=len(places),
        artefacts=str(told.absolute()),
        seconds=time.perf_counter() - started,
    )


def facts_of(settings: DiffSettings) -> Facts | None:
    """What is relevant, None where nothing says so."""
    if not settings.relevant:
        return None
    words = frozenset(map(str.casefold, settings.relevant))
    return Facts("", f"It is about {', '.join(settings.relevant)}.", words)


@dataclass(frozen=True)
class Verdict:
    """What is said of the candidates that stand in the places.

    ratings, labels: of every place, by rater and agreed; IRRELEVANT of an empty one.
    """

    ratings: list[list[Label]]
    labels: list[Label]
    raters: list[str]
    unknown: list[float]
    tokens: int
    answers: list[Mapping[str, Any]]
    prompt: str

    def key(self, settings: DiffSettings) -> str:
        """Tells verdicts on the same evidence apart."""
        said = [self.prompt, self.labels, self.ratings, settings.candidates]
        return _hashed(said)


def _evidence(
    pair: Pair, texts: Texts, settings: DiffSettings, case: PlannedCase, folder: Path
) -> Evidence:
    """What the method finds, read again where it was found before."""
    if pair.same:
        nothing = len(texts) * len(texts.labels)
        return Evidence(settings.method, (), nothing, nothing, len(texts), texts.dropped)
    kept = folder / _EVIDENCE
    if kept.is_file():
        # What cannot be read is read anew from the models.
        with suppress(ValueError, KeyError, TypeError):
            return Evidence.of(kept.read_text("utf-8"))
    layers, _ = hidden_shape(load_config(case.experiment.model))
    found = METHODS[settings.method](pair, texts, settings, int(settings.layer * (layers - 1)))
    _write(kept, found.text())
    return found


def _places(evidence: Evidence, lists: Sequence[str], count: int) -> dict[str, Candidate | None]:
    """What stands in every place of every list, by the place's name."""
    groups = evidence.groups
    return {
        f"{name or evidence.method} {rank + 1:0{len(str(count))}d}": (
            groups[name][rank] if name in groups and rank < len(groups[name]) else None
        )
        for name in lists
        for rank in range(count)
    }


def _judged(
    readers: Readers,
    settings: DiffSettings,
    facts: Facts,
    places: Mapping[str, Candidate | None],
) -> Verdict:
    """Ask every judge, or else the facts themselves."""
    held = [each for each in places.values() if each is not None]
    words = [each.text for each in held]
    found = [
        judged(
            words,
            facts,
            judge,
            Asker(judge.called, readers.engines[judge.called].tokenizer, readers.ask),
            f"{judge.model} {number}",
        )
        for number, judge in enumerate(settings.judges, start=1)
    ] or [Judged([[facts.label(word)] for word in words], ["facts"])]
    joined = zip(*(each.ratings for each in found), strict=True)
    rows = iter([list(chain.from_iterable(row)) for row in joined])
    unknown = iter(
        [fmean(shares) for shares in zip(*(each.unknown for each in found), strict=True)]
    )
    raters = [name for each in found for name in each.raters]
    nothing: list[Label] = [0.0] * max(len(raters), 1)
    ratings = [nothing if each is None else next(rows) for each in places.values()]
    return Verdict(
        ratings,
        [agreed(row, settings.agreement) for row in ratings],
        raters,
        [0.0 if each is None else next(unknown) for each in places.values()],
        sum(each.tokens for each in found),
        [answer for each in found for answer in each.answers],
        ", ".join(dict.fromkeys(each.prompt for each in found if each.prompt)),
    )


def _values(
    pair: Pair,
    settings: DiffSettings,
    facts: Facts | None,
    places: Mapping[str, Candidate | None],
    verdict: Verdict | None,
) -> dict[str, dict[str, JsonValue]]:
    """Every metric of every place."""
    weights = [0.0 if each is None else each.weight for each in places.values()]
    columns: dict[str, list[JsonValue]] = {
        "found": [float(each is not None) for each in places.values()]
    }
    if facts is not None and verdict is not None:
        words = ["" if each is None else each.text for each in places.values()]
        columns["relevance"] = [[float(each == 1) for each in row] for row in verdict.ratings]
        columns["weighted_relevance"] = [
            [weight * float(label == 1), weight]
            for weight, label in zip(weights, verdict.labels, strict=True)
        ]
        columns["trivial"] = [facts.trivial(word) if word else 0.0 for word in words]
        columns["chance"] = [_chance(pair, facts)] * len(places)
        if settings.judges:
            columns["agreed_relevance"] = [float(each == 1) for each in verdict.labels]
            columns["unknown"] = list(verdict.unknown)
            columns["judge_tokens"] = [verdict.tokens / len(places)] * len(places)
        if len(verdict.raters) > 1:
            columns["alpha"] = [list(row) for row in verdict.ratings]
    names = [entry.name for entry in METRICS if entry.name in columns]
    return {name: dict(zip(places, columns[name], strict=True)) for name in names}


def _chance(pair: Pair, facts: Facts) -> float:
    """The share of relevant tokens in the vocabulary, by the facts."""
    tokenizer = pair.base.tokenizer
    return facts.chance(tokenizer.batch_decode([[token] for token in range(len(tokenizer))]))


def _evaluation(
    facts: Facts,
    places: Mapping[str, Candidate | None],
    verdict: Verdict,
    settings: DiffSettings,
) -> str:
    """What was judged, by whom, as JSON."""
    said = {0.0: "IRRELEVANT", 1.0: "RELEVANT", None: "UNKNOWN"}
    document = {
        "organism": facts.name,
        "prompt": verdict.prompt,
        "agreement": settings.agreement,
        "raters": verdict.raters,
        "judge_tokens": verdict.tokens,
        "places": [
            {
                "place": place,
                "token": candidate.token,
                "text": candidate.text,
                "weight": candidate.weight,
                "label": said[label],
                "ratings": [said[each] for each in row],
                "trivial": bool(facts.trivial(candidate.text)),
            }
            for (place, candidate), label, row in zip(
                places.items(), verdict.labels, verdict.ratings, strict=True
            )
            if candidate is not None
        ],
        "answers": verdict.answers,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _warnings(
    evidence: Evidence, texts: Texts, settings: DiffSettings, pair: Pair
) -> Iterator[str]:
    """What a reader of the numbers must know."""
    if evidence.silent == evidence.positions and not evidence.candidates:
        which = (
            "there is one model, to which nothing is done"
            if pair.same
            else ("the two models say the same on every position, within rounding")
        )
        yield f"no evidence: {which}"
    if texts.dropped:
        yield f"{texts.dropped} texts have fewer than {settings.positions} tokens and were dropped"
    if settings.samples is not None and len(texts) < settings.samples:
        yield f"{settings.samples} texts were asked for and {len(texts)} are there"
    depth = evidence.about.get("depth")
    if isinstance(depth, int) and depth < settings.depth:
        yield f"diff.depth {settings.depth} is more than the vocabulary: all {depth} tokens count"


def _fingerprint(pair: Pair, texts: Texts, settings: DiffSettings) -> str:
    """Of all that decides the evidence."""
    unread = {"relevant", "judges", "agreement", "candidates", "tuned"}
    return _hashed(
        [
            _VERSION,
            pair.base.fingerprint,
            pair.tuned.fingerprint,
            pair.intervention.fingerprint() if pair.intervention else None,
            settings.model_dump(mode="json", exclude=unread),
            [[text.tokens, text.positions] for text in texts.texts],
        ]
    )


def _hashed(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _write(path: Path, text: str) -> None:
    """Put a file in place; one that says so already stays, and may lie where nothing is written."""
    if not path.is_file() or path.read_text("utf-8") != text:
        write_file(path, text)
