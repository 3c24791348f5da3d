"""Asks an oracle at every position of a case's answers, and chooses in hindsight.

The definitions, and why most of it is not computed: `harness/measure/value_of_asking.py`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from harness.engines.contract import Completion, FinishReason, Request, Stop
from harness.errors import ModelError
from harness.files.atomic import write_file
from harness.interventions.looking_back import LookingBack
from harness.interventions.policy import STEP
from harness.measure import hindsight
from harness.measure.hindsight import Chains, Consultation, metrics_of_chains
from harness.measure.value_of_asking import NAME, VALUE, AskingSettings, metrics_of_maps
from harness.runs.generated import result_of, with_pieces
from harness.runs.planned_case import PlannedCase
from harness.runs.readers import Readers
from harness.sampling.chosen import SamplingRules
from harness.spec.engine_kind import engine_named
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Sample, Score
from harness.tasks.conversations import render


@dataclass
class _Answer:
    """One answer, and what is known of asking at each of its positions."""

    sample: Sample
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str
    right: bool
    log: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Numbers of the model's distributions, token by token, by their names."""
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """What is kept with its samples of them."""
    finish_reason: FinishReason = "stop"
    """Of the model's own answer."""
    score: Score | None = None
    """Of the model's own answer."""
    first: int = 0
    """Where the next consultation may begin: behind the last one."""
    asked: int = 0
    """Tokens of the oracle in it."""
    said: dict[int, Completion] = field(default_factory=dict)
    """What the oracle says at the positions at which that is another token, in their order."""
    after: dict[tuple[int, int], tuple[tuple[int, ...], str, bool]] = field(default_factory=dict)
    """Tokens, text and verdict after its first j tokens at p."""

    def at(self, position: int, length: int) -> tuple[int, int] | None:
        """Which (p, j) a consultation there comes to; None where the oracle says the same."""
        found = next((p for p in self.said if position <= p < position + length), None)
        if found is None:
            return None
        return found, min(length - (found - position), len(self.said[found].tokens))

    def values(self, length: int) -> list[int]:
        """v(t) for every position."""
        found = []
        for position in range(len(self.tokens)):
            place = self.at(position, length)
            right = self.right if place is None else self.after[place][2]
            found.append(int(right) - int(self.right))
        return found


class _Ended(NamedTuple):
    """An answer after the first j tokens that the oracle says at p, place (p, j)."""

    answer: _Answer
    place: tuple[int, int]
    tokens: tuple[int, ...]
    text: str


#: Asks one question after the other, each by what came of the one before.
_Talk: TypeAlias = Generator[Request, Completion, None]


def measured_case(
    readers: Readers,
    case: PlannedCase,
    intervention: Any,
    folder: Path,
    told: Callable[[float], None],
) -> CaseResult:
    """The map of every sample, and what could have been chosen in hindsight."""
    del intervention
    settings: AskingSettings = case.experiment.section_of(NAME)
    asking = _Asking(readers, case, settings)
    own = asking.own()
    asking.look(own)
    maps = {each.sample.id: each.values(settings.length) for each in own}
    told(len(own) / 2)
    metrics = metrics_of_maps(
        maps,
        {each.sample.id: each.right for each in own},
        {each.sample.id: each.log for each in own},
    )
    draws = tuple(
        DrawResult(
            each.sample.id,
            0,
            str(asking.tokenizer.decode(each.prompt)),
            Completion(
                each.tokens,
                each.text,
                each.finish_reason,
                traces={VALUE: tuple(map(float, maps[each.sample.id])), **each.steps},
            ),
            each.score or Score(each.right, parsed=True),
            instead=tuple(
                (p, str(asking.tokenizer.decode(said.tokens))) for p, said in each.said.items()
            ),
        )
        for each in own
    )
    rounds = [own]
    for calls in range(1, settings.hindsight + 1):
        rounds.append(asking.helped(rounds[-1]))
        if calls < settings.hindsight:
            asking.look([each for each in rounds[-1] if not each.right])
        told(len(own) * (0.5 + 0.5 * calls / settings.hindsight))
    chains = _chains(rounds, settings.length)
    metrics |= metrics_of_chains(
        {
            each.sample.id: Consultation(tokens=each.tokens, text=each.text, right=each.right)
            for each in own
        },
        chains,
        settings.hindsight,
    )
    content = hindsight.written(chains)
    place = folder / hashlib.sha256(content.encode()).hexdigest()[:24]
    write_file(place / hindsight.FILE, content)
    result = result_of(
        case,
        "complete",
        draws=draws,
        sample_metrics=metrics,
        counts=dict(asking.counts),
        artefacts=str(place.absolute()),
    )
    return with_pieces(result, asking.tokenizer)


