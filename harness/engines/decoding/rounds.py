"""Decoding in rounds: what is done at the next step is decided by what the model says at this one.

- A policy (`harness.interventions.policy`) runs on the plain `generate` of any engine that returns
  distributions: short calls for every token of all sequences in flight.
- Calls come in rounds: first all sequences' probes, side by side in one batch, as often as policies
  ask for more; then the tokens are drawn under what the policies made of the answers.
- An engine that keeps the columns of ended sequences reads one token per row and call: each row
  extends the one that it had in the round before. Rows of different sequences that are the same
  request (the conditions of a sweep before they part) are computed once.
- What is left to generate when a policy has nothing more to decide is asked for in one piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.engines.contract import Completion, Request, SamplingRules, State, Stop, Watch
from harness.interventions.policy import Course, Draw, Next, Policy, Probe

Generate = Callable[[Sequence[Request]], Iterator[tuple[int, Completion]]]

#: How a probe ends that says nothing of the next token; its sequence ends so, too.
_BROKEN = ("error", "failed", "non_finite")


@dataclass(slots=True, eq=False)
class _Sequence:
    """A request in flight, with the tokens that it has so far and what its policy decided."""

    position: int
    request: Request
    limit: int
    rows: int
    """How many of them a round asks for side by side."""
    course: Course
    state: State
    """What stateful sampling rules keep of it."""
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    traces: dict[str, list[float]] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Of the token to come."""
        return len(self.tokens)

    def next(self, answers: Sequence[Completion] = ()) -> Next:
        """What its policy wants at this step, given the answers to its last probe."""
        distributions = [each.distribution for each in answers if each.distribution is not None]
        assert len(distributions) == len(answers)
        return self.course.next(self.step, distributions)

    def probes(self, probe: Probe) -> list[Request]:
        """The requests of a probe.

        They draw nothing that is kept, so that all draws of a sample ask the same.
        """
        return [
            self._continued(
                1,
                intervention=intervention,
                sampling=SamplingRules(),
                stop=Stop(),
                seed=0,
                draw=0,
                state=(),
                distribution=True,
                logged=False,
            )
            for intervention in probe.under
        ]

    def drawing(self, draw: Draw) -> Request:
        """The token of this step, or all that are left."""
        rest = self.limit - self.step if draw.rest else 1
        return self._continued(rest, intervention=draw.under, state=self.state)

    def take(self, completion: Completion) -> Completion | None:
        """Add what was drawn; the whole completion if the sequence has ended."""
        self.tokens += completion.tokens
        self.log_probabilities += completion.log_probabilities
        self.state = completion.state
        for name, values in completion.traces.items():
            self.traces.setdefault(name, []).extend(values)
        if completion.finish_reason == "length" and self.step < self.limit:
            return None
        return replace(
            completion,
            tokens=tuple(self.tokens),
            log_probabilities=tuple(self.log_probabilities),
            traces={
                **{name: tuple(values) for name, values in self.traces.items()},
                **self.course.traces(self.step),
            },
        )

    def _continued(self, tokens: int, **changes: object) -> Request:
        """The request for so many tokens more."""
        return replace(
            self.request,
            prompt=(*self.request.prompt, *self.tokens),
            max_new_tokens=tokens,
            continued=self.request.continued + self.step,
            **changes,  # type: ignore[arg-type]  # fields of a request, by their names
        )


def in_rounds(
    queue: Iterable[tuple[int, Request]],
    generate: Generate,
    *,
    rows: int,
    context: int,
    watch: Watch | None = None,
) -> Iterator[tuple[int, Completion]]:
    """Yield `(position, completion)` of requests whose intervention is a `Policy`, as they end.

    Args:
        queue: The requests, with their positions.
        generate: Runs plain requests, which may ask for distributions.
        rows: How many ended requests' columns the engine keeps at least; bounds those in flight.
        context: The most tokens that the model takes.
        watch: Told of every round as of one pass.
    """
    waiting = deque(_sequence(position, request, context) for position, request in queue)
    running: list[_Sequence] = []
    while waiting or running:
        while waiting and (not running or _rows([*running, waiting[0]]) <= rows):
            running.append(waiting.popleft())
        if watch is not None:
            watch.flying([sequence.step for sequence in running])
        ended = list(_round(running, generate))
        if watch is not None:
            watch.step([sequence.step for sequence in running])
        yield from ended


def parted(
    requests: Iterable[Request],
) -> tuple[list[tuple[int, Request]], list[tuple[int, Request]]]:
    """Requests that are run as they are, and those whose policies decide token by token.

    Each with its position. A neutral policy decides nothing: its request is run at rest.
    """
    at_once: list[tuple[int, Request]] = []
    composed: list[tuple[int, Request]] = []
    for position, request in enumerate(requests):
        policy = _policy_of(request)
        if policy is None:
            at_once.append((position, request))
        elif policy.is_neutral:
            at_once.append((position, replace(request, intervention=policy.at_rest())))
        else:
            composed.append((position, request))
    return at_once, composed


def _policy_of(request: Request) -> Policy | None:
    intervention = request.intervention
    return intervention if isinstance(intervention, Policy) else None


def rows_of(request: Request) -> list[Request]:
    """What a policy's request needs room for, at its full length.

    An engine that can run the first one of these can run the request.
    """
    policy = _policy_of(request)
    assert policy is not None
    rows = policy.rows(request.max_new_tokens)
    return [replace(request, intervention=each) for each in rows]


def _sequence(position: int, request: Request, context: int) -> _Sequence:
    policy = _policy_of(request)
    assert policy is not None
    limit = min(request.max_new_tokens, context - len(request.prompt))
    rows = len(policy.rows(1))
    return _Sequence(position, request, limit, rows, policy.course(), request.state)


def _rows(sequences: Iterable[_Sequence]) -> int:
    return sum(sequence.rows for sequence in sequences)


def _round(running: list[_Sequence], generate: Generate) -> Iterator[tuple[int, Completion]]:
    """One step of every sequence; those that end are taken out of `running`, and yielded."""
    drawing: dict[_Sequence, Request] = {}
    failed: dict[_Sequence, Completion] = {}
    wanted = {sequence: sequence.next() for sequence in running}
    while wanted:
        probing: dict[_Sequence, list[Request]] = {}
        for sequence, asked in wanted.items():
            if isinstance(asked, Probe):
                probing[sequence] = sequence.probes(asked)
            else:
                drawing[sequence] = sequence.drawing(asked)
        answers = _completed([probe for own in probing.values() for probe in own], generate)
        wanted = {}
        for sequence, probes in probing.items():
            completions = [answers[probe] for probe in probes]
            broken = next((each for each in completions if each.finish_reason in _BROKEN), None)
            if broken is None:
                wanted[sequence] = sequence.next(completions)
            else:
                failed[sequence] = replace(broken, counts={})
    drawn = _completed(drawing.values(), generate)
    for sequence in list(running):
        completion = failed.get(sequence) or drawn[drawing[sequence]]
        whole = sequence.take(completion)
        if whole is not None:
            running.remove(sequence)
            yield sequence.position, whole


def _completed(requests: Iterable[Request], generate: Generate) -> dict[Request, Completion]:
    """The completions of requests; equal ones are asked for once."""
    distinct = list(dict.fromkeys(requests))
    if not distinct:
        return {}
    return {distinct[position]: completion for position, completion in generate(distinct)}
