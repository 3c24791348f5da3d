"""An agent that finds out what a model was tuned on, and how right it is.

It is told the tokens that a method lists, or nothing (blackbox), may ask the tuned model and the
one before a few times, and ends in a hypothesis, which is graded from 1 to 5.

Source: science-of-finetuning/diffing-toolkit, utils/agents and utils/graders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engines.contract import Asked, Request
from harness.interventions.base import Intervention
from harness.measure.diffing.judging import Ask, ModelAsker, said, spent
from harness.measure.diffing.questions import prompt_named
from harness.measure.diffing.relevance import Facts
from harness.measure.diffing.section import AgentSettings
from harness.tasks.reasoning import without_reasoning

_ASK = re.compile(r"^\W*ASK\s*:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_HYPOTHESIS = re.compile(r"^\W*HYPOTHESIS\s*:\s*(.+)\Z", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_SCORE = re.compile(r"SCORE\s*:\s*\**\s*([1-5])\b", re.IGNORECASE)
#: Tokens that a model answers an agent with, and how often a grade is asked for again.
_ANSWER, _RETRIES = 64, 3


@dataclass
class Investigation:
    """One run of an agent.

    scores: of every grading; None of one that could not be read. answers: what was asked of the
    models, with what they said.
    """

    blackbox: bool
    run: int
    hypothesis: str = ""
    scores: list[float | None] = field(default_factory=list)
    answers: list[dict[str, str]] = field(default_factory=list)
    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Models:
    """The two models that an agent may ask: the engines' names, and what is done to the tuned."""

    tokenizer: Any
    tuned: str
    intervention: Intervention | None
    ask: Ask

    def answers(self, text: str) -> tuple[str, str]:
        """What the tuned model says behind a text, and what the one before says; greedy."""
        prompt = tuple(self.tokenizer(text)["input_ids"])
        asked: list[Asked] = [
            Request(prompt, _ANSWER, self.intervention, engine=self.tuned),
            Request(prompt, _ANSWER),
        ]
        tuned, base = self.ask(asked)
        return said(tuned), said(base)


def investigated(
    overview: str, settings: AgentSettings, agent: ModelAsker, models: Models, run: int
) -> Investigation:
    """Let an agent ask and think until it has a hypothesis; `overview` is empty for blackbox."""
    found = Investigation(blackbox=not overview, run=run)
    left = settings.interactions
    prompt = prompt_named("agent")
    messages: list[Any] = [*prompt.messages(overview=overview, interactions=left)]
    while found.calls < settings.calls and found.tokens < settings.tokens:
        (request,) = agent.requests(
            [messages],
            temperature=settings.temperature,
            seed=settings.seed + run,
            max_new_tokens=settings.max_new_tokens,
        )
        (reply,) = agent.ask([request])
        found.calls += 1
        found.tokens += spent(reply)
        text = without_reasoning(said(reply))
        stated, asked = _HYPOTHESIS.search(text), _ASK.search(text)
        if stated is not None and (asked is None or stated.start() < asked.start()):
            found.hypothesis = stated[1].strip()
            break
        if asked is not None and left:
            left -= 1
            tuned, base = models.answers(asked[1])
            found.answers.append({"asked": asked[1], "tuned": tuned, "base": base})
            answer = (
                f"The fine-tuned model says: {tuned}\nThe model before says: {base}\n"
                f"You may ask {left} more times."
            )
        elif asked is not None:
            answer = "You have no questions left. Give your HYPOTHESIS:"
        else:
            answer = "Answer with a line ASK: or a line HYPOTHESIS:"
        messages += [
            {"role": "assistant", "content": text},
            {"role": "user", "content": answer},
        ]
    return found


def graded(
    hypothesis: str, facts: Facts, gradings: int, judge: ModelAsker | None
) -> tuple[list[float | None], int]:
    """The grades of a hypothesis, and the tokens that they cost; by the facts without a judge."""
    if not hypothesis:
        return [1.0] * gradings, 0
    if judge is None:
        return [by_facts(hypothesis, facts)], 0
    prompt = prompt_named("hypothesis")
    messages = prompt.messages(
        description=facts.description, facts=list(facts.statements), hypothesis=hypothesis
    )
    scores: list[float | None] = []
    tokens = 0
    for grading in range(gradings):
        score = None
        for attempt in range(_RETRIES + 1):
            seed = grading * (_RETRIES + 1) + attempt
            (request,) = judge.requests(
                [messages], temperature=1.0 if seed else 0.0, seed=seed, max_new_tokens=256
            )
            (reply,) = judge.ask([request])
            tokens += len(request.prompt) + spent(reply)
            score = score_of(said(reply))
            if score is not None:
                break
        scores.append(score)
    return scores, tokens


def score_of(text: str) -> float | None:
    """The number of the last line `SCORE: n`, None where there is none from 1 to 5."""
    found = _SCORE.findall(without_reasoning(text))
    return float(found[-1]) if found else None


def by_facts(hypothesis: str, facts: Facts) -> float:
    """The offline grade: by how many words of facts are named, and words that are frequent."""
    words = set(re.findall(r"\w+", hypothesis.casefold()))
    named = len(words & facts.words) / max(len(facts.words), 1)
    topic = bool(words & {each.casefold() for each in facts.frequent})
    for least, score in ((0.75, 5.0), (0.5, 4.0)):
        if named > least:
            return score
    if named:
        return 3.0
    return 2.0 if topic else 1.0


def overview_of(listed: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Lists of tokens as an agent is told them."""
    return "\n".join(
        f"{name or 'tokens'}: {', '.join(map(repr, tokens))}" for name, tokens in listed
    )
