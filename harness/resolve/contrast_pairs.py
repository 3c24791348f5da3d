"""The contrastive pairs that a spec asks for: from its own file, or built in for its task.

Built-in pairs are made of training problems, which a task brings (`Task.training`). Those of
generated tasks are held out from the evaluation's by content; those of a data file, and what else
is not, are compared with the evaluation's, problem by problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from harness import registry
from harness.errors import FieldError, TaskError, TemplateError
from harness.files.given import exists
from harness.interventions.steering_terms import PositionRule
from harness.measure.steering_vectors import check_difference, readings_of_pairs
from harness.models.loading import load_tokenizer
from harness.resolve.tasks import full_task
from harness.spec import Experiment
from harness.spec.intervention import PairSection
from harness.tasks.base import Style, Task, Training
from harness.tasks.contrast import ContrastPair, answer_pairs, style_pairs
from harness.tasks.contrast_files import read_pairs
from harness.tasks.data_files import read_records

#: Names that are not paths: each has a table row in docs/steering.md.
BUILT_IN = ("styles", "answers")
_NONE = (
    "there are no built-in pairs of this kind for {}; give a file of pairs (./pairs.jsonl with "
    "prompt, positive and negative)"
)


def pairs_for(experiment: Experiment, vector: PairSection) -> tuple[ContrastPair, ...]:
    """The pairs that a vector is built from; raises TaskError where there are none.

    Fewer `samples` are the first of more.
    """
    if vector.pairs not in BUILT_IN:
        if vector.data is not None:
            raise TaskError(f"{vector.data}: data is for built-in pairs; {vector.pairs} is a file")
        if not Path(vector.pairs).suffix and not exists(vector.pairs):
            raise TaskError(
                f"{vector.pairs} is neither {' nor '.join(BUILT_IN)}, nor a file of pairs "
                "(./pairs.jsonl)"
            )
        if not exists(Path(vector.pairs).expanduser()):
            raise TaskError(
                f"{vector.pairs}: there is no such file; use {' or '.join(BUILT_IN)}, or a file of "
                "pairs, in a spec relative to its folder"
            )
        asked = experiment.prompt
        pairs = read_pairs(vector.pairs, style=asked.style, day=asked.day, concept=vector.concept)
        return pairs[: vector.samples]
    if vector.concept is not None:
        raise TaskError(f"concept {vector.concept} is of a file of pairs; {vector.pairs} are none")
    task, style = experiment.task, experiment.prompt.style
    if task.name is None:
        raise TaskError(f"{vector.pairs}: {_NONE.format(task.title)}")
    training = _training(task.name)
    seen = training is not None and not training.held_out
    evaluated = full_task(task) if seen or vector.data is not None else None
    day = experiment.prompt.day
    return _built_in(vector.pairs, task.name, style, vector.samples, vector.data, evaluated, day)


def check_pairs(
    experiment: Experiment, vector: PairSection, position: PositionRule, where: str
) -> None:
    """Raise FieldError for pairs that are missing, have equal tokens, or lack the position's token.

    Needs the model's tokenizer, not its weights. `where` is the vector's field in the spec.
    """
    try:
        pairs = pairs_for(experiment, vector)
        _check_tokens(experiment.model, pairs, position)
    except TaskError as error:
        raise FieldError(f"{where}.pairs", about_pairs(error)) from error


def about_pairs(error: TaskError) -> str:
    """The message; pairs have styles of their own, which the spec's style does not change."""
    if isinstance(error, TemplateError):
        remedy = "use a file of pairs (./pairs.jsonl), or a model whose chat template renders it"
        return f"{error.fault}; {remedy}"
    return str(error)


@cache
def _check_tokens(model: str, pairs: tuple[ContrastPair, ...], position: PositionRule) -> None:
    tokenizer = load_tokenizer(model)
    readings = readings_of_pairs(tokenizer, pairs, layers=[0], site="block", position=position)
    check_difference(list(readings), position)


@cache
def _built_in(
    kind: str,
    task: str,
    style: Style,
    samples: int,
    data: str | None,
    evaluated: Task | None,
    day: date | None,
) -> tuple[ContrastPair, ...]:
    training = _training(task)
    if training is None or (training.heads and kind != "styles"):
        raise TaskError(f"{kind}: {_NONE.format(task)}")
    problems = _problems(training, samples, data, evaluated)
    if kind == "styles":
        asked = [problem[training.asks] for problem in problems]
        return style_pairs(asked, code=training.heads, day=day)
    return answer_pairs([(each["question"], each["answer"]) for each in problems], style, day=day)


def _training(task: str) -> Training | None:
    """What a task brings to make pairs of; nothing where none is registered by the name."""
    if task not in registry.tasks:
        return None
    found: Training | None = getattr(registry.tasks.get(task), "training", None)
    return found


def _problems(
    training: Training, samples: int, data: str | None, evaluated: Task | None
) -> list[Mapping[str, Any]]:
    """The first training problems; a TaskError if the evaluation asks one of them."""
    records = (
        training.own()
        if data is None
        else read_records(data, training.fields, check=training.fault)
    )
    chosen = list(islice(records, samples))
    asked = [each[training.asks] for each in chosen]
    _check_unseen(asked, training.asks, data or "its train split", evaluated)
    return chosen


def _check_unseen(problems: Sequence[str], field: str, source: str, evaluated: Task | None) -> None:
    """Raise TaskError if the evaluation asks one of the problems, whatever its id."""
    asked = (
        {}
        if evaluated is None
        else {_content(sample.record[field]): sample.id for sample in evaluated.samples}
    )
    for number, problem in enumerate(problems, start=1):
        if _content(problem) in asked:
            raise TaskError(
                f"{source}: problem {number} is {asked[_content(problem)]} of the evaluation; "
                "build vectors from other problems than those that are asked"
            )


def _content(problem: str) -> str:
    return " ".join(problem.split())
