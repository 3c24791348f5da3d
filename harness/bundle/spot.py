"""A random sample of a bundle's requests, asked of the model again where it is at hand.

Only this finds tokens that were replaced together with all that follows from them. Another
machine's kernels may round otherwise, so that what comes back is agreement, not equality: where two
completions part, the margin says how close the two tokens were.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from harness.engines import open_engine
from harness.engines.company import Company, contributing
from harness.engines.contract import Completion, Request
from harness.errors import TitrateError
from harness.resolve.tasks import task_of
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult, DrawResult

#: Nats. Kernels of float32 differ by less, those of half types seldom by more.
_CLOSE = 0.05


@dataclass(frozen=True)
class AskedAgain:
    """One request that was asked again."""

    where: str
    agrees: bool
    """Whether all tokens are the same."""
    token: int = 0
    """Where the completions part."""
    margin: float = 0.0
    """How much more probable the model finds its own token there than it found the stored one, in
    nats; 0 where no log-probabilities are stored."""
    gap: float = 0.0
    """The largest difference, in nats, of two log-probabilities of the same token behind the same
    tokens."""
    error: str = ""
    """Why the model gave no answer."""

    @property
    def told(self) -> bool:
        """Whether it is worth a line: other tokens, or the same at other log-probabilities."""
        return not self.agrees or self.gap > _CLOSE

    def __str__(self) -> str:
        if self.error:
            return f"{self.where}: refused: {self.error}"
        if self.agrees:
            return f"{self.where}: the same tokens, log-probabilities within {self.gap:.2g} nats"
        return f"{self.where}: parts at token {self.token}, by {self.margin:.2g} nats"


def asked_again(results: Sequence[CaseResult], count: int) -> Iterator[AskedAgain]:
    """Ask `count` requests again, drawn by chance from all: nobody knows beforehand which.

    Raises:
        TitrateError: a model is not at hand, or is not the one of the run.
    """
    drawn = [(result, draw) for result in results for draw in result.draws]
    if not drawn:
        raise TitrateError("there are no completions in it")
    chosen = random.SystemRandom().sample(drawn, min(count, len(drawn)))
    for key in dict.fromkeys(_engine_key(result) for result, _ in chosen):
        own = [(result, draw) for result, draw in chosen if _engine_key(result) == key]
        experiment = own[0][0].case.experiment
        with closing(open_engine(experiment.model, experiment.engine)) as engine:
            plan = Plan(engine.tokenizer)
            cases = {result.case.id: _planned(result) for result, _ in own}
            requests = [_request(plan, cases[result.case.id], result, draw) for result, draw in own]
            openings = {n: each for case in cases.values() for n, each in case.openings.items()}
            with ExitStack() as stack:
                others = {
                    name: stack.enter_context(
                        closing(open_engine(opening.model, opening.settings or experiment.engine))
                    )
                    for name, opening in openings.items()
                    if any(name in contributing(request) for request in requests)
                }
                for position, completion in Company(engine, others).generate(requests):
                    yield _held_against(*own[position], completion)


def _engine_key(result: CaseResult) -> str:
    experiment = result.case.experiment
    return f"{experiment.model} {experiment.engine.model_dump_json()}"


def _planned(result: CaseResult) -> PlannedCase:
    experiment = result.case.experiment
    return PlannedCase(result.case, task_of(experiment.task, experiment.prompt))


def _request(plan: Plan, case: PlannedCase, result: CaseResult, draw: DrawResult) -> Request:
    """The request that a completion was the answer to."""
    for address, asked in plan.requests(case, result.intervention):
        here = (address.sample, address.draw, address.step) == (draw.sample, draw.draw, 0)
        if here and not address.metric and isinstance(asked, Request):
            return asked
    raise TitrateError(f"{result.case.id}: {draw.sample} is no sample of {case.task.name}")


def _held_against(result: CaseResult, draw: DrawResult, made: Completion) -> AskedAgain:
    where = f"{result.case.id}, {draw.sample}, draw {draw.draw}"
    stored = draw.completion.tokens
    if made.error is not None:
        return AskedAgain(where, agrees=False, error=made.error)
    pairs = enumerate(zip(made.tokens, stored, strict=False))
    shorter = min(len(made.tokens), len(stored))
    at = next((n for n, (mine, theirs) in pairs if mine != theirs), shorter)
    scores, known = made.log_probabilities, draw.completion.log_probabilities
    gap = max(map(_distance, scores[:at], known[:at]), default=0.0)
    if made.tokens == tuple(stored):
        return AskedAgain(where, agrees=True, gap=gap)
    margin = scores[at] - known[at] if at < min(len(scores), len(known)) else 0.0
    return AskedAgain(where, agrees=False, token=at, margin=margin, gap=gap)


def _distance(one: float, other: float) -> float:
    return 0.0 if one == other else abs(one - other)
