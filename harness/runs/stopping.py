"""A sweep that stops itself: a source of cases, chunks of samples until everything is decided.

Each chunk is a run of its own (`ModelRun`) of the doses that need it, with their baselines, on a
few samples of the task: requests are stored, resumed and shared as ever, and baselines come first.
What the chunks made is put together at the end: a case with fewer samples. A run that was killed
meets its completions in the store, and takes the same decisions again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.engines.contract import Reply
from harness.metrics.lookup import kind_of
from harness.runs.generated import result_of, scored
from harness.runs.plan import Address
from harness.runs.planned_case import PlannedCase
from harness.spec import Case
from harness.spec.gates import Threshold
from harness.spec.stop import StopSettings
from harness.statistics.dose_response import Floats
from harness.statistics.stopping import Aims, Arm, SideOfNumber, Sweep
from harness.store.results import CaseResult, DrawResult, Stopped
from harness.store.verdicts import Verdicts
from harness.tasks.by_name import limited


@dataclass
class _Made:
    """What is known of a case by now."""

    case: PlannedCase
    draws: dict[tuple[str, int], DrawResult] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    replies: dict[str, dict[str, tuple[Reply, ...]]] = field(default_factory=dict)
    parts: list[CaseResult] = field(default_factory=list)

    def add(self, part: CaseResult) -> None:
        """Take what a chunk made."""
        new = {(draw.sample, draw.draw): draw for draw in part.draws}
        if new.keys() <= self.draws.keys():
            return  # a baseline that was asked with another dose
        self.parts.append(part)
        self.draws |= new
        for metric in part.sample_metrics:
            self.values.setdefault(metric, {}).update(part.numbers(metric))
        for metric, replies in part.replies.items():
            self.replies.setdefault(metric, {}).update(replies)


def stopping(cases: Sequence[PlannedCase]) -> dict[str, list[PlannedCase]]:
    """The cases whose experiments stop themselves, by the names of these."""
    found: dict[str, list[PlannedCase]] = {}
    for case in cases:
        if case.experiment.stop is not None:
            found.setdefault(case.experiment.name, []).append(case)
    return found


class SelfStopping:
    """The cases of one experiment, a chunk of samples at a step, until it is decided.

    Args:
        cases: Those of its cases that were selected.
        further: Go on with doses that have no chance, to the last sample.
    """

    def __init__(self, cases: Sequence[PlannedCase], *, further: bool = False) -> None:
        settings = cases[0].experiment.stop
        assert settings is not None
        self._settings = settings
        self._order = permutation([sample.id for sample in cases[0].task.samples], settings.seed)
        self._made = {
            each.id: _Made(each)
            for case in cases
            for each in (case.baseline, case)
            if each is not None
        }
        self._failed: dict[str, CaseResult] = {}
        self._arms = [
            Arm(case.id, case.baseline.id, curve_named(case), case.case.dose or 0.0)
            for case in cases
            if case.baseline is not None
        ]
        aims = aims_of(cases, settings)
        named = {
            *aims.differs,
            *(name for name, _ in aims.precise),
            *(s.metric for s in aims.sides),
        }
        self._chunks = Sweep(
            self._arms,
            len(self._order),
            {name: kind_of(cases[0].experiment, name) for name in named},
            aims,
            self._values,
            settings.alpha,
            settings.look,
            0.0 if further else settings.futility,
            failed=self._failed,
        ).chunks()

    def next(self, step: int, observations: Mapping[str, CaseResult]) -> Sequence[PlannedCase]:
        """As every source."""
        del step
        for part in observations.values():
            if part.status == "complete":
                self._made[part.case.id].add(part)
            else:
                self._failed[part.case.id] = part
        for arms, samples in self._chunks:
            ids = [self._order[at] for at in samples]
            asked = [arm.id for arm in arms if arm.id not in self._failed]
            if asked:
                return [_chunk(self._made[each].case, ids) for each in asked]
        return []

    def results(self, verdicts: Verdicts) -> Iterator[tuple[PlannedCase, CaseResult]]:
        """What its chunks came to, every case after its baseline; `verdicts` are known ones."""
        ends = {arm.id: arm.end for arm in self._arms}
        done: dict[str, CaseResult] = {}
        for own in self._made.values():
            known = self._failed.get(own.case.id)
            result = known or _joined(own, self._order, done, verdicts)
            end = ends.get(own.case.id)
            all_samples = () if end else tuple(self._order)
            stopped = Stopped(len(self._order), self._settings.alpha, end or "leads", all_samples)
            done[own.case.id] = replace(result, stopped=stopped)
            yield own.case, done[own.case.id]

    def _values(self, case: str, metric: str) -> Floats:
        known = self._made[case].values.get(metric, {})
        return np.array([known.get(sample, np.nan) for sample in self._order], dtype=np.float64)


def permutation(samples: Sequence[str], seed: int) -> list[str]:
    """The order in which samples are asked: the same for a seed, on every machine."""
    return [samples[at] for at in np.random.default_rng(seed).permutation(len(samples))]


def aims_of(cases: Sequence[PlannedCase], settings: StopSettings) -> Aims:
    """What a sweep of these cases is to decide."""
    primary = cases[0].metric
    decisions = settings.decisions
    sides = []
    for gate in cases[0].experiment.gates:
        claim = gate.claim
        if isinstance(claim, Threshold) and any(each.gates for each in decisions):
            sides += [
                SideOfNumber(each.id, claim.metric, claim.operator in (">", ">="), claim.value)
                for case in cases
                for each in ([case.baseline] if claim.where.baseline else [case])
                if each is not None
                and claim.where.selects(each.case.params, baseline=claim.where.baseline)
            ]
    return Aims(
        tuple(each.metric or primary for each in decisions if not each.gates and not each.within),
        tuple((each.metric or primary, each.within) for each in decisions if each.within),
        tuple(dict.fromkeys(sides)),
    )


def _on(case: PlannedCase, samples: Sequence[str]) -> PlannedCase:
    """A case on these samples alone."""
    return replace(case, task=limited(case.task, only=samples))


def _chunk(case: PlannedCase, samples: Sequence[str]) -> PlannedCase:
    """The same as a case of its own, which is to see all of them."""

    def plain(case: Case) -> Case:
        baseline = None if case.baseline is None else plain(case.baseline)
        experiment = case.experiment.model_copy(update={"stop": None})
        return replace(case, experiment=experiment, baseline=baseline)

    return replace(_on(case, samples), case=plain(case.case))


def curve_named(case: PlannedCase) -> str:
    """What the doses of one curve have in common."""
    dose = case.experiment.dose
    return repr([(name, own) for name, own in case.case.params.items() if name != dose])


def _joined(
    own: _Made, order: Sequence[str], done: dict[str, CaseResult], verdicts: Verdicts
) -> CaseResult:
    """What the chunks of a case came to: one result, on the samples that it was asked."""
    asked = {sample for sample, _ in own.draws}
    if not asked:
        return result_of(own.case, "incomplete", error="the run ended before it")
    case = _on(own.case, [sample for sample in order if sample in asked])
    completions = [
        (Address(case.id, sample.id, draw), made.prompt, made.completion)
        for sample in case.task.samples
        for draw in range(case.experiment.sampling.draws)
        for made in [own.draws[sample.id, draw]]
    ]
    first = own.parts[0]
    baseline = None if case.baseline is None else done[case.baseline.id]
    joined = scored(case, completions, baseline, first.intervention, verdicts, own.replies)
    pieces = {at: draw.pieces for at, draw in own.draws.items()}
    return replace(
        joined,
        draws=tuple(replace(each, pieces=pieces[each.sample, each.draw]) for each in joined.draws),
        usage=next((part.usage for part in own.parts if part.usage is not None), None),
        seconds=sum(part.seconds for part in own.parts),
    )
