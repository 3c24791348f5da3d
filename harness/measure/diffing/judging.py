"""Models that judge tokens: what they are asked, in several rotations, and what they cost.

Every rotation is asked in batches. Labels that cannot be read are UNKNOWN and asked for again, up
to 3 times by other seeds and once greedily; of all attempts the one with the fewest is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engines.contract import Asked, Completion, Reply, Request, SamplingRules
from harness.errors import MetricError
from harness.measure.diffing.questions import Prompt, prompt_named, tokens_of
from harness.measure.diffing.relevance import Facts, Label, parsed, restored, rotated
from harness.measure.diffing.section import JudgeSettings
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
class Asker:
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
    tokens: Sequence[str], facts: Facts, judge: JudgeSettings, asker: Asker, name: str
) -> Judged:
    """What one judge says of tokens, in all of its rotations.

    Raises:
        MetricError: it gave no answer at all to a question.
    """
    prompt = prompt_named("token_relevance")
    found = Judged([[] for _ in tokens], prompt=f"{prompt.name} {prompt.version} {prompt.digest}")
    for rotation in range(judge.rotations if tokens else 0):
        labels: list[Label] = []
        order = rotated(list(tokens), rotation)
        for begin in range(0, len(order), BATCH):
            labels += _batch(order[begin : begin + BATCH], facts, judge, asker, prompt, found)
        for row, label in zip(found.ratings, restored(labels, rotation), strict=True):
            row.append(label)
        found.raters.append(f"{name} rotation {rotation + 1}")
    return found


def _batch(
    tokens: Sequence[str],
    facts: Facts,
    judge: JudgeSettings,
    asker: Asker,
    prompt: Prompt,
    found: Judged,
) -> list[Label]:
    """The labels of one question, asked again where some are UNKNOWN."""
    messages = prompt.messages(
        description=facts.description, frequent=facts.frequent, candidates=list(tokens)
    )
    best: list[Label] = [None] * len(tokens)
    attempts = [(judge.temperature, judge.seed)]
    attempts += [(judge.temperature or 1.0, judge.seed + at + 1) for at in range(_RETRIES)]
    attempts += [(0.0, 0)] if judge.temperature else []
    for number, (temperature, seed) in enumerate(attempts):
        (request,) = asker.requests(
            [messages], temperature=temperature, seed=seed, max_new_tokens=judge.max_new_tokens
        )
        (reply,) = asker.ask([request])
        text = said(reply)
        found.tokens += len(request.prompt) + spent(reply)
        labels = parsed(without_reasoning(text), len(tokens))
        found.answers.append({"attempt": number, "tokens": list(tokens), "answer": text})
        if labels.count(None) < best.count(None):
            best = labels
        if None not in best:
            break
    return best


def said(reply: Reply) -> str:
    """What a judge answered. Raises `MetricError` where it gave no answer."""
    if not isinstance(reply, Completion) or reply.error is not None:
        raise MetricError(f"the judge gave no answer: {getattr(reply, 'error', None)}")
    return reply.text


def spent(reply: Reply) -> int:
    """Tokens of an answer."""
    return len(reply.tokens) if isinstance(reply, Completion) else 0
