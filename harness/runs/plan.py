"""What must be run for the selected cases: checks before loading, requests without doubles.

- `with_task` makes a case of a test item, and imports no torch; `planned` (in `checks`) also finds
  everything that can be wrong with it without its model's weights.
- `Plan` maps every distinct request to the completions that wait for it: cases that ask the same
  (every sweep shares its baseline, every greedy draw its siblings) are computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from harness import registry
from harness.engines import tokenizer_for
from harness.engines.contract import Asked, Reply, Request, SamplingRules, Scoring, Stop
from harness.errors import FieldError, MetricError, SandboxError, TaskError
from harness.interventions.base import Intervention
from harness.metrics.column import logged
from harness.metrics.entry import Answer, Asker, Asks, MetricEntry, Opening, Seen
from harness.metrics.kind import content_of, entry_of
from harness.metrics.lookup import metric_of
from harness.resolve.pair_files import check_tokenizer, pairs_of
from harness.resolve.tasks import task_of
from harness.spec import Case, Experiment
from harness.spec.measure import Measure, measure_named
from harness.spec.metric import MetricSettings, needs_of, section_of
from harness.tasks.base import Sample, Score, Style, Task
from harness.tasks.conversations import render
from harness.tasks.pairs.aligned import AlignedPair
from harness.tasks.pairs.pair import pair_key
from harness.tasks.reasoning import opened_by

#: Metrics that are counted of every task's completions.
ALWAYS = ("cut",)


@dataclass(frozen=True, eq=False)
class PlannedCase:
    """A case that can run, with its task at hand; what a bench function gets as `case`."""

    case: Case
    task: Task
    nodeid: str | None = None
    unsafe_code: bool = False
    """Whether code that is not isolated may be run for it."""

    @property
    def id(self) -> str:
        """The case's stable id."""
        return self.case.id

    @property
    def experiment(self) -> Experiment:
        """The experiment with every axis fixed."""
        return self.case.experiment

    @property
    def measure(self) -> Measure:
        """What is measured in it."""
        return measure_named(self.experiment.measure)

    @property
    def metric(self) -> str:
        """The primary metric: the spec's choice, or else the first of those that it lists, of the
        measure, or of the task.
        """
        if self.experiment.metric is not None:
            return self.experiment.metric
        if self.measure.by_task:
            return self.task.metric
        if self.measure.reads:
            return str(self.measure.entries_of(self.experiment)[0].name)
        for first in self.experiment.metrics:
            return section_of(first).called
        return self.task.metric

    @property
    def metrics(self) -> list[str]:
        """What the case will measure, known from its spec, the primary one first."""
        if self.measure.by_task:
            found = list(self.task.entries)
        elif self.measure.reads:
            found = self._read_metrics()
        else:
            draws = self.experiment.sampling.draws
            found = list(self.task.metrics([Score(correct=False, parsed=False)] * draws))
            found += [entry.name for entry in self.counted if entry.name not in found]
        return sorted(found, key=lambda name: name != self.metric)

    def kind(self, metric: str) -> MetricEntry:
        """What one of them is: which way is better, how its values become one number."""
        experiment = self.experiment
        return metric_of(
            experiment.measure,
            metric,
            experiment.metrics,
            task=experiment.task.name,
            answer=experiment.task.answer,
            stated=self.task.entries if self.measure.by_task else {},
        )

    @property
    def items(self) -> dict[str, str | MetricSettings]:
        """What is counted of completions by the names of the metrics: what is of every one and of
        its intervention, the items of `metrics:`, and a registered `metric:`.
        """
        experiment = self.experiment
        always = ALWAYS + (experiment.intervention.metrics() if experiment.intervention else ())
        items: dict[str, str | MetricSettings] = dict(zip(always, always, strict=True))
        items |= {section_of(item).called: item for item in experiment.metrics}
        chosen = experiment.metric
        if chosen is not None and chosen in registry.metrics and not needs_of(chosen):
            items.setdefault(chosen, chosen)
        return items

    @property
    def counted(self) -> list[MetricEntry]:
        """The metrics that the spec asks for beside those of the task, in its order."""
        return [] if self.measure.reads else [entry_of(item) for item in self.items.values()]

    @property
    def contents(self) -> dict[str, str]:
        """A hash of all that decides the values of each of these metrics, by their names."""
        if self.measure.reads:
            return {}
        return {name: content_of(item) for name, item in self.items.items()}

    @property
    def asked_engines(self) -> frozenset[str]:
        """Those of `openings` that are asked for completions or scores, and not only read."""
        return frozenset(self.openings.keys() - self.measure.engines_of(self.experiment).keys())

    @property
    def openings(self) -> dict[str, Opening]:
        """The engines, beside the run's own, that its measure reads, or its intervention or its
        metrics ask, by name.
        """
        found: dict[str, Opening] = dict(self.measure.engines_of(self.experiment))
        settings = self.experiment.intervention
        asked = {} if settings is None else settings.engines()
        found |= {name: Opening(*opening) for name, opening in asked.items()}
        for asks in (entry.asks for entry in self.counted if entry.asks is not None):
            if asks.reference and self.reference:
                found[self.reference] = Opening(self.reference)
            found |= asks.engines
        return found

    @property
    def reference(self) -> str:
        """The engine of the spec's `reference:`, as requests name it; "" for the model itself."""
        named = self.experiment.reference
        return "" if named is None or named == self.experiment.model else named

    def seen(self, sample: Sample, prompt: str, **came: Any) -> Seen:
        """What a metric sees of a sample; `came` has its answers, and the replies to the metric."""
        style = self.experiment.prompt.style

        def correct(text: str) -> bool | None:
            answer = (sample, style, opened_by(prompt) + text)
            (score,) = self.task.score([answer])
            return score.correct

        return Seen(sample.id, sample.record, prompt, correct=correct, **came)

    def _read_metrics(self) -> list[str]:
        # Here, because they import torch, which starting workers does not need.
        from harness.models.loading import load_config
        from harness.models.routers import has_routers

        entries: Sequence[MetricEntry] = self.measure.entries_of(self.experiment)
        needed = {need for entry in entries for need in entry.needs}
        had: set[str] = set()
        if "routers" in needed and has_routers(load_config(self.experiment.model)):
            had.add("routers")
        if "choices" in needed and self.task.distractors(self.task.samples[0]):
            had.add("choices")
        return [entry.name for entry in entries if entry.needs <= had]

    @property
    def baseline(self) -> PlannedCase | None:
        """The same case without its intervention; no test item of its own."""
        if self.case.baseline is None:
            return None
        return PlannedCase(self.case.baseline, self.task, unsafe_code=self.unsafe_code)


