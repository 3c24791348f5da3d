"""The contrastive pairs that a spec asks for: from its own file, or built in for its task.

Built-in pairs are made of training problems. Those of generated tasks are held out from the
evaluation's by content; those of a data file or of GSM8K's train split are compared with the
evaluation's, problem by problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from harness.errors import FieldError, TaskError, TemplateError
from harness.files.given import exists
from harness.interventions.steering.section import PairVector
from harness.measure.steering_vectors import check_difference, readings_of_pairs
from harness.models.loading import load_tokenizer
from harness.resolve.tasks import full_task
from harness.spec import Experiment
from harness.spec.intervention import PairSection
from harness.tasks import code, gsm8k, maths, micro_gsm8k, micro_humaneval
from harness.tasks.base import Style, Task
from harness.tasks.contrast import ContrastPair, answer_pairs, style_pairs
from harness.tasks.contrast_files import read_pairs
from harness.tasks.data_files import read_records

#: Names that are not paths: each has a table row in docs/steering.md.
BUILT_IN = ("styles", "answers")
_SEED = 0
_CODE = ("micro_humaneval", "humaneval")
_NONE = (
    "there are no built-in pairs of this kind for {}; give a file of pairs (./pairs.jsonl with "
    "prompt, positive and negative)"
)
_MATHS = ("micro_gsm8k", "gsm8k")


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
    evaluated = None
    if task.name == "gsm8k" or vector.data is not None:
        evaluated = full_task(task)
    day = experiment.prompt.day
    return _built_in(vector.pairs, task.name, style, vector.samples, vector.data, evaluated, day)


def check_pairs(experiment: Experiment, vector: PairVector, where: str) -> None:
    """Raise FieldError for pairs that are missing, have equal tokens, or lack the position's token.

    Needs the model's tokenizer, not its weights. `where` is the vector's field in the spec.
    """
    try:
        pairs = pairs_for(experiment, vector)
        _check_tokens(experiment.model, pairs, vector.position)
    except TaskError as error:
        raise FieldError(f"{where}.pairs", about_pairs(error)) from error


def about_pairs(error: TaskError) -> str:
    """The message; pairs have styles of their own, which the spec's style does not change."""
    if isinstance(error, TemplateError):
        remedy = "use a file of pairs (./pairs.jsonl), or a model whose chat template renders it"
        return f"{error.fault}; {remedy}"
    return str(error)


@cache
def _check_tokens(model: str, pairs: tuple[ContrastPair, ...], position: Any) -> None:
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
    if kind == "styles" and task in _CODE:
        return style_pairs(_heads(samples, data, evaluated), code=True, day=day)
    if task in _MATHS:
        problems = _worked(task, samples, data, evaluated)
        if kind == "styles":
            return style_pairs([question for question, _ in problems], code=False, day=day)
        return answer_pairs(problems, style, day=day)
    raise TaskError(f"{kind}: {_NONE.format(task)}")


def _heads(samples: int, data: str | None, evaluated: Task | None) -> Sequence[str]:
    """Heads of functions; generated ones also for HumanEval, which has no training problems."""
    if data is None:
        random = Random(_SEED)
        return [micro_humaneval.training_problem(random).prompt for _ in range(samples)]
    heads = [
        record["prompt"] for record in read_records(data, code.FIELDS, check=code.fault)[:samples]
    ]
    return _unseen(heads, "prompt", data, evaluated)


def _worked(
    task: str, samples: int, data: str | None, evaluated: Task | None
) -> Sequence[tuple[str, str]]:
    """Word problems with their worked answers."""
    if data is None and task == "micro_gsm8k":
        random = Random(_SEED)
        drawn = [micro_gsm8k.training_problem(random) for _ in range(samples)]
        return [(problem.question, problem.answer) for problem in drawn]
    records = (
        gsm8k.training_records()
        if data is None
        else read_records(data, maths.FIELDS, check=maths.fault)
    )
    chosen = list(islice(records, samples))
    _unseen([each["question"] for each in chosen], "question", data or "its train split", evaluated)
    return [(record["question"], record["answer"]) for record in chosen]


def _unseen(problems: list[str], field: str, source: str, evaluated: Task | None) -> list[str]:
    """The problems; a TaskError if the evaluation asks one of them, whatever its id."""
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
    return problems


def _content(problem: str) -> str:
    return " ".join(problem.split())
