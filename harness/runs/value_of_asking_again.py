"""What the recorded maps of the values of asking come to, and the consultations chosen by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import TaskError
from harness.interventions.policy import STEP
from harness.measure import hindsight
from harness.measure.hindsight import Chains, Consultation, metrics_of_chains, unfounded
from harness.measure.recounted import Apart, CaseFiles, Recounted, unequal
from harness.measure.value_of_asking import NAME, VALUE, AskingSettings, metrics_of_maps
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult


def recounted(
    case: PlannedCase, result: CaseResult, files: CaseFiles, tokenizer: Callable[[], Any]
) -> Recounted:
    """The answers' scores, and what follows from them and from v(t).

    Reports that do not tell which consultations were chosen have the first one in their maps.

    Raises:
        TaskError: a sample is none of the task's, an answer has no map, or the file of the
            consultations is none.
    """
    foreign = next((draw for draw in result.draws if draw.sample not in case.task.by_id), None)
    if foreign is not None:
        raise TaskError(f"{foreign.sample} is no sample of {case.task.name}")
    style = case.experiment.prompt.style
    scores = case.task.score(
        [(case.task.by_id[draw.sample], style, draw.completion.text) for draw in result.draws]
    )
    apart: list[Apart] = []
    for draw, score in zip(result.draws, scores, strict=True):
        where = f"{draw.sample}: score.correct"
        apart += unequal(where, draw.score.correct, score.correct)
        if len(draw.completion.traces.get(VALUE, ())) != len(draw.completion.tokens):
            raise TaskError(f"{draw.sample}: has no value of asking at every token of its answer")
    right = {
        draw.sample: bool(score.correct) for draw, score in zip(result.draws, scores, strict=True)
    }
    maps = {
        draw.sample: [int(value) for value in draw.completion.traces[VALUE]]
        for draw in result.draws
    }
    log = {
        draw.sample: {
            name.removeprefix(f"{STEP} "): values
            for name, values in draw.completion.traces.items()
            if name.startswith(STEP)
        }
        for draw in result.draws
    }
    values = metrics_of_maps(maps, right, log)
    if not (files.folder / hindsight.FILE).is_file():
        values["hindsight_1"] = {
            name: float(right[name] or max(each, default=0) > 0) for name, each in maps.items()
        }
        return Recounted(values, apart=apart, kept={*result.sample_metrics} - {*values})
    settings: AskingSettings = case.experiment.section_of(NAME)
    own = {
        draw.sample: Consultation(
            tokens=draw.completion.tokens,
            text=draw.completion.text,
            right=right[draw.sample],
            worth=maps[draw.sample],
        )
        for draw in result.draws
    }
    stored = hindsight.read((files.folder / hindsight.FILE).read_text("utf-8"))
    if stored.keys() != own.keys():
        raise TaskError(f"{hindsight.FILE}: has other samples than the answers")
    chains = _scored(case, stored)
    loaded = tokenizer()
    for name, chain in chains.items():
        where = f"{hindsight.FILE}, {name}"
        for number, (step, said) in enumerate(zip(chain, stored[name], strict=True), 1):
            apart += unequal(f"{where}, {number}: right", said.right, step.right)
            if step.text not in _texts(case, loaded, step.tokens):
                apart.append(Apart(f"{where}, {number}: text", step.text, "not that of its tokens"))
        apart += (
            Apart(where, line, "not what the maps choose")
            for line in unfounded(own[name], chain, settings.length, settings.hindsight)
        )
    return Recounted(values | metrics_of_chains(own, chains, settings.hindsight), apart=apart)


def _scored(case: PlannedCase, chains: Chains) -> dict[str, list[Consultation]]:
    """The same consultations, each answer with the task's verdict."""
    style = case.experiment.prompt.style
    asked = [
        (case.task.by_id[name], style, step.text)
        for name, chain in chains.items()
        for step in chain
    ]
    verdicts = iter(case.task.score(asked))
    return {
        name: [step.model_copy(update={"right": bool(next(verdicts).correct)}) for step in chain]
        for name, chain in chains.items()
    }


def _texts(case: PlannedCase, tokenizer: Any, tokens: Sequence[int]) -> set[str]:
    """What tokens say, of which the last may end the answer, in front of a stop string."""
    stops = case.task.stop_strings(case.experiment.prompt.style)
    whole = [str(tokenizer.decode(each)) for each in (tokens, tokens[:-1])]
    return {
        text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]
        for text in whole
    }