def _chains(rounds: Sequence[Sequence[_Answer]], length: int) -> Chains:
    """What was chosen for each sample, round after round; maps were made for all but the last."""
    chains: dict[str, list[Consultation]] = {each.sample.id: [] for each in rounds[0]}
    for before, after in pairwise(rounds):
        for one, other in zip(before, after, strict=True):
            if other is one:
                continue
            looked = after is not rounds[-1] and not other.right
            found = Consultation(
                at=other.first - (other.asked - one.asked),
                until=other.first,
                tokens=other.tokens,
                text=other.text,
                right=other.right,
                worth=tuple(other.values(length)[other.first :]) if looked else (),
            )
            chains[one.sample.id].append(found)
    return chains


class _Asking:
    """What is asked of both models, and how many token positions that took."""

    def __init__(self, readers: Readers, case: PlannedCase, settings: AskingSettings) -> None:
        self._ask = readers.ask
        self._case = case
        self._length = settings.length
        self._limit = case.experiment.sampling.max_new_tokens
        self._oracle = settings.model
        self._rules = SamplingRules(**case.experiment.sampling.rules)
        # As every engine does that policies can be followed on.
        engine = engine_named(case.experiment.engine.name)
        self._tells = "policy" in engine.mechanisms
        self._looks_back = "logits" in engine.captures
        self.tokenizer = readers.engines[""].tokenizer
        self.counts = Counter[str]()

    def own(self) -> list[_Answer]:
        """The model's own answers."""
        style = self._case.experiment.prompt.style
        samples = self._case.task.samples
        prompts = [
            tuple(render(self.tokenizer, self._case.task.prompt(sample, style)))
            for sample in samples
        ]
        told: Any = {"logged": self._tells}
        if self._looks_back:
            told = {"intervention": LookingBack(beside=(self._oracle,))}
        asked = [
            replace(self._request(prompt, sample, (), self._limit), **told)
            for sample, prompt in zip(samples, prompts, strict=True)
        ]
        replies = self._replies(asked)
        scores = self._scored(samples, [reply.text for reply in replies])
        return [
            _answer(sample, prompt, reply, score)
            for sample, prompt, reply, score in zip(samples, prompts, replies, scores, strict=True)
        ]

    def look(self, answers: Sequence[_Answer]) -> None:
        """Find out what asking at every position of these would come to."""
        self._in_turns(map(self._listening, answers))
        ended: list[_Ended] = []
        self._in_turns(self._going_on(answer, ended) for answer in answers)
        right = self._right([each.answer.sample for each in ended], [each.text for each in ended])
        for each, verdict in zip(ended, right, strict=True):
            each.answer.after[each.place] = (each.tokens, each.text, verdict)
        for answer in answers:
            self._count_naive(answer)

    def helped(self, answers: Sequence[_Answer]) -> list[_Answer]:
        """Each answer after one more consultation, chosen by its map; right ones need none."""
        return [answer if answer.right else self._best(answer) for answer in answers]

    def _best(self, answer: _Answer) -> _Answer:
        places = [
            (position, place)
            for position in range(answer.first, len(answer.tokens))
            if (place := answer.at(position, self._length)) is not None
        ]
        if not places:
            return answer
        found = next((each for each in places if answer.after[each[1]][2]), None)
        # None is worth anything by itself: begin at the first token that the oracle would not say.
        p, said = next(iter(answer.said.items()))
        position, place = found or (p, (p, len(said.tokens)))
        tokens, text, right = answer.after[place]
        end = place[0] + place[1]
        return _Answer(
            answer.sample,
            answer.prompt,
            tokens,
            text,
            right,
            first=end,
            asked=answer.asked + end - position,
        )

    def _in_turns(self, talks: Iterable[_Talk]) -> None:
        """All of these at once, one question of each at a time.

        So each has one sequence in its engine, which reads nothing twice.
        """
        waiting = [(talk, asked) for talk in talks if (asked := next(talk, None)) is not None]
        while waiting:
            replies = self._replies([asked for _, asked in waiting])
            waiting = [
                (talk, asked)
                for (talk, _), reply in zip(waiting, replies, strict=True)
                if (asked := _next(talk, reply)) is not None
            ]

    def _listening(self, answer: _Answer) -> _Talk:
        """What the oracle says wherever an answer does not, behind what was settled before.

        It goes along the answer, whose tokens it is given for drafts, a consultation at a time.
        """
        at = answer.first
        while at < len(answer.tokens):
            most = min(self._length, self._limit - at)
            asked = self._behind(answer, answer.tokens[:at], most, self._oracle)
            reply = yield replace(asked, draft=answer.tokens[at : at + most])
            self.counts["oracle positions"] += len(reply.tokens)
            same = _alike(reply.tokens, answer.tokens[at:])
            at += same
            said = reply.tokens[same:]
            if not said:
                continue
            missing = min(self._length, self._limit - at) - len(said)
            if missing and reply.finish_reason == "length":
                before = (*answer.tokens[:at], *said)
                reply = yield self._behind(answer, before, missing, self._oracle)
                self.counts["oracle positions"] += len(reply.tokens)
                said = (*said, *reply.tokens)
            answer.said[at] = Completion(said, reply.text, reply.finish_reason)
            at += 1

    def _going_on(self, answer: _Answer, ended: list[_Ended]) -> _Talk:
        """What follows every beginning of what the oracle says, each distinct one once.

        As long as the model goes on as the oracle does, what it says is what follows the longer
        beginnings, too. The last position comes first: what is before it is read.
        """
        for p, said in reversed(answer.said.items()):
            j = 1
            while j <= len(said.tokens):
                tokens, text, end = (*answer.tokens[:p], *said.tokens[:j]), said.text, j
                room = self._limit - len(tokens)
                if room > 0 and (j < len(said.tokens) or said.finish_reason != "stop"):
                    made = yield self._behind(answer, tokens, room)
                    self.counts["model positions"] += len(made.tokens)
                    end += _alike(said.tokens[j:], made.tokens)
                    tokens, text = (*tokens, *made.tokens), made.text
                ended += [_Ended(answer, (p, each), tokens, text) for each in range(j, end + 1)]
                j = end + 1

    def _count_naive(self, answer: _Answer) -> None:
        """What asking and going on from every position would have taken."""
        for position in range(answer.first, len(answer.tokens)):
            place = answer.at(position, self._length)
            length = len(answer.tokens) if place is None else len(answer.after[place][0])
            helped = min(self._length, length - position)
            self.counts["oracle positions, naive"] += helped
            self.counts["model positions, naive"] += length - position - helped

    def _behind(
        self, answer: _Answer, before: Sequence[int], left: int, engine: str = ""
    ) -> Request:
        """What is said behind these tokens in the place of an answer."""
        return self._request(answer.prompt, answer.sample, before, left, engine)

    def _request(
        self,
        prompt: tuple[int, ...],
        sample: Sample,
        before: Sequence[int],
        left: int,
        engine: str = "",
    ) -> Request:
        # The model draws as its case says, by noise that goes by the place in the answer, whoever
        # said what is before it; the oracle says its best tokens, as one that helps does.
        rules = SamplingRules() if engine else self._rules
        strings = self._case.task.stop_strings(self._case.experiment.prompt.style)
        return Request(
            (*prompt, *before),
            left,
            sampling=rules,
            seed=self._case.experiment.seed if rules.random else 0,
            stop=Stop(strings=strings),
            sample=sample.id,
            continued=len(before),
            engine=engine,
        )

    def _right(self, samples: Sequence[Sample], texts: Sequence[str]) -> list[bool]:
        return [bool(score.correct) for score in self._scored(samples, texts)]

    def _scored(self, samples: Sequence[Sample], texts: Sequence[str]) -> Sequence[Score]:
        style = self._case.experiment.prompt.style
        answers = [(sample, style, text) for sample, text in zip(samples, texts, strict=True)]
        return self._case.task.score(answers)

    def _replies(self, asked: Sequence[Request]) -> list[Completion]:
        """Raises ModelError for the first question that came to nothing."""
        replies = self._ask(list(asked)) if asked else []
        for reply in replies:
            if reply.error is not None:
                raise ModelError(f"{NAME}: {reply.error}")
        return [reply for reply in replies if isinstance(reply, Completion)]


def _next(talk: _Talk, reply: Completion) -> Request | None:
    """What is asked after a reply; nothing at the end."""
    try:
        return talk.send(reply)
    except StopIteration:
        return None


def _answer(sample: Sample, prompt: tuple[int, ...], reply: Completion, score: Score) -> _Answer:
    """One of the model's own, with the numbers of its steps that came with it."""
    steps = {name: values for name, values in reply.traces.items() if name.startswith(STEP)}
    log = {name.removeprefix(f"{STEP} "): values for name, values in steps.items()} or reply.traces
    return _Answer(
        sample,
        prompt,
        reply.tokens,
        reply.text,
        bool(score.correct),
        log,
        steps,
        reply.finish_reason,
        score,
    )


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)
