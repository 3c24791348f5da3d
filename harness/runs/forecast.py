"""What a run would do, found without loading a model: requests, what is stored, what it may cost.

Prompts come from the tokenizer, keys from the fingerprint that the store noted when the model was
last loaded. A model that never was has nothing stored. An ordering that was not measured yet
leaves the requests of its cases countable (one stands for each, by its settings) but unknown:
whether they are stored is told once it is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal, Never, Self

from harness.engines.contract import Asked, Completion, Request, Scoring
from harness.errors import TitrateError
from harness.interventions.base import Intervention
from harness.models import zoo
from harness.models.loading import CPU_DTYPE, pick_device, whole_config
from harness.models.size import Memory, memory_of
from harness.resolve.progress import Silent
from harness.resolve.resolver import Resolver, measured_for
from harness.resolve.tasks import data_of
from harness.runs.deferred import DeferredEngine
from harness.runs.plan import Plan, by_model
from harness.runs.planned_case import PlannedCase
from harness.runs.prompt_warnings import prompt_warnings
from harness.store.completions import CompletionStore, key_of


@dataclass(frozen=True)
class Forecast:
    """What the cases of one model would take.

    `asked` counts completions and scorings that cases ask for, baselines included, and the samples
    that a measure reads by itself; `requests` those that differ; `prompt_tokens` what is given of
    the missing completions and scorings, continuations included.
    `at_most` tokens are made if none of the missing ones ends early, `expected` if they are as long
    as the stored ones are on average: None where none is stored. `unmeasured` are the orderings
    and vectors that have to be measured first, and `unknown` the requests that depend on them;
    `readings` are the given texts that measures read, those kept by earlier runs included;
    `dependent` is what metrics ask because of completions, at most: how many differ, how long and
    whether stored is known when there are completions;
    `warnings` what is to be known of the prompts; `memory` what the model takes, None for one that
    ships with us; `longest` the tokens of the longest sequence.
    """

    model: str
    cases: int
    asked: int
    requests: int
    stored: int
    loads: bool
    prompt_tokens: int
    at_most: int
    expected: int | None
    unmeasured: tuple[str, ...] = ()
    unknown: int = 0
    impossible: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    readings: int = 0
    dependent: int = 0
    memory: Memory | None = None
    longest: int = 0


def forecast(cases: Sequence[PlannedCase], store: CompletionStore | None) -> list[Forecast]:
    """The forecast of every model, in the order in which they would be loaded."""
    return [_of_model(group, store) for group in by_model(cases).values()]


class _Unmeasured(Intervention):
    """Stands for an intervention whose ordering is not known yet; equal settings are equal."""

    kind: Literal["unmeasured"] = "unmeasured"
    settings: str

    def neutral(self) -> Self:
        """Neutral interventions need no ordering."""
        raise NotImplementedError


def _of_model(cases: Sequence[PlannedCase], store: CompletionStore | None) -> Forecast:
    first = cases[0].experiment
    engine = DeferredEngine(first.model, first.engine, _never, store)
    resolver = Resolver(engine, Silent(), store)
    plan = Plan(engine.tokenizer)
    unmeasured: dict[str, None] = {}
    impossible: list[str] = []

    def add(case: PlannedCase) -> None:
        experiment = case.experiment
        measured = measured_for(experiment)
        if measured is not None and (not engine.known or resolver.needs_model(experiment)):
            unmeasured[measured] = None
            settings = f"{experiment.intervention!r} {data_of(experiment)}"
            plan.add(case, _Unmeasured(settings=settings))
        else:
            plan.add(case, resolver.resolve(experiment))

    baselines = {each.id: each for case in cases if (each := case.baseline) is not None}
    for case in [*baselines.values(), *cases]:
        try:
            add(case)
        except TitrateError as error:
            impossible.append(f"{case.id}: {error}")
    counted = _counted(cases, plan, engine, store, tuple(unmeasured), tuple(impossible))
    warnings: dict[str, None] = {}
    for case in cases:
        with suppress(TitrateError):  # it is among the impossible ones
            warnings |= dict.fromkeys(prompt_warnings(case, plan))
    return replace(counted, warnings=tuple(warnings))


def _counted(
    cases: Sequence[PlannedCase],
    plan: Plan,
    engine: DeferredEngine,
    store: CompletionStore | None,
    unmeasured: tuple[str, ...],
    impossible: tuple[str, ...],
) -> Forecast:
    missing: list[Asked] = []
    stored = 0
    lengths: list[int] = []
    for request in plan.addresses:
        known = engine.known and not isinstance(request.intervention, _Unmeasured)
        key = key_of(engine.fingerprint, request.key()) if known else None
        answer = None if store is None or key is None else store.reply(key, request)
        stored += answer is not None
        if answer is None:
            missing.append(request)
        elif isinstance(answer, Completion):
            lengths.append(len(answer.tokens))
    generated = [request for request in missing if isinstance(request, Request)]
    # Readings are not in the store of completions: those of each sample are a request to make.
    each_once = {one.id: one for case in cases for one in (case.baseline, case) if one is not None}
    readings = sum(
        one.measure.readings_of(one.experiment) * one.task.size for one in each_once.values()
    )
    read = sum(one.task.size for one in each_once.values() if one.measure.run is not None)
    dependent = [
        one.task.size * one.experiment.sampling.draws * entry.asks.most
        for one in each_once.values()
        for entry in one.counted
        if entry.asks is not None and not entry.asks.early
    ]
    return Forecast(
        model=cases[0].experiment.model,
        cases=len(cases),
        asked=read + sum(len(addresses) for addresses in plan.addresses.values()),
        requests=read + len(plan.addresses),
        stored=stored,
        loads=bool(missing or unmeasured or readings),
        readings=readings,
        dependent=sum(dependent),
        prompt_tokens=sum(map(_given, missing)),
        at_most=sum(request.max_new_tokens for request in generated),
        expected=round(fmean(lengths) * len(generated)) if lengths else None,
        unmeasured=unmeasured,
        unknown=sum(isinstance(request.intervention, _Unmeasured) for request in missing),
        impossible=impossible,
        memory=_memory(cases[0]),
        longest=max(map(_length, plan.addresses), default=0),
    )


def _memory(case: PlannedCase) -> Memory | None:
    """What the model of a case takes in memory, on the device that it would run on."""
    model, engine = case.experiment.model, case.experiment.engine
    if zoo.ships(model):
        return None
    config = whole_config(model)
    dtype: str = engine.dtype
    if dtype == "auto" and pick_device(engine.device).type == "cpu":
        dtype = CPU_DTYPE
    elif dtype == "auto":
        dtype = str(config.dtype or "bfloat16").removeprefix("torch.")
    return memory_of(config, dtype)


def _length(asked: Asked) -> int:
    """The most tokens that a sequence comes to."""
    made = asked.max_new_tokens if isinstance(asked, Request) else 0
    return _given(asked) + made


def _given(asked: Asked) -> int:
    """Tokens that are given: of a prompt, or of a context and its continuations."""
    if isinstance(asked, Scoring):
        return len(asked.context) + sum(map(len, asked.continuations))
    return len(asked.prompt)


def _never() -> Never:
    raise AssertionError("a forecast loads no model")
