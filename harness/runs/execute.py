"""Runs the cases of one model as one stream of requests, and cuts it back into case results.

A case is asked for its result; the engine runs until that case's requests are done and is left
where it stands, so that the next case continues. All baselines run before the first intervention,
in a stream of their own: no hook exists on the model while it is measured untouched.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.engines.base import Completion, Engine, Request
from harness.errors import FieldError, TitrateError
from harness.interventions.base import Intervention
from harness.runs.plan import Place, Plan, PlannedCase
from harness.runs.progress import Counts, Progress
from harness.runs.resolve import Resolver
from harness.runs.results import CaseResult, CaseStatus, DrawResult
from harness.tasks.base import Score


class ModelRun:
    """The cases of one loaded model. `result` may be asked for in any order, more than once."""

    def __init__(
        self, engine: Engine, cases: Sequence[PlannedCase], progress: Progress, counts: Counts
    ) -> None:
        self.engine = engine
        self._cases = list(cases)
        self._asked = {case.id for case in cases}
        self._progress = progress
        self._counts = counts
        self._results: dict[str, CaseResult] = {}
        self._completions: dict[Place, Completion] = {}
        self._plan = Plan(engine.tokenizer)
        self._interventions: dict[str, Intervention | None] = {}
        untouched, touched = self._add_requests()
        self._waiting = Counter(
            place.case for places in self._plan.places.values() for place in places
        )
        self._stream = self._run(untouched, touched)
        self._broken: Exception | None = None
        self._closed = False
        self.seconds = 0.0
        counts.requests_total += len(self._plan.places)

    def result(self, case: PlannedCase) -> CaseResult:
        """Run until this case is complete, and return what came of it.

        A case that is impossible or cannot be scored comes back as failed; an engine that stops
        working raises, for this case and for every later one that is not complete by then.
        """
        baseline = None if case.baseline is None else self.result(case.baseline)
        if case.id not in self._results:
            while self._waiting[case.id]:
                self._advance()
            self._keep(case, self._assemble(case, baseline))
        return self._results[case.id]

    @property
    def done(self) -> bool:
        """Whether the engine is no longer needed: every case has a result, or it broke."""
        return self._broken is not None or all(case.id in self._results for case in self._cases)

    def results(self) -> list[CaseResult]:
        """Every case in planned order after its baseline, also those without completions.

        They are incomplete, or failed when the engine broke. The engine's time is shared among
        cases by the tokens that were generated for each.
        """
        if self._broken is None:
            missing = without_completions(self._cases, "incomplete", "the run ended before it")
        else:
            missing = without_completions(
                self._cases, "failed", f"the engine broke: {described(self._broken)}"
            )
        results = [self._results.get(result.case.id, result) for result in missing]
        tokens = sum(result.tokens for result in results)
        second_per_token = self.seconds / tokens if tokens else 0.0
        return [replace(result, seconds=second_per_token * result.tokens) for result in results]

    def close(self) -> None:
        """Give the model's memory back; results stay. Closing twice is closing once."""
        if not self._closed:
            self._closed = True
            self._stream.close()
            self.engine.close()

    # Requests -------------------------------------------------------------------------------------

    def _add_requests(self) -> tuple[list[Request], list[Request]]:
        """Plan all cases: the distinct requests of the baselines, and all the other ones.

        A case whose intervention turns out to be impossible fails here, alone.
        """
        firsts = {first.id: first for case in self._cases for first in [case.baseline or case]}
        for first in firsts.values():
            try:
                self._plan.add(first, None)
            except TitrateError as error:
                self._keep(first, _result(first, "failed", error=str(error)))
        untouched = list(self._plan.places)
        resolver = Resolver(self.engine, self._progress)
        for case in self._cases:
            if case.id in firsts:
                continue
            try:
                intervention = resolver.resolve(case.experiment)
                self._plan.add(case, intervention)
                self._interventions[case.id] = intervention
            except TitrateError as error:
                located = case.case.source.locate(error) if isinstance(error, FieldError) else error
                self._keep(case, _result(case, "failed", error=str(located)))
        return untouched, list(self._plan.places)[len(untouched) :]

    def _run(self, *streams: list[Request]) -> Generator[tuple[Request, Completion]]:
        """Every distinct request once, one stream after the other."""
        for requests in streams:
            for position, completion in self.engine.generate(requests):
                yield requests[position], completion

    def _advance(self) -> None:
        """Take one completion from the stream to the places that wait for it."""
        if self._broken is not None:
            raise self._broken
        started = time.perf_counter()
        try:
            request, completion = next(self._stream)
        except Exception as error:
            self._broken = error
            raise
        finally:
            self.seconds += time.perf_counter() - started
        for place in self._plan.places[request]:
            self._completions[place] = completion
            self._waiting[place.case] -= 1
        self._counts.requests_done += 1
        self._counts.tokens += len(completion.tokens)
        self._progress.update(self._counts)

    # Results --------------------------------------------------------------------------------------

    def _assemble(self, case: PlannedCase, baseline: CaseResult | None) -> CaseResult:
        """Score a complete case and compare its texts with the baseline's."""
        style = case.experiment.prompt.style
        places = [
            Place(case.id, sample.id, draw)
            for sample in case.task.samples
            for draw in range(case.experiment.sampling.draws)
        ]
        completions = [self._completions.pop(place) for place in places]
        try:
            scores = case.task.score(
                [
                    (case.task.by_id[place.sample], style, completion.text)
                    for place, completion in zip(places, completions, strict=True)
                ]
            )
        except Exception as error:
            return _result(case, "failed", error=f"scoring: {described(error)}")
        reference = {} if baseline is None else _tokens_by_place(baseline)
        draws = tuple(
            DrawResult(
                sample=place.sample,
                draw=place.draw,
                prompt=self._plan.prompt_text(case.task, case.task.by_id[place.sample], style),
                completion=completion,
                score=score if completion.error is None else _unanswered(completion.error),
                agreement=_agreement(completion, reference.get((place.sample, place.draw))),
            )
            for place, completion, score in zip(places, completions, scores, strict=True)
        )
        errors = [completion.error for completion in completions if completion.error is not None]
        if len(errors) == len(completions):
            return _result(case, "failed", error=f"every request was refused, first {errors[0]}")
        counts = Counter[str]()
        for completion in completions:
            counts.update(completion.counts)
        return _result(
            case,
            "complete",
            draws=draws,
            sample_metrics=_sample_metrics(case, draws),
            counts=dict(counts),
            intervention=self._interventions.get(case.id),
            warnings=tuple(_warnings(draws, counts)),
        )

    def _keep(self, case: PlannedCase, result: CaseResult) -> None:
        """Note a case's result, and that one more of the cases that were asked for is done."""
        self._results[case.id] = result
        self._counts.cases_done += case.id in self._asked
        self._progress.update(self._counts)


