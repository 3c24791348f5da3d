"""Runs a case that compares two models: texts in, tokens that speak for a difference, their labels.

Evidence is kept below `.titrate/diff/<fingerprint>/` with the engines, the intervention, the texts
and the settings in the fingerprint, so that nothing is read twice. What models say of it is stored
as completions are. What belongs to a report lies in a folder of its own, by its content.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from harness.errors import FieldError, UnstoredError
from harness.files.atomic import write_file
from harness.interventions.base import Intervention
from harness.measure.diffing.activations import Difference, difference_of
from harness.measure.diffing.agents import (
    Investigation,
    Models,
    graded,
    investigated,
    overview_of,
)
from harness.measure.diffing.evidence import Evidence
from harness.measure.diffing.judging import ModelAsker
from harness.measure.diffing.legible import agreements, first_legible
from harness.measure.diffing.methods import OF_DIFFERENCES, OF_LOGITS, lists_of, reads_layer
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.relevance import Facts
from harness.measure.diffing.scale_choice import by_judge
from harness.measure.diffing.section import DiffSettings, diff_of
from harness.measure.diffing.steered import (
    SteeredPosition,
    judged_coherence,
    plain_coherence,
    steered,
)
from harness.measure.diffing.texts import Texts, texts_of
from harness.measure.diffing.verdict import evaluation, places_of, values_of, verdict_on
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.runs.diffing_values import (
    AGENTS,
    EVALUATION,
    EVIDENCE,
    STEERING,
    agent_numbers,
    contents_of,
    facts_of,
    sample_values,
    steered_numbers,
)
from harness.runs.generated import result_of
from harness.runs.planned_case import PlannedCase
from harness.runs.readers import Readers
from harness.store.results import CaseResult

#: Rises when evidence is found otherwise than before.
_VERSION = 1
_DIFFERENCE = "difference.npz"


def measured_case(
    readers: Readers,
    case: PlannedCase,
    intervention: Intervention | None,
    root: Path,
    measured: Callable[[float], None],
) -> CaseResult:
    """Read the case's two models and return its result."""
    started = time.perf_counter()
    comparison = ModelComparison.of(readers, case, intervention, root)
    settings, texts = comparison.settings, comparison.texts
    with _naming(f"the evidence of {settings.method}"):
        evidence = comparison.evidence()
    measured(case.task.size)
    chosen = 0
    if settings.method == "patchscope" and settings.scales == "judged" and evidence.groups:
        with _naming("the scale that the first judge chooses"):
            evidence, chosen = comparison.listened_to(evidence)
    places = places_of(evidence, lists_of(settings, texts), settings.candidates)
    files: dict[str, str | bytes] = {EVIDENCE: evidence.text()}
    if settings.method in OF_DIFFERENCES and not comparison.pair.same:
        files[_DIFFERENCE] = comparison.difference_file().read_bytes()
    columns: dict[str, list[JsonValue]] = {}
    numbers: dict[str, float] = {}
    facts = facts_of(settings)
    unread, left_out = 0, list[str]()
    if facts is not None:
        with _naming("what judges say of the tokens"):
            verdict = verdict_on(places, facts, settings, comparison.judges())
        verdict = replace(verdict, tokens=verdict.tokens + chosen)
        columns |= values_of(places, facts, verdict, comparison.chance(facts))
        files[EVALUATION] = evaluation(places, facts, verdict, settings)
        unread = sum(row.count(None) for row in verdict.ratings)
    if settings.steered is not None:
        with _leaving_out("what is written under steering", left_out):
            told = comparison.steered()
            files[STEERING] = _json([asdict(each) for each in told])
            numbers |= steered_numbers(told, facts)
    if settings.agent is not None and settings.mode != "diffing" and facts is not None:
        with _leaving_out("what agents found out", left_out):
            runs = comparison.investigated(evidence, facts)
            files[AGENTS] = _json([asdict(each) for each in runs])
            numbers |= agent_numbers(runs)
    values = sample_values(case.experiment, places, columns, numbers)
    folder = root / _hashed([[name, _digest(content)] for name, content in files.items()])
    for name, content in files.items():
        _write(folder / name, content)
    result = result_of(
        case,
        "complete",
        sample_metrics=values,
        intervention=intervention,
        warnings=(*_warnings(evidence, texts, case, comparison.pair, unread), *left_out),
    )
    return replace(
        result,
        contents=contents_of(settings, values),
        task_size=len(places),
        artefacts=str(folder.absolute()),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class ModelComparison:
    """The two models of a case, the texts that they read, and where what they say is kept."""

    readers: Readers
    case: PlannedCase
    settings: DiffSettings
    pair: Pair
    texts: Texts
    root: Path

    @classmethod
    def of(
        cls,
        readers: Readers,
        case: PlannedCase,
        intervention: Intervention | None,
        root: Path,
    ) -> ModelComparison:
        """That of a case. Raises FieldError for models and texts that cannot be compared."""
        settings, engines = diff_of(case.experiment), readers.engines
        pair = Pair(engines[""], engines[settings.tuned or ""], intervention)
        pair.check()
        texts = texts_of(
            engines[""].tokenizer,
            case.task,
            case.experiment.prompt.style,
            count=settings.samples,
            length=settings.positions,
            seed=case.experiment.seed,
        )
        return cls(readers, case, settings, pair, texts, root)

    @property
    def layer(self) -> int:
        """The layer that hidden states are read of."""
        layers, _ = hidden_shape(load_config(self.case.experiment.model))
        if self.settings.layer != "legible":
            return int(self.settings.layer * (layers - 1))
        texts = [[text.tokens, text.positions] for text in self.texts.texts]
        kept = self.root / _hashed(["legible", self.pair.base.fingerprint, texts]) / "legible.json"
        if not kept.is_file():
            _write(kept, _json(agreements(self.pair.base, self.texts, layers)))
        return first_legible(json.loads(kept.read_text("utf-8")))

    def evidence(self) -> Evidence:
        """What the method finds, read again where it was found before."""
        settings, pair, texts = self.settings, self.pair, self.texts
        if pair.same:
            nothing = len(texts) * len(texts.labels)
            return Evidence(settings.method, (), nothing, nothing, len(texts), texts.dropped)
        fields = {"method", "depth", "ordering", "logits", "listed", "read_positions", "skipped"}
        kept = self._kept(fields | ({"layer"} if reads_layer(settings) else set())) / EVIDENCE
        if kept.is_file():
            # What cannot be read is read anew from the models.
            with suppress(ValueError, KeyError, TypeError):
                return Evidence.of(kept.read_text("utf-8"))
        if settings.method in OF_LOGITS:
            found = OF_LOGITS[settings.method](pair, texts, settings, self.layer)
        else:
            found = OF_DIFFERENCES[settings.method](pair, texts, settings, self.difference())
        _write(kept, found.text())
        return found

    def difference(self) -> Difference:
        """The mean difference of activations, read again where it was found before."""
        kept = self.difference_file()
        if kept.is_file():
            with suppress(ValueError, KeyError, OSError):
                return Difference.of(kept)
        found = difference_of(self.pair, self.texts, self.settings, self.layer)
        found.kept(kept)
        return found

    def difference_file(self) -> Path:
        """Where it is kept."""
        return self._kept({"layer", "skipped"}) / _DIFFERENCE

    def judges(self) -> list[ModelAsker]:
        """How the judges are asked, in their order."""
        return [self._asker(judge.called) for judge in self.settings.judges]

    def listened_to(self, evidence: Evidence) -> tuple[Evidence, int]:
        """A patchscope's evidence at the scales of the first judge, and what that cost."""
        return by_judge(evidence, self.pair, self.settings.judges[0], self.judges()[0])

    def chance(self, facts: Facts) -> float:
        """The share of relevant tokens in the vocabulary, by the facts."""
        tokenizer = self.pair.base.tokenizer
        return facts.chance([tokenizer.decode([token]) for token in range(len(tokenizer))])

    def steered(self) -> list[SteeredPosition]:
        """Texts under steering by the difference of each of the first positions.

        A checkpoint is steered itself; what an intervention has tuned is the model without it,
        since a request has one intervention.
        """
        asked = self.settings.steered
        assert asked is not None
        if self.pair.same:
            return []
        found, tokenizer = self.difference(), self.pair.base.tokenizer
        coherence = (
            judged_coherence(self.judges()[0], self.settings.judges[0].max_new_tokens)
            if self.settings.judges
            else plain_coherence(self.readers.ask, len(tokenizer))
        )
        norm = found.tuned_norm if self.settings.tuned else found.base_norm
        return [
            steered(
                found,
                at,
                norm,
                asked,
                tokenizer,
                self.settings.tuned or "",
                self.readers.ask,
                coherence,
            )
            for at in range(min(asked.positions, len(found.labels)))
            if found.speaks(at)
        ]

    def investigated(self, evidence: Evidence, facts: Facts) -> list[Investigation]:
        """Every run of the agent, with the evidence and without, graded."""
        settings = self.settings.agent
        assert settings is not None
        agent, ask = self._asker(settings.called), self.readers.ask
        models = Models(
            self.pair.base.tokenizer, self.settings.tuned or "", self.pair.intervention, ask
        )
        shown = overview_of(
            [
                (name, [each.text for each in listed[: self.settings.candidates]])
                for name, listed in evidence.groups.items()
            ]
        )
        told = [shown or "no token speaks for a difference", *([""] if settings.blackbox else [])]
        judge = next(iter(self.judges()), None)
        found = []
        for overview in told:
            for run in range(settings.runs):
                each = investigated(overview, settings, agent, models, run)
                each.scores, spent = graded(each.hypothesis, facts, settings.gradings, judge)
                each.tokens += spent
                found.append(each)
        return found

    def _asker(self, engine: str) -> ModelAsker:
        return ModelAsker(engine, self.readers.engines[engine].tokenizer, self.readers.ask)

    def _kept(self, fields: set[str]) -> Path:
        """Where what depends on the models, the texts and these settings is kept."""
        pair = self.pair
        content = [
            _VERSION,
            pair.base.fingerprint,
            pair.tuned.fingerprint,
            pair.intervention.fingerprint() if pair.intervention else None,
            self.settings.model_dump(mode="json", include=fields),
            [[text.tokens, text.positions] for text in self.texts.texts],
        ]
        return self.root / _hashed(content)


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Say what it is that is not stored, where only what is stored is shown."""
    try:
        yield
    except UnstoredError as error:
        problem = f"plotting shows what is stored, and {what} is not; use diffing, or full"
        raise FieldError("diff.mode", f"{problem} ({error.problem})") from error


@contextmanager
def _leaving_out(what: str, told: list[str]) -> Iterator[None]:
    """Leave out what is not stored, where only what is stored is shown, and say so."""
    try:
        yield
    except UnstoredError:
        told.append(f"{what} is not stored, and plotting leaves it out")


def _warnings(
    evidence: Evidence, texts: Texts, case: PlannedCase, pair: Pair, unread: int
) -> Iterator[str]:
    """What a reader of the numbers must know; that nothing is done to a baseline is known."""
    settings = diff_of(case.experiment)
    nothing = evidence.silent == evidence.positions and not evidence.candidates
    if nothing and not case.case.is_baseline:
        which = (
            "there is one model, to which nothing is done"
            if pair.same
            else ("the two models say the same on every position, within rounding")
        )
        yield f"no evidence: {which}"
    if unread:
        yield f"judges: {unread} labels could not be read (UNKNOWN), and count as not relevant"
    if texts.dropped:
        yield f"{texts.dropped} texts have fewer than {settings.positions} tokens and were dropped"
    if settings.samples is not None and len(texts) < settings.samples:
        yield f"{settings.samples} texts were asked for and {len(texts)} are there"
    depth = evidence.about.get("depth")
    if isinstance(depth, int) and depth < settings.depth:
        yield f"diff.depth {settings.depth} is more than the vocabulary: all {depth} tokens count"


def _hashed(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _write(path: Path, content: str | bytes) -> None:
    """Put a file in place; one that says so already stays, and may lie where nothing is written."""
    if not path.is_file() or _digest(path.read_bytes()) != _digest(content):
        write_file(path, content)