def with_task(case: Case, nodeid: str | None = None, *, unsafe_code: bool = False) -> PlannedCase:
    """A case with its task, which is found to be scorable here; imports no torch.

    `unsafe_code` allows completions to run as a plain process where they cannot be isolated.
    Raises `SpecError` for a task that cannot be had.
    """
    try:
        experiment = case.experiment
        task = task_of(experiment.task, experiment.prompt, unsafe_code=unsafe_code)
    except FieldError as error:
        raise case.source.locate(error) from error
    except (TaskError, SandboxError) as error:
        raise case.source.locate(FieldError("task", str(error))) from error
    return PlannedCase(case, task, nodeid, unsafe_code)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a reply belongs: a case's sample and draw, and the step at which it is asked for.

    What a metric asks of a sample has its name, and in address of a draw its number.
    """

    case: str
    sample: str
    draw: int
    step: int = 0
    metric: str = ""


_PromptKey: TypeAlias = tuple[Task, Sample, Style, str | None]
_ScoredKey: TypeAlias = tuple[str, Task, Sample, Style]
_InstancesKey: TypeAlias = tuple[Task, Sample, str]


@dataclass
class Plan:
    """Distinct requests in the order to run them, with the addresses that each one fills."""

    tokenizer: Any
    addresses: dict[Asked, list[Address]] = field(default_factory=dict)
    refused: dict[Address, str] = field(default_factory=dict)
    _prompts: dict[_PromptKey, tuple[int, ...] | str] = field(default_factory=dict)
    _scored: dict[_ScoredKey, Any] = field(default_factory=dict)
    _asked: dict[_InstancesKey, Any] = field(default_factory=dict)

    def add(self, case: PlannedCase, intervention: Intervention | None) -> None:
        """Add all requests of a case, or none when one of its prompts cannot be rendered.

        A sample without a usable pair has no request; `refused` says why.
        """
        refused: dict[Address, str] = {}
        self.put(self.requests(case, intervention, refused))
        self.refused |= refused

    def put(self, addressed: Iterable[tuple[Address, Asked]]) -> None:
        """Add what is asked for these addresses."""
        for address, asked in addressed:
            self.addresses.setdefault(asked, []).append(address)

    def requests(
        self,
        case: PlannedCase,
        intervention: Intervention | None,
        refused: dict[Address, str] | None = None,
    ) -> list[tuple[Address, Asked]]:
        """All requests of a case, with the address that each one fills.

        A case that reads by itself asks for nothing at all. Samples without a usable pair, or
        without anything to score, are left out, and noted in `refused` with the reason.
        """
        if case.measure.by_task:
            return self._instances(case, intervention, refused)
        if case.measure.scores:
            return self._scorings(case, intervention, refused)
        if case.measure.reads:
            return []
        check_tokenizer(case.experiment, self.tokenizer)
        found: list[tuple[Address, Asked]] = []
        for sample in case.task.samples:
            prompt = self._prompt(case, sample)
            for draw in range(case.experiment.sampling.draws):
                address = Address(case.id, sample.id, draw)
                if not isinstance(prompt, str):
                    request = _request(case, sample, prompt, draw, intervention)
                    found.append((address, self._told(case, sample, request)))
                elif refused is not None:
                    refused[address] = prompt
            if not isinstance(prompt, str):
                found += self.asked_by_metrics(case, sample, intervention, early=True)
        for entry in case.counted:
            if entry.asks is not None and entry.asks.items is not None:
                asker = Asker(self.tokenizer, (), intervention, case.reference)
                for item in entry.asks.items():
                    found += _asked(case, entry, entry.asks, Seen(item.id, item.record, ""), asker)
        return found

    def asked_by_metrics(
        self,
        case: PlannedCase,
        sample: Sample,
        intervention: Intervention | None,
        answers: Sequence[Answer] = (),
        *,
        early: bool = False,
        replies: Mapping[str, Sequence[Reply]] | None = None,
    ) -> Iterator[tuple[Address, Asked]]:
        """What a case's metrics ask of a sample: together with its completions, because of them, or
        because of the `replies` to that, by the metrics' names.

        A metric that finds nothing to ask of it says so when its value is wanted.
        """
        prompt = self._prompt(case, sample)
        for entry in case.counted:
            asks = entry.asks
            if asks is None or asks.items is not None or asks.early != early:
                continue
            if not isinstance(prompt, str):
                request = _request(case, sample, prompt, 0, intervention)
                request = self._told(case, sample, request)
                asker = Asker(self.tokenizer, prompt, intervention, case.reference, request)
                came = None if replies is None else tuple(replies.get(entry.name, ()))
                text = self.prompt_text(case, sample)
                seen = case.seen(sample, text, answers=tuple(answers), replies=came or ())
                yield from _asked(case, entry, asks, seen, asker, again=came is not None)

    def scored(self, case: PlannedCase, sample: Sample) -> Any:
        """What a case's measure asks of a sample, or in text why that is nothing; the conditions of
        a sweep share it.
        """
        style = case.experiment.prompt.style
        key = (case.measure.name, case.task, sample, style)
        if key not in self._scored:
            try:
                asked = case.measure.asked_of(self.tokenizer, case.task, sample, style)
            except TaskError as error:
                asked = str(error).removeprefix(f"{sample.id}: ")
            self._scored[key] = asked
        return self._scored[key]

    def _scorings(
        self,
        case: PlannedCase,
        intervention: Intervention | None,
        refused: dict[Address, str] | None,
    ) -> list[tuple[Address, Asked]]:
        """One scoring for every sample of a case."""
        found: list[tuple[Address, Asked]] = []
        for sample in case.task.samples:
            address = Address(case.id, sample.id, 0)
            prompt, asked = self._prompt(case, sample), self.scored(case, sample)
            if isinstance(prompt, str) or isinstance(asked, str):
                if refused is not None:
                    refused[address] = prompt if isinstance(prompt, str) else asked
            else:
                context = prompt if asked.context is None else asked.context
                found.append((address, Scoring(context, asked.continuations, intervention)))
        return found

    def instances(self, case: PlannedCase, sample: Sample) -> Any:
        """What a case's task asks of a sample, or in text why that is nothing; the conditions of a
        sweep share it.
        """
        experiment = case.experiment
        settings = [
            experiment.prompt.model_dump_json(),
            experiment.sampling.model_dump_json(),
            sorted(each for each in case.case.params if each.startswith("sampling.")),
            case.case.tried,
            experiment.seed,
        ]
        key = (case.task, sample, repr(settings))
        if key not in self._asked:
            try:
                asked = case.measure.instances_of(self.tokenizer, case.case, case.task, sample)
            except TaskError as error:
                asked = str(error).removeprefix(f"{sample.id}: ")
            self._asked[key] = asked
        return self._asked[key]

    def _instances(
        self,
        case: PlannedCase,
        intervention: Intervention | None,
        refused: dict[Address, str] | None,
    ) -> list[tuple[Address, Asked]]:
        """What a case's task asks, each with its number among those of its sample."""
        found: list[tuple[Address, Asked]] = []
        for sample in case.task.samples:
            asked = self.instances(case, sample)
            if not isinstance(asked, str):
                found += [
                    (Address(case.id, sample.id, number), replace(each, intervention=intervention))
                    for number, each in enumerate(asked.asked)
                ]
            elif refused is not None:
                refused[Address(case.id, sample.id, 0)] = asked
        return found

    def prompt_text(self, case: PlannedCase, sample: Sample) -> str:
        """A prompt as the model reads it, special tokens included; empty for a refused one."""
        prompt = self._prompt(case, sample)
        return "" if isinstance(prompt, str) else str(self.tokenizer.decode(prompt))

    def prompt_length(self, case: PlannedCase, sample: Sample) -> int:
        """Tokens of a prompt; 0 for a refused one."""
        prompt = self._prompt(case, sample)
        return 0 if isinstance(prompt, str) else len(prompt)

    def _told(self, case: PlannedCase, sample: Sample, request: Request) -> Request:
        """The request, with its prompt in the tokens of those that are asked in other tokens."""
        settings = case.experiment.intervention
        others = () if settings is None else settings.translated()
        if not others:
            return request
        prompts = []
        for name in others:
            opening = case.openings[name]
            engine = opening.settings or case.experiment.engine
            tokenizer = tokenizer_for(opening.model, engine)
            rendered = render(tokenizer, case.task.prompt(sample, case.experiment.prompt.style))
            prompts.append((name, tuple(rendered)))
        return replace(request, prompts=tuple(prompts))

    def _prompt(self, case: PlannedCase, sample: Sample) -> tuple[int, ...] | str:
        """A prompt's tokens, or why there are none; the conditions of a sweep share one tuple."""
        prompt = case.experiment.prompt
        key = (case.task, sample, prompt.style, prompt.pairs)
        if key not in self._prompts:
            pairs = pairs_of(case.experiment)
            if pairs is None:
                rendered = render(self.tokenizer, case.task.prompt(sample, prompt.style))
                self._prompts[key] = tuple(rendered)
            else:
                self._prompts[key] = _prefix(pairs, sample, prompt.style)
        return self._prompts[key]


