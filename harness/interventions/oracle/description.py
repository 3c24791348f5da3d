"""Guided inference: a model writes an answer and may ask an oracle for the next tokens.

The answer grows in pieces, on token ids. At every occasion, which is where a piece is complete:

    asked enough        the rest is the model's own, in one piece
    trigger fires       the oracle says up to `length` tokens, greedily; one of `budget` is spent
    otherwise           the model says up to `step` tokens, as it would anyway

The first occasion comes before any token. A piece that ends the sequence (an end token, a stop
string, the limit) ends the answer, whoever said it; every piece has a token or ends, so that this
ends, too. Where pieces begin changes nothing of what a model says: with no budget the answer is the
model's own, token for token, and with all of it the oracle's.

Source: swairshah/Guided-Inference (b7c88de), with `budget` c, `length` k and `step` 10; there
pieces are stripped of whitespace and encoded anew, and go on behind the end of a turn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import NonNegativeInt, PositiveInt

from harness.interventions.certainty import OF_DISTRIBUTIONS, attention_statistics, of_steps
from harness.interventions.oracle.promise import Promise, ValidationSplit
from harness.interventions.oracle.trigger import AnyTrigger, Moment, ThresholdTrigger
from harness.interventions.policy import (
    AUTHOR,
    STEP,
    Draw,
    Guidance,
    Next,
    Probe,
    Probed,
    Underway,
)

if TYPE_CHECKING:
    from torch import Tensor

Endless: TypeAlias = Literal["inf"]
"""As many as there can be."""

#: What was read of the model at the last occasion, by `asked NAME`; 0 where nothing was.
READ = "asked"
#: What it looked at when it asked for the n-th time, by `looked n`: the mean over heads.
LOOKED = "looked"


class Oracle(Guidance):
    """How much help there is, and when it is asked for."""

    kind: Literal["oracle"] = "oracle"
    engine: str
    """The oracle's name in the company of the run; who it is stands in its fingerprint."""
    trigger: AnyTrigger
    budget: NonNegativeInt | Endless = 0
    """Consultations of an answer. 0 is neutral."""
    length: NonNegativeInt | Endless = 10
    """Tokens of a consultation at most. 0 is neutral, too."""
    step: PositiveInt = 10
    """Tokens between two occasions."""
    statistics: bool = True
    """Whether the model's distribution is read wherever the oracle is asked."""
    attention: bool = False
    """Whether its attention is read with it."""
    steps: bool = False
    """Whether both are read of every token of the whole answer, too, whoever wrote it."""
    promise: Promise | None = None
    """What its threshold was fitted to recover; it is no part of what is done."""
    split: ValidationSplit | None = None
    """What its threshold was fitted on, which is none either."""

    def neutral(self) -> Self:
        """Never asked."""
        return self.model_copy(update={"budget": 0})

    @property
    def is_neutral(self) -> bool:
        """Whether the oracle can say nothing."""
        return 0 in (self.budget, self.length)

    def engines(self) -> tuple[str, ...]:
        """The oracle, where it is asked."""
        return () if self.is_neutral else (self.engine,)

    @property
    def asks_by(self) -> str:
        """Its trigger."""
        return self.trigger.kind

    @property
    def tokens_of_help(self) -> int | str:
        """Its length."""
        return self.length

    @property
    def promised(self) -> Mapping[str, float] | None:
        """What its threshold was fitted to recover."""
        if self.promise is None:
            return None
        assert isinstance(self.trigger, ThresholdTrigger)
        assert self.trigger.threshold is not None
        return {**self.promise.model_dump(), "threshold": self.trigger.threshold}

    @property
    def fitted_on(self) -> Mapping[str, float | str | None] | None:
        """What its threshold was fitted on."""
        if self.split is None:
            return None
        assert isinstance(self.trigger, ThresholdTrigger)
        return {**self.split.model_dump(), "threshold": self.trigger.threshold}

    @property
    def looks_back(self) -> bool:
        """Where every step is asked for."""
        return self.steps

    def seen(self, logits: Tensor, scores: Tensor | None) -> Mapping[str, tuple[float, ...]]:
        """The statistics of every step."""
        told = of_steps(logits, scores)
        return {f"{STEP} {name}": values for name, values in told.items()}

    def course_of(self, sequence: Underway) -> Consulting:
        """Asked by the trigger, as long as the budget lasts."""
        return Consulting(self, sequence)

    def in_words(self) -> str:
        """For the names of requests."""
        return f"{self.trigger.kind}, {self.budget} of {self.length}"

    @cached_property
    def _digest(self) -> str:
        # By its content: the oracle's name says where it is found, and not what it is.
        content = self.model_dump(mode="json", exclude={"engine", "promise", "split", "trigger"})
        content["trigger"] = self.trigger.content()
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class Consulting:
    """One answer: who said what so far."""

    oracle: Oracle
    sequence: Underway
    asked: list[int] = field(default_factory=list)
    """The positions of its consultations."""
    _ends: list[int] = field(default_factory=list)
    """Where what was said at each of them ends."""
    _occasions: int = 0
    _piece_at: int | None = None
    """Where the model's last piece begins; None while the oracle has spoken last."""
    _read: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    _looked: list[tuple[float, ...]] = field(default_factory=list)
    """At each consultation, the weight of every token that was written by then."""

    def next(self, step: int, answers: Sequence[Probed]) -> Next:
        """Ask or go on; what the trigger reads is asked for first."""
        if len(self._ends) < len(self.asked) and not answers:
            self._ends.append(step)
        if self.oracle.budget != "inf" and len(self.asked) >= self.oracle.budget:
            return Draw(None, rest=True)
        trigger = self.oracle.trigger
        if trigger.reads and not answers:
            others = [self.oracle.engine] if "oracle" in trigger.reads else []
            return self._probe(*others)
        moment = self._moment(step, answers)
        if answers:
            self._note(step, answers[0], moment)
        if trigger.fires(moment):
            if self.oracle.statistics and not answers:
                return self._probe()
            if self.oracle.steps and moment.attention is not None:
                weights = moment.attention[0].mean(dim=0).tolist()
                self._looked.append(tuple(weights[len(weights) - min(step, len(weights)) :]))
            return self._consult(step)
        return self._own_piece(step, moment)

    def traces(self, tokens: int) -> Mapping[str, tuple[float, ...]]:
        """Whose each token is, and what was read of the model at the occasion before it."""
        author = [0.0] * tokens
        ends = [*self._ends, tokens]
        for number, (begin, end) in enumerate(zip(self.asked, ends, strict=False), start=1):
            author[begin:end] = [float(number)] * (min(end, tokens) - begin)
        found = {AUTHOR: tuple(author)}
        for name in self._read[0][1] if self._read else ():
            values = [0.0] * tokens
            for position, numbers in self._read:
                values[position:] = [numbers[name]] * (tokens - position)
            found[f"{READ} {name}"] = tuple(values)
        for number, weights in enumerate(self._looked, start=1):
            # A window has left the first ones behind.
            at = self.asked[number - 1]
            row = (*[0.0] * (at - len(weights)), *weights, *[0.0] * (tokens - at))
            found[f"{LOOKED} {number}"] = row[:tokens]
        return found

    def _moment(self, step: int, answers: Sequence[Probed] = ()) -> Moment:
        return Moment(
            occasion=self._occasions,
            position=step,
            limit=self.sequence.limit,
            sample=self.sequence.sample,
            draw=self.sequence.draw,
            piece=self._piece,
            distribution=answers[0].distribution if answers else None,
            oracle=answers[1].distribution if len(answers) > 1 else None,
            attention=answers[0].attention if answers else None,
            hidden=answers[0].hidden if answers else None,
        )

    def _piece(self) -> str:
        """What the model wrote last, if it wrote last."""
        return "" if self._piece_at is None else self.sequence.text(self._piece_at)

    def _probe(self, *others: str) -> Probe:
        """The token to come, of the model itself and of these."""
        return Probe(
            (None,) * (1 + len(others)),
            ("", *others),
            attention=self.oracle.attention or "attention" in self.oracle.trigger.reads,
            hidden=self.oracle.trigger.place,
        )

    def _note(self, step: int, answer: Probed, moment: Moment) -> None:
        numbers = {name: of(answer.distribution) for name, of in OF_DISTRIBUTIONS.items()}
        if answer.attention is not None:
            numbers |= attention_statistics(*answer.attention)
        trigger = self.oracle.trigger
        if isinstance(trigger, ThresholdTrigger) and trigger.statistic not in numbers:
            numbers[trigger.statistic] = trigger.measured(moment)
        self._read.append((step, numbers))

    def _consult(self, step: int) -> Draw:
        self._occasions += 1
        self._piece_at = None
        self.asked.append(step)
        length = self.oracle.length
        if length == "inf":
            return Draw(None, rest=True, engine=self.oracle.engine)
        return Draw(None, tokens=length, engine=self.oracle.engine)

    def _own_piece(self, step: int, moment: Moment) -> Draw:
        """The model's own tokens up to the next occasion, or to the next that is known to ask."""
        self._occasions += 1
        self._piece_at = step
        tokens = self.oracle.step
        if not self.oracle.trigger.foreseen:
            return Draw(None, tokens=tokens)
        while step + tokens < moment.limit:
            if self.oracle.trigger.fires(self._moment(step + tokens)):
                return Draw(None, tokens=tokens)
            self._occasions += 1
            tokens += self.oracle.step
        return Draw(None, rest=True)
