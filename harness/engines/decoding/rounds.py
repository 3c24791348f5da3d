"""Decoding in rounds: what is done at the next step is decided by what the model says at this one.

- A policy (`harness.interventions.policy`) runs on the plain `generate` of any engine that returns
  distributions: short calls for every token of all sequences in flight.
- Calls come in rounds: first all sequences' probes, side by side in one batch, as often as policies
  ask for more; then the tokens are drawn under what the policies made of the answers.
- Probes and draws of a guidance name the engine that they ask, and `generate` is a company's.
- An engine that keeps the columns of ended sequences reads one token per row and call: each row
  extends the one that it had in the round before. Rows of different sequences that are the same
  request (the conditions of a sweep before they part) are computed once.
- What a sample's other sequences have said, in rounds before or after their ends, is proposed for
  every piece of several tokens (`decoding/siblings.py`): whoever says it, it is verified there.
- What is left to generate when a policy has nothing more to decide is asked for in one piece, of
  all sequences together, so that these share the passes of long ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.engines.contract import Completion, Request, State, Stop, Watch
from harness.engines.decoding.siblings import SiblingTexts
from harness.engines.decoding.translation import InexactError, Translation
from harness.errors import RequestError
from harness.interventions.policy import Course, Deciding, Draw, Next, Probe, Probed
from harness.sampling.chosen import SamplingRules
from harness.spec.engine_kind import Mechanism

Generate = Callable[[Sequence[Request]], Iterator[tuple[int, Completion]]]

#: How a probe ends that says nothing of the next token; its sequence ends so, too.
_BROKEN = ("error", "failed", "non_finite")


@dataclass(slots=True, eq=False)
class _Sequence:
    """A request in flight, with the tokens that it has so far and what its policy decided.

    To its course it is what is underway. Where another engine has other tokens, what it is asked
    and what it says are translated.
    """

    position: int
    request: Request
    limit: int
    rows: int
    """How many of them a round asks for side by side."""
    state: State
    """What stateful sampling rules keep of it."""
    tokenizer: Any = None
    translations: Mapping[str, Translation] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    traces: dict[str, list[float]] = field(default_factory=dict)
    course: Course = field(init=False)

    def __post_init__(self) -> None:
        self.course = _deciding(self.request).course_of(self)

    @property
    def sample(self) -> str:
        """As what is underway."""
        return self.request.sample

    @property
    def draw(self) -> int:
        """As what is underway."""
        return self.request.draw

    def text(self, first: int = 0) -> str:
        """As what is underway."""
        return str(self.tokenizer.decode(self.tokens[first:]))

    @property
    def step(self) -> int:
        """Of the token to come."""
        return len(self.tokens)

    def next(self, answers: Sequence[Completion] = ()) -> Next:
        """What its policy wants at this step, given the answers to its last probe."""
        told = [
            Probed(each.distribution, each.attention, each.hidden)
            for each in answers
            if each.distribution is not None
        ]
        assert len(told) == len(answers)
        return self.course.next(self.step, told)

    def probes(self, probe: Probe) -> list[Request]:
        """The requests of a probe.

        They draw nothing that is kept, so that all draws of a sample ask the same.
        """
        return [
            self._continued(
                1,
                engine,
                intervention=intervention,
                sampling=SamplingRules(),
                stop=Stop(),
                seed=0,
                draw=0,
                state=(),
                distribution=True,
                logged=False,
                attention=probe.attention and not engine,
                hidden=None if engine else probe.hidden,
            )
            for intervention, engine in probe.asked
        ]

    def drawing(self, draw: Draw, siblings: SiblingTexts) -> Request:
        """The tokens of this step, or all that are left, and what siblings said there."""
        left = self.limit - self.step
        tokens = left if draw.rest else min(draw.tokens, left)
        if draw.engine:
            changes = {"sampling": SamplingRules(), "seed": 0, "draw": 0, "state": ()}
        else:
            changes = {"state": self.state}
        if tokens > 1 and draw.engine not in self.translations:
            changes["draft"] = siblings.propose(self.sample, self.tokens, tokens)
        return self._continued(tokens, draw.engine, intervention=draw.under, **changes)

    def take(self, request: Request, completion: Completion) -> Completion | None:
        """Add what was drawn for a request; the whole completion if the sequence has ended.

        Raises InexactError for what another engine says that these tokens cannot.
        """
        own = not request.engine
        # Its context is full, or it has ended: nothing more will come of it.
        ended = len(completion.tokens) < request.max_new_tokens
        translation = self.translations.get(request.engine)
        if translation is not None and completion.error is None:
            completion = translation.said(self.tokens, completion, self.limit)
        self.tokens += completion.tokens
        self.log_probabilities += completion.log_probabilities
        if own:
            self.state = completion.state
        for name, values in completion.traces.items():
            self.traces.setdefault(name, []).extend(values)
        if completion.finish_reason == "length" and not ended and self.step < self.limit:
            return None
        # What an engine without them has said, or in other tokens, has neither.
        told = {name: tuple(each) for name, each in self.traces.items() if len(each) == self.step}
        scored = len(self.log_probabilities) == self.step
        return replace(
            completion,
            tokens=tuple(self.tokens),
            log_probabilities=tuple(self.log_probabilities) if scored else (),
            states=dict(self.state),
            traces={**told, **self.course.traces(self.step)},
        )

    def _continued(self, tokens: int, engine: str, **changes: object) -> Request:
        """The request for so many tokens more, in the tokens of who is asked."""
        prompt, generated = self.request.prompt, tuple(self.tokens)
        translation = self.translations.get(engine)
        if translation is not None:
            prompt, generated = dict(self.request.prompts)[engine], translation.to(self.tokens)
        return replace(
            self.request,
            prompt=(*prompt, *generated),
            prompts=(),
            max_new_tokens=tokens,
            continued=(0 if translation else self.request.continued) + len(generated),
            engine=engine,
            **changes,  # type: ignore[arg-type]  # fields of a request, by their names
        )


def in_rounds(
    queue: Iterable[tuple[int, Request]],
    generate: Generate,
    *,
    rows: int,
    context: int | None = None,
    watch: Watch | None = None,
    tokenizer: Any = None,
    translations: Mapping[str, Translation] | None = None,
) -> Iterator[tuple[int, Completion]]:
    """Yield `(position, completion)` of requests whose intervention is `Deciding`, as they end.

    Args:
        queue: The requests, with their positions.
        generate: Runs plain requests, which may ask for distributions.
        rows: How many ended requests' columns the engine keeps at least; bounds those in flight.
        context: The most tokens that the model takes; without it an engine says where it ends.
        watch: Told of every round as of one pass.
        tokenizer: That of the requests' tokens, for policies that read what is written.
        translations: For engines that have other tokens, by their names.
    """
    waiting = deque(
        _sequence(position, request, context, tokenizer, translations or {})
        for position, request in queue
    )
    siblings = SiblingTexts()
    running: list[_Sequence] = []
    resting: dict[_Sequence, Request] = {}
    while waiting or running or resting:
        while waiting and _rows([*running, *resting, waiting[0]]) <= max(rows, waiting[0].rows):
            running.append(waiting.popleft())
        if watch is not None:
            watch.flying([sequence.step for sequence in running])
        ended = list(_round(running, resting, generate, siblings)) if running else []
        if watch is not None:
            watch.step([sequence.step for sequence in running])
        yield from ended
        # Ends are long: they run when all are there, or stand in the way of others.
        if resting and (not running or (waiting and 2 * _rows(resting) > rows)):
            yield from _drawn(resting, generate, siblings)
            resting.clear()


def parted(
    requests: Iterable[Request], mechanism: Mechanism = "policy"
) -> tuple[list[tuple[int, Request]], list[tuple[int, Request]]]:
    """Requests that are run as they are, and those whose policies decide step by step.

    Each with its position. A neutral policy decides nothing: its request is run at rest.
    """
    at_once: list[tuple[int, Request]] = []
    composed: list[tuple[int, Request]] = []
    for position, request in enumerate(requests):
        policy = request.intervention
        if not isinstance(policy, Deciding) or policy.mechanism != mechanism:
            at_once.append((position, request))
        elif policy.is_neutral:
            at_once.append((position, replace(request, intervention=policy.at_rest())))
        else:
            composed.append((position, request))
    return at_once, composed


def _deciding(request: Request) -> Deciding:
    policy = request.intervention
    assert isinstance(policy, Deciding)
    return policy


def rows_of(request: Request) -> list[Request]:
    """What a policy's request needs room for, at its full length.

    An engine that can run the first one of these can run the request.
    """
    rows = _deciding(request).rows(request.max_new_tokens)
    return [replace(request, intervention=each) for each in rows]


def _sequence(
    position: int,
    request: Request,
    context: int | None,
    tokenizer: Any,
    translations: Mapping[str, Translation],
) -> _Sequence:
    limit = request.max_new_tokens
    if context is not None:
        limit = min(limit, context - len(request.prompt))
    rows = len(_deciding(request).rows(1))
    return _Sequence(position, request, limit, rows, request.state, tokenizer, translations)


def _rows(sequences: Iterable[_Sequence]) -> int:
    return sum(sequence.rows for sequence in sequences)


def _round(
    running: list[_Sequence],
    resting: dict[_Sequence, Request],
    generate: Generate,
    siblings: SiblingTexts,
) -> Iterator[tuple[int, Completion]]:
    """One step of every sequence; those that end are taken out of `running`, and yielded.

    Those that have nothing more to decide are put to rest.
    """
    drawing: dict[_Sequence, Request] = {}
    failed: dict[_Sequence, Completion] = {}
    wanted = {sequence: sequence.next() for sequence in running}
    while wanted:
        probing: dict[_Sequence, list[Request]] = {}
        for sequence, asked in wanted.items():
            try:
                if isinstance(asked, Probe):
                    probing[sequence] = sequence.probes(asked)
                else:
                    drawing[sequence] = sequence.drawing(asked, siblings)
                    if asked.rest:
                        resting[sequence] = drawing.pop(sequence)
                        running.remove(sequence)
            except InexactError as error:
                failed[sequence] = _refused(sequence, error)
        answers = _completed([probe for own in probing.values() for probe in own], generate)
        wanted = {}
        for sequence, probes in probing.items():
            completions = [answers[probe] for probe in probes]
            broken = next((each for each in completions if each.finish_reason in _BROKEN), None)
            if broken is not None:
                failed[sequence] = replace(broken, counts={})
                continue
            try:
                wanted[sequence] = sequence.next(completions)
            except RequestError as error:  # what it reads is not there
                failed[sequence] = _refused(sequence, error)
    for sequence, completion in failed.items():
        running.remove(sequence)
        whole = sequence.take(sequence.request, completion)
        assert whole is not None, "what is broken ends"
        yield sequence.position, whole
    for position, whole in _drawn(drawing, generate, siblings):
        running[:] = [sequence for sequence in running if sequence.position != position]
        yield position, whole


def _drawn(
    drawing: Mapping[_Sequence, Request], generate: Generate, siblings: SiblingTexts
) -> Iterator[tuple[int, Completion]]:
    """Draw what is asked for; the sequences that end of it, with their positions."""
    drawn = _completed(drawing.values(), generate)
    for sequence, request in drawing.items():
        try:
            whole = sequence.take(request, drawn[request])
        except InexactError as error:
            whole = sequence.take(sequence.request, _refused(sequence, error))
        siblings.add(sequence.sample, tuple(sequence.tokens))
        if whole is not None:
            yield sequence.position, whole


def _refused(sequence: _Sequence, error: InexactError | RequestError) -> Completion:
    """How a sequence ends whose text cannot be handed on as it is, or that cannot be decided."""
    return Completion((), "", "error", error=f"{sequence.sample}: {error}")


def _completed(requests: Iterable[Request], generate: Generate) -> dict[Request, Completion]:
    """The completions of requests; equal ones are asked for once."""
    distinct = list(dict.fromkeys(requests))
    if not distinct:
        return {}
    return {distinct[position]: completion for position, completion in generate(distinct)}
