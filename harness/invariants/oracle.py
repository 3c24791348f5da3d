"""Identities of oracle help: without any the base, with all of it the oracle, and honest accounts.

The oracle is a copy of the model whose weights are moved, so that it says other tokens; and for one
identity the model itself. Sources are the invariants of a correct re-implementation of guided
inference (swairshah/Guided-Inference), by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from harness.engines.contract import Completion, Request
from harness.interventions.oracle.description import READ, Oracle
from harness.interventions.oracle.trigger import Trigger
from harness.interventions.oracle.triggers.both_disagree import BothDisagree
from harness.interventions.oracle.triggers.entropy import Entropy
from harness.interventions.oracle.triggers.every_n import EveryN
from harness.interventions.oracle.triggers.random import Random
from harness.interventions.policy import AUTHOR, STEP
from harness.invariants.bench import GREEDY, ITSELF, OTHER, Bench, named
from harness.invariants.family import EVERY_POLICY, Family
from harness.invariants.finding import Compared, Finding, equal, first_violation
from harness.sampling.chosen import SamplingRules

_STEPS = (1, 2, 3, 10)
#: Bits that no distribution has.
_NEVER = 1e6
_SAMPLED = SamplingRules(temperature=1.0)


def doses(_config: Any) -> tuple[Oracle, ...]:
    """Help at known places, by chance, and where the two disagree."""
    return (
        Oracle(engine=OTHER, trigger=EveryN(n=2), budget="inf", length=2, step=1),
        Oracle(engine=OTHER, trigger=Random(start=0.5), budget=2, length=1, step=2),
        Oracle(engine=OTHER, trigger=BothDisagree(), budget="inf", length=1, step=1),
    )


def without_help_the_base_speaks(bench: Bench) -> Finding:
    """A trigger that never fires leaves the model's own tokens, whatever the size of its pieces.

    Greedy and sampled; decided beforehand, and read from distributions between the pieces. So does
    one that always fires, with no consultation and with none of any length. Source: guided
    inference, identity 1.
    """
    never: tuple[Trigger, ...] = (Random(start=0.0, end=0.0), Entropy(above=_NEVER))

    def pairs() -> Iterator[Compared]:
        always = Oracle(engine=OTHER, trigger=EveryN(n=1), budget="inf", length="inf")
        nothing = ({"budget": 0}, {"length": 0})
        for request in bench.requests(*(always.model_copy(update=each) for each in nothing)):
            alone = bench.alone(replace(request, intervention=None))
            yield f"{named(request)} of nothing", bench.alone(request), alone
        for step, trigger in ((step, each) for step in _STEPS for each in never):
            oracle = Oracle(engine=OTHER, trigger=trigger, budget="inf", step=step)
            for sampling in (GREEDY, _SAMPLED):
                for request in bench.requests(oracle, sampling=sampling):
                    alone = bench.alone(replace(request, intervention=None))
                    yield f"{named(request)} by {step}", bench.alone(request), alone

    return equal(pairs(), tolerance=bench.rounding)


def with_all_help_the_oracle_speaks(bench: Bench) -> Finding:
    """Asked at every occasion, as often as there are any, the answer is the oracle's own.

    Source: guided inference, identity 2.
    """

    def pairs() -> Iterator[Compared]:
        for length in (1, 2, "inf"):
            always = Oracle(engine=OTHER, trigger=EveryN(n=1), budget="inf", length=length)
            for request in bench.requests(always):
                alone = bench.alone(replace(request, intervention=None, engine=OTHER))
                yield f"{named(request)} by {length}", bench.alone(request), alone

    return equal(pairs(), tolerance=bench.rounding)


def its_own_oracle_is_indifferent(bench: Bench) -> Finding:
    """A model that asks itself says what it would have said, whenever it asks.

    Source: guided inference, identity 3.
    """
    asking = [
        Oracle(engine=ITSELF, trigger=trigger, budget=budget, length=length, step=step)
        for trigger in (Random(), Random(seed=1), EveryN(n=2), BothDisagree(above=-0.0))
        for budget, length, step in ((1, 2, 1), ("inf", 1, 2), (2, "inf", 1))
    ]

    def pairs() -> Iterator[Compared]:
        for request in bench.requests(*asking):
            alone = bench.alone(replace(request, intervention=None))
            yield named(request), bench.alone(request), alone

    return equal(pairs(), tolerance=bench.rounding)


def accounts_are_kept(bench: Bench) -> Finding:
    """Consultations stay within the budget, are no longer than allowed, and rise in position.

    Source: guided inference, identity 4.
    """
    return first_violation(
        (_miscounted(request, own) for request, own in _completed(bench)), "completions"
    )


def _miscounted(request: Request, own: Completion) -> str | None:
    oracle = request.intervention
    assert isinstance(oracle, Oracle)
    authors = own.traces.get(AUTHOR, ())
    if len(authors) != len(own.tokens):
        return f"{named(request)}: {len(authors)} authors of {len(own.tokens)} tokens"
    if len(own.tokens) > request.max_new_tokens:
        return f"{named(request)}: {len(own.tokens)} tokens of {request.max_new_tokens}"
    calls = [author for author in authors if author]
    if calls != sorted(calls) or set(calls) != set(range(1, int(max(calls, default=0)) + 1)):
        return f"{named(request)}: consultations {calls} are not counted one by one"
    if oracle.budget != "inf" and max(calls, default=0) > oracle.budget:
        return f"{named(request)}: {max(calls):g} consultations of {oracle.budget}"
    most = max((calls.count(call) for call in calls), default=0)
    if oracle.length != "inf" and most > oracle.length:
        return f"{named(request)}: {most} tokens at once instead of {oracle.length}"
    return None


def pieces_told_are_the_pieces_said(bench: Bench) -> Finding:
    """Every piece, asked for by itself behind what came before, has the tokens that it had.

    Who wrote which tokens follows from what is told of them alone. Source: guided inference,
    identities 5 (a recorded trace reproduces the text) and 8 (columns kept equal columns read).
    """

    def pairs() -> Iterator[Compared]:
        for request, own in _completed(bench):
            authors = own.traces[AUTHOR]
            starts = [0, *(at for at in range(1, len(authors)) if authors[at] != authors[at - 1])]
            for begin, end in pairwise([*starts, len(authors)]):
                piece = replace(
                    request,
                    prompt=(*request.prompt, *own.tokens[:begin]),
                    continued=begin,
                    max_new_tokens=end - begin,
                    intervention=None,
                    engine=OTHER if authors[begin] else "",
                )
                said = replace(bench.alone(piece), text="", finish_reason="length", traces={})
                scores = own.log_probabilities[begin:end]
                told = replace(
                    said, tokens=own.tokens[begin:end], log_probabilities=scores, states={}
                )
                yield f"{named(request)} from {begin}", said, told

    return equal(pairs(), tolerance=bench.rounding)


def chances_are_those_of_the_seed(bench: Bench) -> Finding:
    """The same seed asks at the same places, and another one somewhere at others.

    Source: guided inference, identity 5.
    """
    runs = [
        [
            own.traces[AUTHOR]
            for own in bench.together(
                bench.requests(
                    Oracle(engine=OTHER, trigger=trigger, budget="inf", length=1, step=1)
                )
            )
        ]
        for trigger in (Random(), Random(seed=0, end=1.0), *(Random(seed=n) for n in (1, 2, 3)))
    ]

    def problems() -> Iterator[str | None]:
        yield None if runs[0] == runs[1] else "the same seed has asked at other places"
        different = any(run != runs[0] for run in runs[2:])
        yield None if different else "three other seeds have asked at the same places"

    return first_violation(problems(), "seeds")


def statistics_are_those_of_the_whole_answer(bench: Bench) -> Finding:
    """What is read of the model where it asks is what it has there when it reads the whole answer.

    While it writes, from kept columns, one row among others; afterwards, in one pass of its own, by
    other code. Source: guided inference, identity 8, of its statistics; and that they are of the
    model that writes, from the weights and scores as they are.
    """
    asking = Oracle(
        engine=OTHER,
        trigger=EveryN(n=2),
        budget="inf",
        length=1,
        step=1,
        attention=True,
        steps=True,
    )
    requests = bench.requests(asking)
    return first_violation(
        (
            _misread(request, own, bench.rounding)
            for request, own in zip(requests, bench.together(requests), strict=True)
        ),
        "completions",
    )


def _misread(request: Request, own: Completion, tolerance: float) -> str | None:
    authors = own.traces[AUTHOR]
    asked = [at for at, each in enumerate(authors) if each and authors[:at].count(each) == 0]
    names = [name for name in own.traces if name.startswith(f"{READ} ")]
    if asked and not names:
        return f"{named(request)}: nothing was read where it asked"
    for name in names:
        again = own.traces[name.replace(READ, STEP, 1)]
        for at in asked:
            told, found = own.traces[name][at], again[at]
            if not abs(told - found) <= tolerance * max(1.0, abs(found)):
                return f"{named(request)}: {name} at {at} is {told:.6g}, and {found:.6g} afterwards"
    return None


def _completed(bench: Bench) -> Iterator[tuple[Request, Completion]]:
    for request in bench.requests(*bench.doses):
        yield request, bench.alone(request)


FAMILY = Family(
    "oracle",
    doses=doses,
    own=(
        without_help_the_base_speaks,
        with_all_help_the_oracle_speaks,
        its_own_oracle_is_indifferent,
        accounts_are_kept,
        pieces_told_are_the_pieces_said,
        chances_are_those_of_the_seed,
        statistics_are_those_of_the_whole_answer,
    ),
    inherited=EVERY_POLICY,
    # Whole answers are read once more with their logits, which takes a model in this process.
    watching=frozenset({statistics_are_those_of_the_whole_answer}),
)
