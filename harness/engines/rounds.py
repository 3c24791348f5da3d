"""Decoding in rounds: methods that choose a dose at every step, on the plain `generate` contract.

A round asks for one more token of every sequence, as short requests that continue what the engine
still holds. Dynamic activation composition needs two generations a round: the unsteered and the
fully steered distributions of all sequences side by side, then the token itself under the doses
that follow from them. Nothing here knows an engine; every engine that continues resident sequences
is fast at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from harness.engines.base import Completion, FinishReason, Request, Stop
from harness.interventions.base import Intervention
from harness.interventions.dac import DAC, dose

Generate = Callable[[Iterable[Request]], Iterator[tuple[int, Completion]]]


@dataclass
class _Sequence:
    """A request that is decoded in rounds, and the doses of its steps so far, per property."""

    position: int
    request: Request
    settings: DAC
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    doses: list[list[float]] = field(default_factory=list)

    def asking(self, intervention: Intervention | None) -> Request:
        """One more token under an intervention, with its distribution."""
        return replace(
            self.request,
            prompt=(*self.request.prompt, *self.tokens),
            max_new_tokens=1,
            intervention=intervention,
            stop=Stop(self.request.stop.tokens),
            continued=len(self.tokens),
            distribution=True,
        )


def generate_in_rounds(
    generate: Generate,
    requests: Sequence[tuple[int, Request]],
    finish: Callable[[Request, Sequence[int]], FinishReason | None],
    text: Callable[[Request, Sequence[int]], str],
    together: int,
) -> Iterator[tuple[int, Completion]]:
    """Yield `(position, completion)` of requests whose intervention is `DAC`.

    `finish` says whether a request ends with its latest token, `text` what its tokens read;
    `together` sequences are decoded side by side, so that all of their states stay resident.
    """
    waiting = list(requests)
    running: list[_Sequence] = []
    while waiting or running:
        while waiting and len(running) < together:
            position, request = waiting.pop(0)
            assert isinstance(request.intervention, DAC)
            settings = request.intervention
            doses: list[list[float]] = [[] for _ in settings.properties]
            running.append(_Sequence(position, request, settings, doses=doses))
        ended = _round(generate, running, finish)
        for sequence, reason, error in ended:
            running.remove(sequence)
            yield sequence.position, _completion(sequence, reason, error, text)


def _round(
    generate: Generate,
    running: Sequence[_Sequence],
    finish: Callable[[Request, Sequence[int]], FinishReason | None],
) -> list[tuple[_Sequence, FinishReason, str | None]]:
    """One more token for every sequence; those that end with it."""
    probes: list[Request] = []
    for sequence in running:
        step = len(sequence.tokens) + 1
        probes.append(sequence.asking(None))
        probes += [
            sequence.asking(sequence.settings.fully(index, step))
            for index in range(len(sequence.settings.properties))
        ]
    probed = dict(generate(probes))
    at = 0
    asked = []
    failed: dict[int, Completion] = {}
    for row, sequence in enumerate(running):
        own = [probed[at + offset] for offset in range(1 + len(sequence.doses))]
        at += len(own)
        refused = next((each for each in own if each.distribution is None), None)
        if refused is not None:
            failed[row] = refused
            continue
        unsteered, *steered = (_logits(each) for each in own)
        for doses, logits in zip(sequence.doses, steered, strict=True):
            doses.append(float(dose(unsteered[None], logits[None], sequence.settings)[0]))
        asked.append((row, sequence.asking(sequence.settings.composed(sequence.doses))))
    answers = dict(generate([request for _, request in asked]))
    drawn = {row: answers[index] for index, (row, _) in enumerate(asked)} | failed
    ended: list[tuple[_Sequence, FinishReason, str | None]] = []
    for row, sequence in enumerate(running):
        answer = drawn[row]
        if answer.finish_reason in ("error", "non_finite"):
            ended.append((sequence, answer.finish_reason, answer.error))
            continue
        sequence.tokens.append(answer.tokens[0])
        sequence.log_probabilities.append(answer.log_probabilities[0])
        reason = finish(sequence.request, sequence.tokens)
        if reason is not None:
            ended.append((sequence, reason, None))
    return ended


def _logits(completion: Completion) -> torch.Tensor:
    assert completion.distribution is not None
    return completion.distribution


def _completion(
    sequence: _Sequence,
    reason: FinishReason,
    error: str | None,
    text: Callable[[Request, Sequence[int]], str],
) -> Completion:
    if reason == "error":
        return Completion((), "", "error", error=error)
    names = [chosen.name for chosen in sequence.settings.properties]
    taken = len(sequence.tokens)
    return Completion(
        tokens=tuple(sequence.tokens),
        text=text(sequence.request, sequence.tokens),
        finish_reason=reason,
        log_probabilities=tuple(sequence.log_probabilities),
        traces={
            f"alpha.{name}": tuple(doses[:taken])
            for name, doses in zip(names, sequence.doses, strict=True)
        },
    )
