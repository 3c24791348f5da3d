"""`titrate ask SPEC --prompt TEXT`: one question, and who wrote which part of the answer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.options import add_to_argparse, overrides

if TYPE_CHECKING:
    from harness.engines.company import Company
    from harness.engines.contract import Request
    from harness.spec import Experiment, PromptSettings
    from harness.tasks.base import Conversation, Task


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate ask`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="whose intervention is an oracle")
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what is asked")
    add_to_argparse(parser, "set", "model", set="set a field of the spec; may be repeated")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Ask, and print the answer, coloured by author."""
    from harness import registry
    from harness.engines import open_engine
    from harness.engines.company import Company
    from harness.errors import FieldError, ModelError
    from harness.interventions.kind import kind_of
    from harness.resolve.needs import needs_of
    from harness.resolve.resolver import check_intervention
    from harness.spec import expand, load

    experiment, source = load(parsed.spec, overrides(vars(parsed)))
    # Of a sweep the last one of the cases that have the most help.
    case = max(reversed(expand(experiment, source)), key=lambda each: each.dose or 0.0)
    chosen = case.experiment
    asked = {} if chosen.intervention is None else chosen.intervention.engines()
    if not asked:
        kinds = (kind_of(name) for name in registry.interventions.names())
        able = " or ".join(kind.name for kind in kinds if kind.mechanism == "guidance")
        nobody = f"asks no other model; use kind: {able}, at a dose that is not neutral"
        raise case.source.locate(FieldError("intervention", nobody))
    try:
        check_intervention(chosen)
    except FieldError as error:
        raise case.source.locate(error) from error
    except ModelError as error:
        raise case.source.locate(FieldError("model", str(error))) from error
    own = open_engine(chosen.model, chosen.engine, needs_of([chosen]))
    others = {
        name: open_engine(model, settings or chosen.engine)
        for name, (model, settings) in asked.items()
    }
    company = Company(own, others)
    try:
        return _answer(company, chosen, parsed.prompt, case.id)
    except FieldError as error:
        raise case.source.locate(error) from error
    finally:
        company.close()


def _answer(company: Company, experiment: Experiment, text: str, case: str) -> int:
    from harness.interventions.policy import AUTHOR
    from harness.report.tables.authors import by_author
    from harness.report.tables.terminal import rendered, terminal_width

    ((_, answer),) = company.generate([_request(company, experiment, text)])
    if answer.error is not None:
        print(f"titrate: {answer.error}", file=sys.stderr)
        return 1
    tokenizer = company[""].tokenizer
    pieces = tokenizer.batch_decode([[each] for each in answer.tokens])
    colour = sys.stdout.isatty()
    authors = answer.traces.get(AUTHOR, (0.0,) * len(answer.tokens))
    shown = by_author(pieces, authors, colour=colour)
    print(rendered([shown], colour=colour, width=terminal_width()), end="")
    helped = sum(author > 0 for author in authors)
    print(
        f"\n{len(answer.tokens)} tokens, {helped} of them the oracle's in "
        f"{max(authors, default=0):g} consultations; ended by {answer.finish_reason}; {case}"
    )
    return 0


def _request(company: Company, experiment: Experiment, text: str) -> Request:
    from harness.engines.contract import Request, Stop
    from harness.resolve.progress import Silent
    from harness.resolve.resolver import Resolver
    from harness.resolve.tasks import full_task
    from harness.sampling.chosen import SamplingRules
    from harness.tasks.conversations import render

    task = full_task(experiment.task, experiment.prompt)
    asked = _asked(task, experiment.prompt, text)

    def prompt(tokenizer: Any) -> tuple[int, ...]:
        return tuple(render(tokenizer, asked))

    assert experiment.intervention is not None
    translated = experiment.intervention.translated()
    return Request(
        prompt(company[""].tokenizer),
        experiment.sampling.max_new_tokens,
        Resolver(company[""], Silent(), others=company).resolve(experiment),
        SamplingRules(**experiment.sampling.rules),
        Stop(strings=task.stop_strings(experiment.prompt.style)),
        seed=experiment.seed,
        sample=text,
        prompts=tuple((name, prompt(company[name].tokenizer)) for name in translated),
    )


def _asked(task: Task, prompt: PromptSettings, text: str) -> Conversation | str:
    """The text as a record of one's own data is asked; of a task with prompts of its own, alone."""
    from harness.tasks.base import Conversation
    from harness.tasks.data.task import DataTask, asked_of_text

    if isinstance(task, DataTask):
        return asked_of_text(task, prompt, text, "--prompt")
    if prompt.style == "completion":
        return text
    return Conversation(({"role": "user", "content": text},), date=prompt.day)
