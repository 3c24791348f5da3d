"""Runs the cases of one model as one stream of requests, and cuts it back into case results.

A case is asked for its result; the stream (`stream.py`) runs until that case's requests are done
and is left where it stands, so that the next case continues. Cases that read given texts, and
sweeps that stop themselves, run before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.engines.company import Company
from harness.engines.contract import Asked, Engine, Reply, Request
from harness.errors import FieldError, StoreError, TitrateError
from harness.interventions.base import Intervention
from harness.resolve.progress import Counts, Progress
from harness.resolve.resolver import Resolver
from harness.runs.asking import Asking
from harness.runs.assemble import assembled
from harness.runs.counting import described
from harness.runs.generated import result_of, without_completions
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.runs.prompt_warnings import prompt_warnings
from harness.runs.readers import Readers
from harness.runs.sharing import awaited
from harness.runs.source import CaseSource, follow
from harness.runs.stopping import SelfStopping, stopping
from harness.runs.stream import Stream
from harness.runs.waiting import Waiting
from harness.runs.watching import StreamWatch
from harness.store.completions import CompletionStore
from harness.store.results import CaseResult, DrawResult, UsageMap
from harness.store.verdicts import Verdicts

#: Why a case has no result when nothing went wrong with it.
INCOMPLETE = "the run ended before it"


class ModelRun:
    """The cases of one model. `result` may be asked for in any order, more than once.

    Args:
        engine: What makes the completions that are not stored: the engine of the cases' own model.
        cases: The cases, all of this engine's model, as one part of it.
        progress: Told of every request and case that is done.
        counts: Where the whole run stands; added to.
        store: Where completions and verdicts are looked for and kept; none are without it.
        resolver: What knows the cases' interventions; by default a new one.
        keep: Called once with every case's result as soon as there is one. What it returns is
            held in place of the result's draws.
        parts: The cases of every part of this model, where workers share it by a common store.
        part: Which of them these cases are.
        kept: Where readings are kept, sample by sample, by the name of their measure.
        others: Engines of other models that cases ask, by the names that they ask by.
        further: Whether sweeps that stop themselves go on with doses that they would give up.
    """

    def __init__(
        self,
        engine: Engine,
        cases: Sequence[PlannedCase],
        progress: Progress,
        counts: Counts,
        store: CompletionStore | None = None,
        resolver: Resolver | None = None,
        keep: Callable[[CaseResult], Sequence[DrawResult] | None] = lambda _: None,
        parts: Mapping[int, Sequence[PlannedCase]] | None = None,
        part: int = 0,
        kept: Callable[[str], Path] = lambda measure: Path(".titrate", measure),
        others: Mapping[str, Engine] | None = None,
        *,
        further: bool = False,
    ) -> None:
        self.engine = engine
        self._others = others
        self._store = store
        self._engines = Company(engine, others)
        self._cases = list(cases)
        self._asked = {case.id for case in cases}
        self._progress = progress
        self._counts = counts
        self._verdicts = Verdicts(store)
        self._record = keep
        self._kept = kept
        self._results: dict[str, CaseResult] = {}
        self._waiting = Waiting(self._stored)
        self._broken: Exception | None = None
        self._closed = False
        self._further = further
        self._resolver = resolver or Resolver(engine, progress, store)
        self._plan = Plan(engine.tokenizer)
        self._interventions: dict[str, Intervention | None] = {}
        self._usages: dict[str, UsageMap] = {}
        self._sweeps = list(stopping(cases).values())
        untouched, touched, impossible = self._add_requests()
        shared = {} if store is None else dict(parts or {})
        left = awaited(self._plan, untouched, shared, part)
        self._waiting.refuse(self._plan.refused)
        self._read = [each for each in self._each() if each.measure.run is not None]
        counts.requests_total += len(self._plan.addresses)
        counts.requests_total += sum(each.task.size for each in self._read)
        generated = [each for each in self._plan.addresses if isinstance(each, Request)]
        longest = max((each.max_new_tokens for each in generated), default=1)
        self._watch = StreamWatch(counts, progress, longest, len(self._asked))
        self._asking = Asking(self._engines, store, self._watch)
        self._readers = Readers(self._engines, self._answers)
        self._stream = Stream(
            self._asking,
            self._waiting,
            untouched=untouched,
            touched=touched,
            awaited=left,
            counts=counts,
            progress=progress,
        )
        for case, error in impossible:
            self._keep(case, result_of(case, "failed", error=_located(case, error)))

    @property
    def seconds(self) -> float:
        """What the engine has taken for completions, in all."""
        return self._watch.seconds

    @property
    def missing(self) -> int:
        """Requests that are not stored at this moment, of those that are known from the start."""
        return self._asking.missing(list(self._plan.addresses))

    def result(self, case: PlannedCase) -> CaseResult:
        """Run until this case is complete, and return what came of it.

        A case that is impossible or cannot be scored comes back as failed; an engine that stops
        working raises, for this case and for every later one that is not complete by then.
        """
        # Readings and sweeps that stop themselves come first: an engine that is left in the middle
        # of a stream can neither read nor begin another one.
        while self._read:
            self._measure(self._read[0])
            del self._read[0]
        while self._sweeps:
            self._sweep(self._sweeps[0])
            del self._sweeps[0]
        baseline = None if case.baseline is None else self.result(case.baseline)
        if case.id not in self._results:
            if self._waiting[case.id]:
                with self._at_work():
                    self._stream.run_until_done(case.id)
            self._keep(case, self._assemble(case, baseline))
        return self._results[case.id]

    @property
    def done(self) -> bool:
        """Whether the engine is no longer needed: every case has a result, or it broke."""
        return self._broken is not None or all(case.id in self._results for case in self._cases)

    def results(self) -> list[CaseResult]:
        """Every case in planned order after its baseline, also those without completions.

        They are incomplete, or failed when the engine broke. The engine's time is shared among
        cases by the tokens that were generated for each in this run; stored ones took no time.
        """
        if self._broken is None:
            missing = without_completions(self._cases, "incomplete", INCOMPLETE)
        else:
            missing = without_completions(
                self._cases, "failed", f"the engine broke: {described(self._broken)}"
            )
        results = [self._results.get(result.case.id, result) for result in missing]
        return [self._timed(result) for result in results]

    def leave(self) -> None:
        """End the stream; results stay, and so do the engines, for their next use."""
        self._stream.close()

    def close(self) -> None:
        """Give the models' memory back; results stay. Closing twice is closing once."""
        if not self._closed:
            self._closed = True
            self.leave()
            self._engines.close()

    def _each(self) -> list[PlannedCase]:
        """Every case after its baseline, each once."""
        each = [one for case in self._cases for one in (case.baseline, case) if one is not None]
        return list({one.id: one for one in each}.values())

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """The engine works; what goes wrong with it ends this run, and is raised ever after."""
        if self._broken is not None:
            raise self._broken
        try:
            yield
        except Exception as error:
            self._broken = error
            raise

    # Readings -------------------------------------------------------------------------------------

    def _measure(self, case: PlannedCase) -> None:
        """Run a case that reads given texts, unless it has failed already."""
        if case.id in self._results:
            return
        done = self._counts.requests_done
        begun = time.perf_counter()
        waiting = sum(each.task.size for each in self._read)

        def progressed(samples: float) -> None:
            self._counts.requests_done = done + int(samples)
            taken = time.perf_counter() - begun
            self._counts.left = taken / samples * (waiting - samples) if samples else None
            self._progress.update(self._counts)

        with self._at_work():
            self._progress.note(f"reading for {case.id}")
            intervention = self._interventions.get(case.id)
            try:
                folder = self._kept(case.measure.name)
                engine = self.engine if case.measure.engines is None else self._readers
                result = case.measure.runner()(engine, case, intervention, folder, progressed)
                result = replace(result, warnings=self._warned(case, result))
            except TitrateError as error:
                result = result_of(case, "failed", error=_located(case, error))
        self._counts.requests_done = done + case.task.size
        self._counts.left = None
        self._keep(case, result)

    def _sweep(self, cases: Sequence[PlannedCase]) -> None:
        """Run the cases of an experiment that stops itself, chunk by chunk."""
        with self._at_work():
            self._progress.note(f"{cases[0].experiment.name} stops itself")
            source = SelfStopping(cases, further=self._further)
            follow(source, self._chunk)
            for case, result in source.results(self._verdicts):
                warned = replace(result, warnings=self._warned(case, result))
                self._keep(case, warned)

    def _chunk(self, cases: Sequence[PlannedCase]) -> Sequence[CaseResult]:
        """A run of its own of a few samples, whose cases are not done with it."""
        if self._store is not None:
            self._store.refresh()
        run = ModelRun(
            self.engine,
            cases,
            self._progress,
            self._counts,
            self._store,
            self._resolver,
            others=self._others,
        )
        run._asked.clear()
        run._verdicts = self._verdicts
        try:
            for case in cases:
                run.result(case)
            return run.results()
        finally:
            run.leave()

    def _answers(self, asked: Sequence[Asked]) -> list[Reply]:
        """Replies to what a reading asks, those that are stored and those that are made now."""
        replies: dict[Asked, Reply] = {}
        for done in self._asking.run(list(dict.fromkeys(asked))):
            replies[done.asked] = done.reply
        return [replies[each] for each in asked]

    # Requests -------------------------------------------------------------------------------------

    def _add_requests(
        self,
    ) -> tuple[list[Asked], list[Asked], list[tuple[PlannedCase, TitrateError]]]:
        """Plan all cases: the distinct requests of the baselines, and all the other ones.

        A case whose intervention turns out to be impossible fails alone; these come last.
        """
        impossible = list[tuple[PlannedCase, TitrateError]]()
        planned = [case for case in self._cases if case.experiment.stop is None]
        firsts = {first.id: first for case in planned for first in [case.baseline or case]}
        for first in firsts.values():
            try:
                self._begin(first, None)
            except TitrateError as error:
                impossible.append((first, error))
        untouched = list(self._plan.addresses)
        shown: set[tuple[str, UsageMap]] = set()
        resolver = self._resolver
        for case in planned:
            if case.id in firsts:
                continue
            try:
                intervention = resolver.resolve(case.experiment)
                self._begin(case, intervention)
                self._interventions[case.id] = intervention
                usage = resolver.usage(case.experiment)
                if usage is not None and (case.experiment.name, usage) not in shown:
                    shown.add((case.experiment.name, usage))
                    self._usages[case.id] = usage
            except TitrateError as error:
                impossible.append((case, error))
        return untouched, list(self._plan.addresses)[len(untouched) :], impossible

    def _begin(self, case: PlannedCase, intervention: Intervention | None) -> None:
        """Plan what a case asks first, or nothing when one of its prompts cannot be rendered."""
        source = CaseSource(case, self._plan, intervention)
        self._plan.put(self._waiting.begin(case.id, source))

    def _stored(self, asked: Asked) -> Reply | None:
        """What the store has by now."""
        found = self._asking.find(asked)
        return None if found is None else found.reply

    # Results --------------------------------------------------------------------------------------

    def _assemble(self, case: PlannedCase, baseline: CaseResult | None) -> CaseResult:
        """The result of a case whose requests are done."""
        result = assembled(
            case,
            self._plan,
            self._waiting.replies(case.id),
            self._interventions.get(case.id),
            baseline,
            self._verdicts,
            self.engine.determinism["dtype"],
        )
        return replace(result, usage=self._usages.get(case.id), warnings=self._warned(case, result))

    def _warned(self, case: PlannedCase, result: CaseResult) -> tuple[str, ...]:
        """A result's warnings, and those about its prompts."""
        return (*result.warnings, *prompt_warnings(case, self._plan))

    def _keep(self, case: PlannedCase, result: CaseResult) -> None:
        """Note a case's result, and that one more of the cases that were asked for is done."""
        self._results[case.id] = result
        self._counts.cases_done += case.id in self._asked
        self._progress.update(self._counts)
        try:
            recorded = self._record(self._timed(result))
        except StoreError as error:
            self._broken = error
            raise
        if recorded is not None:
            self._results[case.id] = replace(result, draws=recorded)

    def _timed(self, result: CaseResult) -> CaseResult:
        """The result with its share of the engine's time, as far as it has run."""
        if result.measure.run is not None or result.stopped is not None:
            return result
        return replace(result, seconds=self.seconds * self._stream.share(result.case.id))


def _located(case: PlannedCase, error: TitrateError) -> str:
    """An error's text, with the line of the spec that it concerns."""
    return str(case.case.source.locate(error) if isinstance(error, FieldError) else error)
