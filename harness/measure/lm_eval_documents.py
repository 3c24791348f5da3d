"""Documents of a task of lm-eval's: what is asked of each, and what comes of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import FieldError, TaskError
from harness.measure.lm_eval_requests import (
    DocumentRequests,
    Tokenization,
    name_of_template,
    template_of,
)
from harness.metrics.aggregates import give
from harness.spec import Case
from harness.tasks.base import Sample
from harness.tasks.lm_eval import counting
from harness.tasks.lm_eval.naming import metrics_of
from harness.tasks.lm_eval.task import LmEvalTask


def asked_of(tokenizer: Any, case: Case, task: LmEvalTask, sample: Sample) -> DocumentRequests:
    """Requests and scorings of a document.

    Raises:
        TaskError: a document that cannot be asked.
        FieldError: a style that is none of lm-eval's, or no room for a prompt.
    """
    experiment = case.experiment
    texts = Tokenization(tokenizer, longest(experiment.model, tokenizer))
    asked = DocumentRequests(texts)
    try:
        for instance in instances_of(case, task, sample, lambda: tokenizer):
            asked.add(instance, case, sample.id)
    except TaskError as error:
        raise TaskError(f"{sample.id}: {error}") from error
    asked.close()
    return asked


def longest(model: str, tokenizer: Any) -> int:
    """Tokens that a model reads at most, by lm-eval's rule."""
    from lm_eval.models.utils import resolve_max_length

    from harness.models.loading import load_config  # imports torch, which specs do without

    return int(resolve_max_length(load_config(model), tokenizer))


def instances_of(
    case: Case, task: LmEvalTask, sample: Sample, tokenizer: Callable[[], Any]
) -> Sequence[Any]:
    """lm-eval's instances of a document, in a case's style."""
    prompt = case.experiment.prompt
    if prompt.style == "agentic":
        raise FieldError(
            "prompt.style",
            "agentic is none of lm-eval's; use completion, or assisted for its chat template",
        )
    if prompt.style == "completion":
        return task.asked(sample, None, "", prompt.system)
    model = tokenizer()
    if not model.chat_template:
        raise FieldError("prompt.style", "the model has no chat template; use completion")
    return task.asked(sample, template_of(model), name_of_template(model), prompt.system)


def counted(
    case: Case, task: LmEvalTask, answers: counting.Answers, tokenizer: Callable[[], Any]
) -> counting.DocumentCounts:
    """What all answers of a case come to; aggregates that are code are made known by the way."""
    asked = {
        sample.id: instances_of(case, task, sample, tokenizer)
        for sample in task.samples
        if sample.id in answers
    }
    found = counting.outcome(task, asked, answers)
    _give_functions(task)
    return found


def _give_functions(task: LmEvalTask) -> None:
    for each in metrics_of(task.loaded).values():
        function = task.loaded.tasks[each.tasks[0]].aggregation().get(each.metric)
        if function is not None and " of " in each.stated.aggregate:
            give(each.stated.aggregate, _taking_lists(function))


def _taking_lists(function: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], float]:
    def of(values: Sequence[Any]) -> float:
        return float(function([counting.given_back(value) for value in values]))

    return of


def answers_of(
    instances: Sequence[Any], texts: Sequence[str], scores: Sequence[Sequence[Any]]
) -> list[list[Any]]:
    """The answers of a document again, from its texts and `[log-likelihood, greedy]` in order."""
    said, scored = iter(texts), iter(scores)
    generations = sum(each.request_type == "generate_until" for each in instances)
    found: list[list[Any]] = []
    for instance in instances:
        if instance.request_type == "generate_until":
            found.append([next(said) for _ in range(len(texts) // generations)])
        else:
            rolling = instance.request_type == "loglikelihood_rolling"
            total, greedy = next(scored)
            found.append([total if rolling else [total, greedy]] * instance.repeats)
    return found


def logged(
    case: Case,
    task: LmEvalTask,
    recorded: Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]],
    tokenizer: Callable[[], Any],
) -> list[counting.Logged]:
    """Every document by every filter, of the answers that were recorded."""
    answers = again(case, task, recorded, tokenizer)
    asked = {sample: instances_of(case, task, task.by_id[sample], tokenizer) for sample in answers}
    return counting.logged(task, asked, answers)


def again(
    case: Case,
    task: LmEvalTask,
    recorded: Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]],
    tokenizer: Callable[[], Any],
) -> dict[str, list[list[Any]]]:
    """The answers of all documents from what was recorded of them: texts and scores."""
    return {
        sample: answers_of(instances_of(case, task, task.by_id[sample], tokenizer), *own)
        for sample, own in recorded.items()
    }