def _asked(
    case: PlannedCase,
    entry: MetricEntry,
    asks: Asks,
    seen: Seen,
    asker: Asker,
    *,
    again: bool = False,
) -> Iterator[tuple[Address, Asked]]:
    """What a metric asks of a sample, or of an item of its own; nothing where it cannot."""
    ask = asks.again if again else asks.ask
    if ask is None:
        return
    step = 0 if asks.early else 2 if again else 1
    with suppress(MetricError):
        for number, asked in enumerate(ask(seen, asker), start=len(seen.replies)):
            yield Address(case.id, seen.id, number, step, entry.name), asked


def _request(
    case: PlannedCase,
    sample: Sample,
    prompt: tuple[int, ...],
    draw: int,
    intervention: Intervention | None,
) -> Request:
    """One request. Greedy decoding has no randomness, so that its seed and draw are 0."""
    experiment = case.experiment
    sampling = SamplingRules(tried=case.case.tried, **experiment.sampling.rules)
    return Request(
        prompt=prompt,
        max_new_tokens=experiment.sampling.max_new_tokens,
        intervention=intervention,
        sampling=sampling,
        stop=Stop(strings=case.task.stop_strings(experiment.prompt.style)),
        seed=experiment.seed if sampling.random else 0,
        sample=sample.id,
        draw=draw if sampling.random else 0,
        logged=logged(experiment.columns),
    )


def _prefix(
    pairs: Mapping[str, AlignedPair], sample: Sample, style: Style
) -> tuple[int, ...] | str:
    """What a pair is decoded from in a style, or why it cannot be.

    The agentic variant does not depend on the alignment. Where the answer's fence was not found,
    nothing says where the prompt ends, and the whole text would hold the answer.
    """
    assert style != "completion", "pairs_of refuses it"
    pair = pairs.get(pair_key(sample.id))
    if pair is None:
        return f"{sample.id}: not in the file of aligned pairs"
    if style == "assisted" and not pair.aligned_ok:
        return f"{sample.id}: not aligned: {'; '.join(pair.aligned_errors)}"
    if pair.canonical_positions.fence_start < 0:
        return f"{sample.id}: its pair has no fenced answer"
    return pair.prompt(style)


def by_model(cases: Iterable[PlannedCase]) -> dict[tuple[str, str], list[PlannedCase]]:
    """Cases grouped by the loaded model that they share, in their given order."""
    groups: dict[tuple[str, str], list[PlannedCase]] = {}
    for case in cases:
        key = (case.experiment.model, case.experiment.engine.model_dump_json())
        groups.setdefault(key, []).append(case)
    return groups
