"""What must hold of guided inference for every size of its pieces, over any two engines.

Identities 1 to 4 of a correct re-implementation, as `harness/invariants/oracle.py` has them, with
the answers that each model gives alone from wherever they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from harness.engines.company import Company
from harness.engines.contract import Completion, Engine, Request
from harness.interventions.oracle.description import Oracle
from harness.interventions.oracle.triggers.every_n import EveryN
from harness.interventions.oracle.triggers.random import Random
from harness.interventions.policy import AUTHOR

#: Beside 1, ones that divide the answer, do not, and are longer than it.
STEPS = (1, 2, 3, 5, 10, 64)
LENGTH = 20
Tokens: TypeAlias = tuple[int, ...]

_NEVER, _ALWAYS = Random(start=0, end=0), EveryN(n=1)


def made(
    company: Company, prompts: Sequence[Tokens], oracle: Oracle | None = None
) -> list[Completion]:
    """What a company answers to each prompt, greedily."""
    asked = [Request(each, LENGTH, oracle, sample=str(at)) for at, each in enumerate(prompts)]
    found = dict(company.generate(asked))
    assert not any(each.error for each in found.values())
    return [found[at] for at in range(len(prompts))]


def assert_identities(
    step: int, base: Engine, other: Engine, prompts: Sequence[Tokens], alone: Sequence[list[Tokens]]
) -> None:
    """Hold all of them for pieces of `step` tokens.

    Args:
        base: Who writes.
        other: Who is asked.
        alone: The tokens of either by itself, the base's first.
    """
    own, others = alone
    asking, itself = Company(base, {"oracle": other}), Company(base, {"oracle": base})
    always = Oracle(
        engine="oracle", trigger=_ALWAYS, budget="inf", length=step, step=step, statistics=False
    )
    for changed in ({"budget": 0}, {"length": 0}, {"trigger": _NEVER}):
        assert said(asking, prompts, always.model_copy(update=changed)) == own, changed
    for length in (step, "inf"):
        assert said(asking, prompts, always.model_copy(update={"length": length})) == others
    for trigger in (Random(start=0.3, seed=step), EveryN(n=2)):
        some = always.model_copy(update={"trigger": trigger, "budget": 3})
        assert said(itself, prompts, some) == own
        for completion in made(asking, prompts, some):
            assert_accounts(completion, budget=3, length=step)


def said(company: Company, prompts: Sequence[Tokens], oracle: Oracle) -> list[Tokens]:
    """The tokens alone."""
    return [each.tokens for each in made(company, prompts, oracle)]


def assert_accounts(completion: Completion, budget: int, length: int) -> None:
    """Consultations are counted one by one, within the budget, and none is too long."""
    authors = completion.traces[AUTHOR]
    assert len(authors) == len(completion.tokens) <= LENGTH
    calls = [author for author in authors if author]
    assert calls == sorted(calls)
    assert [*dict.fromkeys(calls)] == [*range(1, len(set(calls)) + 1)]
    assert len(set(calls)) <= budget
    assert max((calls.count(call) for call in calls), default=0) <= length
