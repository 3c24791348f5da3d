"""Whether the recorded prompts and texts are those of the tasks and of the recorded tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.bundle.archive import BundleManifest, Tokenizer
from harness.bundle.differences import Mismatch, shown
from harness.errors import ModelError, TitrateError, one_line
from harness.files.portable import portable
from harness.resolve.tasks import task_of
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.spec import Experiment
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Task


class Tokenizers:
    """The tokenizers that lie in a bundle, each loaded when it is first asked for."""

    def __init__(self, manifest: BundleManifest) -> None:
        self._known = manifest.tokenizers
        self._absent = manifest.absent
        self._loaded: dict[str, Any] = {}

    def of(self, model: str) -> tuple[Any, Tokenizer] | None:
        """A model's tokenizer, and what the manifest says of it; None where it says there is none.

        Raises:
            ModelError: it is not there, or cannot be loaded.
        """
        from transformers import AutoTokenizer

        known = self._known.get(str(portable(model)))
        if known is None:
            if str(portable(model)) not in self._absent:
                raise ModelError("it is missing")
            return None
        if known.folder not in self._loaded:
            if not Path(known.folder).is_dir():
                raise ModelError(f"{known.folder} is missing")
            try:
                # transformers would ask on the terminal whether code of the folder may run.
                self._loaded[known.folder] = AutoTokenizer.from_pretrained(
                    known.folder, trust_remote_code=False
                )
            except Exception as error:  # its readers raise whatever they like, in Rust as well
                raise ModelError(
                    f"{known.folder} is no tokenizer: {one_line(str(error))}"
                ) from error
        return self._loaded[known.folder], known

    def of_experiment(self, experiment: Experiment) -> Any:
        """The same, where nothing can be counted without it. Raises `ModelError`."""
        found = self.of(experiment.model)
        if found is None:
            raise ModelError(f"the bundle has no tokenizer of {experiment.model}")
        return found[0]


def against_tokens(results: Sequence[CaseResult], tokenizers: Tokenizers) -> Iterator[Mismatch]:
    """Yield every prompt that its task does not ask, and every text that tokens do not decode to.

    A text ends in front of a token that ends sequences, or of a stop string of its task.
    """
    failed: set[str] = set()
    for result in results:
        model = result.case.experiment.model
        if model in failed:
            continue
        try:
            found = tokenizers.of(model)
        except ModelError as error:
            failed.add(model)
            yield Mismatch(model, "tokenizer", "needed to decode its tokens", str(error))
            continue
        if found is not None:
            yield from _case(result, *found)


def _case(result: CaseResult, tokenizer: Any, known: Tokenizer) -> Iterator[Mismatch]:
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
            yield Mismatch(where, "prompt", shown(draw.prompt), shown(prompt))
        if draw.completion.answer is None:  # a server's tokens are the server's own
            yield from _completion(draw, where, tokenizer, known, stops)
            yield from _log_probabilities(draw, where, kept=result.measure.run is None)
            limit = experiment.sampling.max_new_tokens
            yield from _ending(draw, where, limit, known, stops)


def _prompts(result: CaseResult, task: Task, tokenizer: Any) -> dict[str, str]:
    """Sample -> its prompt as the model reads it."""
    plan, planned = Plan(tokenizer), PlannedCase(result.case, task)
    asked = {draw.sample for draw in result.draws}
    return {each.id: plan.prompt_text(planned, each) for each in task.samples if each.id in asked}


def _completion(
    draw: DrawResult, where: str, tokenizer: Any, known: Tokenizer, stops: Sequence[str]
) -> Iterator[Mismatch]:
    completion = draw.completion
    tokens = list(completion.tokens)
    if tokens and tokens[-1] in known.end_tokens:
        tokens = tokens[:-1]
    whole = str(tokenizer.decode(tokens))
    text = whole[: _cut(whole, stops)]
    if completion.text != text:
        yield Mismatch(where, "text of its tokens", shown(completion.text), shown(text))


def _log_probabilities(draw: DrawResult, where: str, *, kept: bool) -> Iterator[Mismatch]:
    """One per token; measures that do not generate need not have `kept` them."""
    completion = draw.completion
    given, count = len(completion.log_probabilities), len(completion.tokens)
    if given != count and (kept or given):
        yield Mismatch(where, "log-probabilities", str(given), f"{count} tokens")
    if any(value > 0 for value in completion.log_probabilities):
        yield Mismatch(where, "log-probabilities", "one above 0", "none can be")


def _ending(
    draw: DrawResult, where: str, limit: int, known: Tokenizer, stops: Sequence[str]
) -> Iterator[Mismatch]:
    """An answer stops at an end token or a stop string, or is as long as it may be."""
    completion = draw.completion
    tokens = completion.tokens
    if completion.finish_reason not in ("stop", "length"):
        return
    stopped = bool(tokens and tokens[-1] in known.end_tokens)
    if len(tokens) > limit:
        yield Mismatch(where, "tokens", str(len(tokens)), f"{limit} at most")
    if completion.finish_reason == "length" and stopped:
        yield Mismatch(where, "finish_reason", "length", "stop")
    if completion.finish_reason == "stop" and not stopped and not stops:
        yield Mismatch(where, "finish_reason", "stop", "nothing ends it")


def _cut(text: str, stops: Sequence[str]) -> int:
    return min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))