def without_completions(
    cases: Sequence[PlannedCase], status: CaseStatus, error: str
) -> list[CaseResult]:
    """Every case after its baseline, each once, as it is reported when nothing came of it."""
    results: dict[str, CaseResult] = {}
    for case in cases:
        for each in (case.baseline, case):
            if each is not None and each.id not in results:
                results[each.id] = _result(each, status, error=error)
    return list(results.values())


def described(error: Exception) -> str:
    """An error in one line: our own say what they are, the others by their type."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first if isinstance(error, TitrateError) else f"{type(error).__name__}: {first}"


def _result(
    case: PlannedCase,
    status: CaseStatus,
    *,
    error: str | None = None,
    draws: tuple[DrawResult, ...] = (),
    sample_metrics: Mapping[str, Mapping[str, float]] | None = None,
    counts: Mapping[str, int] | None = None,
    intervention: Intervention | None = None,
    warnings: tuple[str, ...] = (),
) -> CaseResult:
    return CaseResult(
        case=case.case,
        task_name=case.task.name,
        task_version=case.task.version,
        task_size=case.task.size,
        metric=case.task.metric,
        status=status,
        baseline=None if case.baseline is None else case.baseline.id,
        nodeid=case.nodeid,
        draws=draws,
        sample_metrics=sample_metrics or {},
        counts=counts or {},
        intervention=intervention,
        warnings=warnings,
        error=error,
    )


def _sample_metrics(case: PlannedCase, draws: Sequence[DrawResult]) -> dict[str, dict[str, float]]:
    """Metric -> sample -> value, from the scores of each sample's draws."""
    scores: dict[str, list[Score]] = {sample.id: [] for sample in case.task.samples}
    for draw in draws:
        scores[draw.sample].append(draw.score)
    metrics: dict[str, dict[str, float]] = {}
    for sample, of_sample in scores.items():
        for metric, value in case.task.metrics(of_sample).items():
            metrics.setdefault(metric, {})[sample] = value
    return metrics


def _warnings(draws: Sequence[DrawResult], counts: Mapping[str, int]) -> Iterator[str]:
    """What a reader of the numbers must know."""
    errors = [draw.completion.error for draw in draws if draw.completion.error is not None]
    if errors:
        yield f"{len(errors)} of {len(draws)} requests were refused and count as wrong: {errors[0]}"
    cut = sum(draw.completion.finish_reason == "length" for draw in draws)
    if cut:
        yield f"{cut} of {len(draws)} completions were cut off at their length limit"
    broken = sum(draw.completion.finish_reason == "non_finite" for draw in draws)
    if broken:
        yield f"{broken} of {len(draws)} completions ended in logits that are not finite"
    if counts.get("routed") and not counts["changed"]:
        yield f"the mask changed none of {counts['routed']} routing decisions: it did nothing"


def _tokens_by_place(result: CaseResult) -> dict[tuple[str, int], tuple[int, ...]]:
    return {(draw.sample, draw.draw): draw.completion.tokens for draw in result.draws}


def _agreement(completion: Completion, reference: tuple[int, ...] | None) -> int | None:
    """Tokens before the first departure from the baseline; None without one."""
    if reference is None:
        return None
    for index, (own, other) in enumerate(zip(completion.tokens, reference, strict=False)):
        if own != other:
            return index
    return min(len(completion.tokens), len(reference))


def _unanswered(error: str) -> Score:
    """A request that was refused counts as a wrong answer."""
    return Score(correct=False, parsed=False, detail=f"refused: {error}")
