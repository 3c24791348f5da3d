"""What must be run for the selected cases: requests without doubles.

`Plan` maps every distinct request to the completions that wait for it: cases that ask the same
(every sweep shares its baseline, every greedy draw its siblings) are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from harness.engines import tokenizer_for
from harness.engines.contract import Asked, Reply, Request, Scoring, Stop
from harness.errors import MetricError, TaskError
from harness.interventions.base import Intervention
from harness.metrics.column import logged
from harness.metrics.entry import Answer, Asker, Asks, MetricEntry, Seen
from harness.resolve.pair_files import check_tokenizer, pairs_of
from harness.runs.planned_case import PlannedCase
from harness.sampling.chosen import SamplingRules
from harness.tasks.base import Sample, Style, Task
from harness.tasks.conversations import render
from harness.tasks.pairs.aligned import AlignedPair
from harness.tasks.pairs.pair import pair_key


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
            self._scored[key] = _or_why_not(
                sample, case.measure.asked_of, self.tokenizer, case.task, sample, style
            )
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
            self._asked[key] = _or_why_not(
                sample, case.measure.instances_of, self.tokenizer, case.case, case.task, sample
            )
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


def by_model(
    cases: Iterable[PlannedCase],
) -> dict[tuple[str, str, str | None], list[PlannedCase]]:
    """Cases grouped by the loaded model that they share, in their given order.

    Those for which none may be loaded are by themselves, under the field that says so.
    """
    groups: dict[tuple[str, str, str | None], list[PlannedCase]] = {}
    for case in cases:
        experiment = case.experiment
        only_stored = case.measure.only_stored_of(experiment)
        key = (experiment.model, experiment.engine.model_dump_json(), only_stored)
        groups.setdefault(key, []).append(case)
    return groups


def _or_why_not(sample: Sample, ask: Callable[..., Any], *of: Any) -> Any:
    """What there is to ask of a sample, or in text why it cannot be asked."""
    try:
        return ask(*of)
    except TaskError as error:
        return str(error).removeprefix(f"{sample.id}: ")
