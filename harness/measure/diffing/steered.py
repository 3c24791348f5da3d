"""What a model says when it is steered by the difference, as strongly as it stays coherent.

The unit difference of a position, times the typical norm, times the strength, is added to a
layer's output at every position. The strength is searched for with the first prompt in [0, 100],
with others in [0, twice the first]; their mean is used for what is shown. It passes where at least
75 % of the texts whose coherence is known are coherent.

Source: science-of-finetuning/diffing-toolkit, activation_difference_lens, steering.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal, Self

from harness.engines.contract import Asked, Completion, Request, Scored, Scoring
from harness.errors import MetricError
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.residual import Residual, Term
from harness.measure.diffing.activations import Difference
from harness.measure.diffing.judging import Ask, ModelAsker, said
from harness.measure.diffing.questions import prompt_named
from harness.measure.diffing.section import SteeredSettings
from harness.measure.diffing.strength import MOST, strongest
from harness.sampling.chosen import SamplingRules
from harness.tasks.reasoning import without_reasoning

#: The share of coherent texts at which a strength passes.
_COHERENT = 0.75
_SEARCHED, _SHOWN = 1.2, 1.1
_VERDICT = re.compile(r"ANSWER\s*:\s*\**\s*(COHERENT|INCOHERENT)\b", re.IGNORECASE)
#: Trigrams of words of which fewer than this share are different are a loop.
_VARIED = 0.5

Coherence = Callable[[Sequence[tuple[Request, Completion]]], Sequence[bool | None]]


class Direction(Residual):
    """The difference that is added."""

    kind: Literal["difference"] = "difference"
    terms: tuple[Term, ...] = ()

    def neutral(self) -> Self:
        """Nothing is added."""
        return self.model_copy(update={"terms": ()})

    def additions(self) -> tuple[Term, ...]:
        """Its terms."""
        return self.terms


@dataclass
class SteeredPosition:
    """What came of one position's difference."""

    position: int
    strengths: list[float] = field(default_factory=list)
    steered: list[dict[str, Any]] = field(default_factory=list)
    unsteered: list[dict[str, Any]] = field(default_factory=list)

    @property
    def strength(self) -> float:
        """The mean over prompts."""
        return fmean(self.strengths) if self.strengths else 0.0


def by_difference(found: Difference, at: int, norm: float, strength: float) -> Direction:
    """The intervention; none at strength 0.

    Raises:
        MetricError: there is no difference at this position.
    """
    if not found.speaks(at):
        raise MetricError(f"the difference at position {found.labels[at]} is 0 within rounding")
    unit = found.delta[at] / found.delta[at].norm() * norm
    return Direction(
        terms=(Term(layer=found.layer, vector=Array(unit), alpha=strength, positions="all"),)
    )


def steered(
    found: Difference,
    at: int,
    norm: float,
    settings: SteeredSettings,
    tokenizer: Any,
    engine: str,
    ask: Ask,
    coherence: Coherence,
) -> SteeredPosition:
    """Search the strength for every prompt, and show what is said with it and without."""
    result = SteeredPosition(found.labels[at])
    prompts = [tuple(tokenizer(prompt)["input_ids"]) for prompt in settings.prompts]

    def drawn(
        prompt: tuple[int, ...], strength: float, temperature: float, draws: int, length: int
    ) -> list[Request]:
        doing: Intervention | None = by_difference(found, at, norm, strength)
        return [
            Request(
                prompt,
                length,
                doing if strength else None,
                SamplingRules(temperature=temperature),
                seed=settings.seed,
                sample="steered",
                draw=draw,
                engine=engine,
            )
            for draw in range(draws)
        ]

    for prompt in prompts:

        def passes(strengths: Sequence[float], prompt: tuple[int, ...] = prompt) -> list[bool]:
            parts = [
                drawn(prompt, each, _SEARCHED, settings.draws, settings.searched_tokens)
                for each in strengths
            ]
            texts = _answered(ask, [request for part in parts for request in part])
            step = settings.draws
            return [
                _passes(coherence(texts[begin : begin + step]))
                for begin in range(0, len(texts), step)
            ]

        most = 2 * result.strengths[0] if result.strengths else MOST
        result.strengths.append(strongest(passes, most) if most else 0.0)
    for prompt, words in zip(prompts, settings.prompts, strict=True):
        for strength, into in ((result.strength, result.steered), (0.0, result.unsteered)):
            requests = drawn(prompt, strength, _SHOWN, settings.shown, settings.shown_tokens)
            into += [
                {"prompt": words, "strength": strength, "text": completion.text}
                for _, completion in _answered(ask, requests)
            ]
    return result


def _answered(ask: Ask, requests: list[Request]) -> list[tuple[Request, Completion]]:
    asked: list[Asked] = list(requests)
    return [
        (request, reply)
        for request, reply in zip(requests, ask(asked), strict=True)
        if isinstance(reply, Completion) and reply.error is None
    ]


def _passes(verdicts: Sequence[bool | None]) -> bool:
    """Whether enough of what is known is coherent; nothing known is nothing coherent."""
    known = [each for each in verdicts if each is not None]
    return bool(known) and sum(known) >= _COHERENT * len(known)


def judged_coherence(asker: ModelAsker, max_new_tokens: int) -> Coherence:
    """Ask a model about every text; empty ones are left out."""
    prompt = prompt_named("coherence")

    def verdicts(texts: Sequence[tuple[Request, Completion]]) -> list[bool | None]:
        written = [completion.text for _, completion in texts if completion.text.strip()]
        requests = asker.requests(
            [prompt.messages(text=text) for text in written],
            temperature=0.0,
            seed=0,
            max_new_tokens=max_new_tokens,
        )
        found = []
        for reply in asker.ask(list(requests)):
            labels = _VERDICT.findall(without_reasoning(said(reply)))
            found.append(labels[-1].upper() == "COHERENT" if labels else None)
        return found

    return verdicts


def plain_coherence(ask: Ask, vocabulary: int) -> Coherence:
    """Without a judge: a text is coherent that is no loop, and that the untouched model finds
    likelier than words at random: at most half of their nats per token.
    """
    most = math.log(vocabulary) / 2

    def verdicts(texts: Sequence[tuple[Request, Completion]]) -> list[bool | None]:
        written = [each for each in texts if each[1].text.strip()]
        asked: list[Asked] = [
            Scoring(request.prompt, (completion.tokens,)) for request, completion in written
        ]
        found: list[bool | None] = []
        for (_, completion), reply in zip(written, ask(asked), strict=True):
            if not isinstance(reply, Scored) or reply.error is not None:
                found.append(None)
                continue
            (scores,) = reply.log_probabilities
            found.append(-fmean(scores) <= most and _varied(completion.text))
        return found

    return verdicts


def _varied(text: str) -> bool:
    words = text.split()
    trigrams = [tuple(words[at : at + 3]) for at in range(len(words) - 2)]
    return len(set(trigrams)) >= _VARIED * len(trigrams)
