"""A random sample of a bundle's requests, asked of the model again where it is at hand.

Only this finds tokens that were replaced together with all that follows from them. Another
machine's kernels may round otherwise, so that what comes back is agreement, not equality: where two
completions part, the margin says how close the two tokens were.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.engines import open_engine
from harness.engines.contract import Request
from harness.errors import TitrateError
from harness.resolve.tasks import task_of
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult, DrawResult


@dataclass(frozen=True)
class Asked:
    """One request that was asked again."""

    where: str
    agrees: bool
    token: int = 0
    """Where the completions part."""
    margin: float = 0.0
    """How much more probable the model finds its own token there than it found the stored one, in
    nats; 0 where no log-probabilities are stored."""

    def __str__(self) -> str:
        if self.agrees:
            return f"{self.where}: the same tokens"
        return f"{self.where}: parts at token {self.token}, by {self.margin:.2g} nats"


def asked_again(results: Sequence[CaseResult], count: int, seed: str) -> Iterator[Asked]:
    """Ask `count` requests again, drawn by chance from all; `seed` decides which.

    Raises:
        TitrateError: a model is not at hand, or is not the one of the run.
    """
    drawn = [(result, draw) for result in results for draw in result.draws]
    chosen = random.Random(seed).sample(drawn, min(count, len(drawn)))
    models = {_engine_key(result): result for result, _ in chosen}
    for key, first in models.items():
        experiment = first.case.experiment
        engine = open_engine(experiment.model, experiment.engine)
        try:
            own = [(result, draw) for result, draw in chosen if _engine_key(result) == key]
            requests = [_request(engine.tokenizer, result, draw) for result, draw in own]
            for position, completion in engine.generate(requests):
                result, draw = own[position]
                yield _held_against(result, draw, completion.tokens, completion.log_probabilities)
        finally:
            engine.close()


def _engine_key(result: CaseResult) -> str:
    experiment = result.case.experiment
    return f"{experiment.model} {experiment.engine.model_dump_json()}"


def _request(tokenizer: object, result: CaseResult, draw: DrawResult) -> Request:
    experiment = result.case.experiment
    task = task_of(experiment.task, experiment.prompt)
    planned = PlannedCase(result.case, task)
    for address, asked in Plan(tokenizer).requests(planned, result.intervention):
        here = (address.sample, address.draw, address.step) == (draw.sample, draw.draw, 0)
        if here and not address.metric and isinstance(asked, Request):
            return asked
    raise TitrateError(f"{result.case.id}: {draw.sample} is no sample of {task.name}")


def _held_against(
    result: CaseResult, draw: DrawResult, tokens: Sequence[int], scores: Sequence[float]
) -> Asked:
    where = f"{result.case.id}, {draw.sample}, draw {draw.draw}"
    stored = draw.completion.tokens
    if tuple(tokens) == tuple(stored):
        return Asked(where, agrees=True)
    pairs = enumerate(zip(tokens, stored, strict=False))
    at = next((n for n, (mine, theirs) in pairs if mine != theirs), min(len(tokens), len(stored)))
    known = draw.completion.log_probabilities
    margin = scores[at] - known[at] if at < min(len(scores), len(known)) else 0.0
    return Asked(where, agrees=False, token=at, margin=margin)
