"""Models that judge tokens: what they are asked, in several rotations, and what they cost.

Every rotation is asked in batches. Labels that cannot be read are UNKNOWN and asked for again, up
to 3 times by other seeds and once greedily; of all attempts the one with the fewest is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engines.contract import Asked, Completion, Reply, Request
from harness.errors import MetricError
from harness.measure.diffing.questions import prompt_named, tokens_of
from harness.measure.diffing.relevance import Facts, Label, parsed, restored, rotated
from harness.measure.diffing.section import JudgeSettings
from harness.sampling.chosen import SamplingRules
from harness.tasks.reasoning import without_reasoning

Ask = Callable[[Sequence[Asked]], list[Reply]]

#: Candidates of one question, and how often one is asked for again.
BATCH = 20
_RETRIES = 3


@dataclass
class Judged:
    """What raters said: a column of `ratings` for every judge and rotation, named in `raters`."""

    ratings: list[list[Label]]
    raters: list[str] = field(default_factory=list)
    tokens: int = 0
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    prompt: str = ""

    @property
    def unknown(self) -> list[float]:
        """Of every candidate the share of raters that said nothing."""
        return [sum(each is None for each in row) / max(len(row), 1) for row in self.ratings]


@dataclass(frozen=True)
class ModelAsker:
    """How a model is asked.

    Args:
        engine: What requests call it.
        tokenizer: Its tokenizer.
        ask: Answers requests, in their order.
    """

    engine: str
    tokenizer: Any
    ask: Ask

    def requests(
        self,
        conversations: Sequence[Any],
        *,
        temperature: float,
        seed: int,
        max_new_tokens: int,
    ) -> list[Request]:
        """One for each conversation."""
        rules = SamplingRules(temperature=temperature)
        return [
            Request(
                prompt=tokens_of(self.tokenizer, messages),
                max_new_tokens=max_new_tokens,
                sampling=rules,
                seed=seed if rules.random else 0,
                sample=f"question {number}",
                engine=self.engine,
            )
            for number, messages in enumerate(conversations)
        ]


def judged(
    tokens: Sequence[str], facts: Facts, judge: JudgeSettings, asker: ModelAsker, name: str
) -> Judged:
    """What one judge says of tokens, in all of its rotations; questions are asked together.

    Raises:
        MetricError: it gave no answer at all to a question.
    """
    prompt = prompt_named("token_relevance")
    found = Judged([[] for _ in tokens], prompt=f"{prompt.name} {prompt.version} {prompt.digest}")
    orders = [rotated(list(tokens), rotation) for rotation in range(judge.rotations)]
    questions = [
        order[begin : begin + BATCH] for order in orders for begin in range(0, len(order), BATCH)
    ]
    said_of = _labels(questions, facts, judge, asker, found)
    each = len(questions) // judge.rotations
    for rotation in range(judge.rotations if tokens else 0):
        parts = said_of[rotation * each : (rotation + 1) * each]
        labels = restored([label for part in parts for label in part], rotation)
        for row, label in zip(found.ratings, labels, strict=True):
            row.append(label)
        found.raters.append(f"{name} rotation {rotation + 1}")
    return found


def _labels(
    questions: Sequence[Sequence[str]],
    facts: Facts,
    judge: JudgeSettings,
    asker: ModelAsker,
    found: Judged,
) -> list[list[Label]]:
    """The labels of every question; those with UNKNOWN ones are asked again, together."""
    prompt = prompt_named("token_relevance")
    messages = [
        prompt.messages(
            description=facts.description, frequent=facts.frequent, candidates=list(tokens)
        )
        for tokens in questions
    ]
    best: list[list[Label]] = [[None] * len(tokens) for tokens in questions]
    attempts = [(judge.temperature, judge.seed)]
    attempts += [(judge.temperature or 1.0, judge.seed + at + 1) for at in range(_RETRIES)]
    attempts += [(0.0, 0)] if judge.temperature else []
    for number, (temperature, seed) in enumerate(attempts):
        open_ = [at for at, labels in enumerate(best) if None in labels]
        if not open_:
            break
        requests = asker.requests(
            [messages[at] for at in open_],
            temperature=temperature,
            seed=seed,
            max_new_tokens=judge.max_new_tokens,
        )
        for at, request, reply in zip(open_, requests, asker.ask(list(requests)), strict=True):
            text = said(reply)
            found.tokens += len(request.prompt) + spent(reply)
            labels = parsed(without_reasoning(text), len(questions[at]))
            answer = {"attempt": number, "tokens": list(questions[at]), "answer": text}
            found.answers.append(answer)
            if labels.count(None) < best[at].count(None):
                best[at] = labels
    return best


def said(reply: Reply) -> str:
    """What a judge answered. Raises `MetricError` where it gave no answer."""
    if not isinstance(reply, Completion) or reply.error is not None:
        raise MetricError(f"the judge gave no answer: {getattr(reply, 'error', None)}")
    return reply.text


def spent(reply: Reply) -> int:
    """Tokens of an answer."""
    return len(reply.tokens) if isinstance(reply, Completion) else 0
