"""Decoding in rounds: what is done at the next step is decided by what the model says at this one.

- Dynamic activation composition (`harness.interventions.dac`) runs on the plain `generate` of any
  engine that returns distributions: two short calls for every token of all sequences in flight.
- The first call asks for every sequence's unsteered and steered distributions, side by side in one
  batch; the second one draws the tokens under the doses that follow from them.
- An engine that keeps the columns of ended sequences reads one token per row and call: each row
  extends the one that it had in the round before. Rows of different sequences that are the same
  request (the conditions of a sweep before they part) are computed once.
- What is left to generate when no property has anything more to add is asked for in one piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.engines.contract import Completion, Request, SamplingRules, State, Stop, Watch
from harness.interventions.dac import DAC
from harness.interventions.steering import Steering

Generate = Callable[[Sequence[Request]], Iterator[tuple[int, Completion]]]

#: How a probe ends that says nothing of the next token; its sequence ends so, too.
_BROKEN = ("error", "non_finite")


@dataclass(slots=True, eq=False)
class _Sequence:
    """A request in flight, with the tokens and the doses that it has so far."""

    position: int
    request: Request
    limit: int
    dac: DAC
    alphas: list[list[float]]
    """One list per property, a dose for each step that was decided."""
    state: State
    """What stateful sampling rules keep of it."""
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Of the token to come."""
        return len(self.tokens)

    def probes(self) -> list[Request]:
        """What decides the doses of this step: the model as it is, and fully steered.

        They draw nothing that is kept, so that all draws of a sample ask the same.
        """
        steered = [
            self.dac.steered(which, self.step) if each.acts_at(self.step) else Steering()
            for which, each in enumerate(self.dac.properties)
        ]
        return [
            self._continued(
                1,
                # A property that changes nothing asks for nothing else than the unsteered model.
                intervention=None if steering.is_neutral else steering,
                sampling=SamplingRules(),
                stop=Stop(),
                seed=0,
                draw=0,
                state=(),
                distribution=True,
            )
            for steering in (Steering(), *steered)
        ]

    def decide(self, probed: Sequence[Completion]) -> None:
        """Add this step's doses, from the probes' completions."""
        unsteered, *steered = (completion.distribution for completion in probed)
        assert unsteered is not None
        for alphas, distribution in zip(self.alphas, steered, strict=True):
            assert distribution is not None
            alphas.append(self.dac.alpha(unsteered, distribution))

    def next_token(self) -> Request:
        """The token of this step under the doses so far; or all tokens, where nothing is added."""
        rest = 1 if self.dac.acts_at(self.step) else self.limit - self.step
        return self._continued(rest, intervention=self.dac.composed(self.alphas), state=self.state)

    def take(self, completion: Completion) -> Completion | None:
        """Add what was drawn; the whole completion if the sequence has ended."""
        self.tokens += completion.tokens
        self.log_probabilities += completion.log_probabilities
        self.state = completion.state
        if completion.finish_reason == "length" and self.step < self.limit:
            return None
        for alphas in self.alphas:
            alphas += [0.0] * (self.step - len(alphas))
        return replace(
            completion,
            tokens=tuple(self.tokens),
            log_probabilities=tuple(self.log_probabilities),
            traces={
                f"alpha {each.name}": tuple(alphas[: self.step])
                for each, alphas in zip(self.dac.properties, self.alphas, strict=True)
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
    """Yield `(position, completion)` of requests whose intervention is a `DAC`, as they end.

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


def rows_of(request: Request) -> list[Request]:
    """What a request needs room for, at its full length: composed, unsteered, steered rows.

    An engine that can run the first one of these can run the request.
    """
    dac = request.intervention
    assert isinstance(dac, DAC)
    strongest = [dac.strongest] * max(request.max_new_tokens, 0)
    steered = [Steering(terms=tuple(each.terms(strongest))) for each in dac.properties]
    composed = dac.composed([strongest for _ in dac.properties])
    return [replace(request, intervention=each) for each in (composed, None, *steered)]


def _sequence(position: int, request: Request, context: int) -> _Sequence:
    dac = request.intervention
    assert isinstance(dac, DAC)
    limit = min(request.max_new_tokens, context - len(request.prompt))
    return _Sequence(position, request, limit, dac, [[] for _ in dac.properties], request.state)


def _rows(sequences: Iterable[_Sequence]) -> int:
    return sum(2 + len(sequence.dac.properties) for sequence in sequences)


def _round(running: list[_Sequence], generate: Generate) -> Iterator[tuple[int, Completion]]:
    """One step of every sequence; those that end are taken out of `running`, and yielded."""
    asked = {
        sequence: sequence.probes() for sequence in running if sequence.dac.acts_at(sequence.step)
    }
    probed = _completed([probe for probes in asked.values() for probe in probes], generate)
    failed = {}
    for sequence, probes in asked.items():
        completions = [probed[probe] for probe in probes]
        broken = next((each for each in completions if each.finish_reason in _BROKEN), None)
        if broken is None:
            sequence.decide(completions)
        else:
            failed[sequence] = replace(broken, counts={})
    drawing = {sequence: sequence.next_token() for sequence in running if sequence not in failed}
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
    return {distinct[position]: completion for position, completion in generate(distinct)}
