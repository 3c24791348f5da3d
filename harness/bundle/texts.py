"""Whether the recorded prompts and texts are those of the tasks and of the recorded tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.bundle.archive import Manifest, Tokenizer
from harness.bundle.differences import Difference, shown
from harness.errors import TitrateError
from harness.resolve.tasks import task_of
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Task


def against_tokens(results: Sequence[CaseResult], manifest: Manifest) -> Iterator[Difference]:
    """Yield every prompt that its task does not ask, and every text that tokens do not decode to.

    A text ends in front of a token that ends sequences, or of a stop string of its task.
    """
    from transformers import AutoTokenizer

    loaded: dict[str, Any] = {}
    for result in results:
        known = manifest.tokenizers.get(result.case.experiment.model)
        if known is None or not result.draws:
            continue
        if known.folder not in loaded:
            if not Path(known.folder).is_dir():
                yield Difference(known.folder, "tokenizer", "listed", "it is missing")
                continue
            loaded[known.folder] = AutoTokenizer.from_pretrained(known.folder)
        yield from _case(result, loaded[known.folder], known)


def _case(result: CaseResult, tokenizer: Any, known: Tokenizer) -> Iterator[Difference]:
    experiment = result.case.experiment
    try:
        task = task_of(experiment.task, experiment.prompt)
        prompts = _prompts(result, task, tokenizer)
    except TitrateError:  # scoring says the same of it
        return
    stops = task.stop_strings(experiment.prompt.style)
    for draw in result.draws:
        where = f"{result.case.id}, {draw.sample}, draw {draw.draw}"
        prompt = prompts.get(draw.sample)
        if prompt is not None and draw.prompt != prompt:
            yield Difference(where, "prompt", shown(draw.prompt), shown(prompt))
        if draw.completion.answer is None:  # a server's tokens are the server's own
            yield from _completion(draw, where, tokenizer, known, stops)
            limit = experiment.sampling.max_new_tokens
            yield from _ending(draw, where, limit, known, stops)


def _prompts(result: CaseResult, task: Task, tokenizer: Any) -> dict[str, str]:
    """Sample -> its prompt as the model reads it."""
    plan, planned = Plan(tokenizer), PlannedCase(result.case, task)
    asked = {draw.sample for draw in result.draws}
    return {each.id: plan.prompt_text(planned, each) for each in task.samples if each.id in asked}


def _completion(
    draw: DrawResult, where: str, tokenizer: Any, known: Tokenizer, stops: Sequence[str]
) -> Iterator[Difference]:
    completion = draw.completion
    tokens = list(completion.tokens)
    if tokens and tokens[-1] in known.end_tokens:
        tokens = tokens[:-1]
    whole = str(tokenizer.decode(tokens))
    text = whole[: _cut(whole, stops)]
    if completion.text != text:
        yield Difference(where, "text of its tokens", shown(completion.text), shown(text))
    given, count = len(completion.log_probabilities), len(completion.tokens)
    if given and given != count:
        yield Difference(where, "log-probabilities", str(given), f"{count} tokens")
    if any(value > 0 for value in completion.log_probabilities):
        yield Difference(where, "log-probabilities", "one above 0", "none can be")


def _ending(
    draw: DrawResult, where: str, limit: int, known: Tokenizer, stops: Sequence[str]
) -> Iterator[Difference]:
    """An answer stops at an end token or a stop string, or is as long as it may be."""
    completion = draw.completion
    tokens = completion.tokens
    if completion.finish_reason not in ("stop", "length"):
        return
    stopped = bool(tokens and tokens[-1] in known.end_tokens)
    if len(tokens) > limit:
        yield Difference(where, "tokens", str(len(tokens)), f"{limit} at most")
    if completion.finish_reason == "length" and stopped:
        yield Difference(where, "finish_reason", "length", "stop")
    if completion.finish_reason == "stop" and not stopped and not stops:
        yield Difference(where, "finish_reason", "stop", "nothing ends it")


def _cut(text: str, stops: Sequence[str]) -> int:
    return min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))
