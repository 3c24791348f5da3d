"""What a measure says of itself: what it asks of a model, what a case yields, and what it costs.

Code that plans, runs, judges or shows a case asks its measure and knows none by name. A part is a
reference `"module:object"`, imported when it is needed, or the object itself:

    MEASURE = Measure("surprise", "surprise at the reference answer", "nats per token of it",
                      run="my_package.surprise:measured_case", metrics=(SURPRISE,), readings=1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from harness import registry
from harness.spec.settings import Settings

Part: TypeAlias = str | Callable[..., Any]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Args:
        name: As a spec calls it (`measure: forward`); also the folder of its files, in a report
            and below `.titrate`.
        noun: What it reads of a model, in words, such as `forward passes`.
        summary: What it is for, in a line.
        run: `(engine, case, intervention, folder, told) -> CaseResult` for a case that reads given
            texts. `folder` is shared by all of its cases and runs; what lies in it and goes with
            the report is the folder that the result's `artefacts` names. `told` takes the number of
            samples that are done, and the share of those that are begun.
        asks: `(tokenizer, task, sample, style) -> asked`: what is scored of a sample, in token ids:
            `asked.continuations`, and `asked.context`, which they follow, None for the sample's
            prompt. They are asked, stored and shared as completions.
        values: `(asked, scored) -> {metric: value}` of such a sample. With none of `run`, `asks`
            and `instances` a case asks for completions, which its task scores.
        instances: `(tokenizer, case, task, sample) -> asked` where a task says itself what is asked
            of its samples: `asked.asked` are requests and scorings without an intervention, and
            `asked.answers(replies)` is what came of them, as JSON.
        outcome: `(case, task, {sample: answers}, tokenizer) -> outcome` of all samples of such a
            case: `outcome.values` (metric -> sample -> value), `outcome.failures`,
            `outcome.entries` (metric -> `TaskMetric`) and `outcome.verdicts` (sample -> a Score for
            each of its draws, or one for all of them).
        again: `(case, task, recorded, tokenizer) -> {sample: answers}` from what a run has recorded
            of each sample: its texts, and `[log-likelihood, greedy]` of each of its scores.
        logged: The same, to what the task says of each document (`Logged`), for exports.
        metrics: The metrics (`MetricEntry`) of such a case, the primary one first; those that need
            what a model lacks are left out.
        yields: `(experiment) -> names` of those metrics that a case with such settings has; all by
            default.
        styles: `(experiment) -> {style: field}`, the prompt styles that are read, with the field of
            the spec that asks for each; by default none.
        check: `(experiment) -> None`, which raises `FieldError` for what cannot be measured, before
            any model is loaded.
        needs: `(experiment) -> Declared`, what an engine must be told before it starts.
        readings: Sequences that are read of each sample: what a case costs. A number, or
            `(experiment) -> number`.
        fixed: Fields, or whole sections, that cannot be an axis, each with reason and remedy.
        readings_kept: The folder beside that of `artefacts` in which a run keeps what it has read
            of each sample. It goes into bundles.
        recounted: `(case, result, files, tokenizer) -> Recounted`: what a case's files
            (`CaseFiles`) come to without a model; `result` has the recorded values.
        figures: `(case of the report, folder) -> (name, figure), ...` of the files of a case.
        overview: `(cases of the report, folders by id) -> (part, files)` of all cases of an
            experiment: what makes the markup that the page shows beside them, and files of the
            report by their names.
        section: What a spec may say to it: the form (a subclass of `Settings`) of a section that
            stands under the measure's name; `experiment.section_of(name)` is what a spec says. One
            section for all cases of an experiment: it cannot be an axis.
        swept: Whether the fields of its section may be axes all the same.
        units: What another run of it would draw anew, and doses have intervals over: samples, or
            seeds, where samples are places of a list that one reading of many texts makes.
        engines: `(experiment) -> {name: Opening}`, other engines that a case reads or asks. `run`
            gets `Readers` in place of the engine then (`runs/readers.py`).
        only_stored: `(experiment) -> field`, the field by which a case shows what is stored and no
            more, None where none says so: nothing is loaded or asked for such a case.
    """

    name: str
    noun: str
    summary: str
    run: Part | None = None
    asks: Part | None = None
    values: Part | None = None
    instances: Part | None = None
    outcome: Part | None = None
    again: Part | None = None
    logged: Part | None = None
    metrics: str | tuple[Any, ...] = ()
    yields: Part | None = None
    styles: Part | None = None
    check: Part | None = None
    needs: Part | None = None
    readings: int | Part = 0
    fixed: Mapping[str, str] = field(default_factory=dict)
    readings_kept: str | None = None
    recounted: Part | None = None
    figures: Part | None = None
    overview: Part | None = None
    section: str | type[Settings] | None = None
    swept: bool = False
    units: Literal["samples", "seeds"] = "samples"
    engines: Part | None = None
    only_stored: Part | None = None

    @property
    def reads(self) -> bool:
        """Whether it reads given texts; what does not asks for completions."""
        return self.run is not None or self.scores or self.by_task

    @property
    def by_task(self) -> bool:
        """Whether its task says what is asked, completions as well as scores, and counts it."""
        return self.instances is not None

    @property
    def scores(self) -> bool:
        """Whether what it reads is asked for as completions are, and read by `Engine.score`."""
        return self.asks is not None

    def entries(self) -> tuple[Any, ...]:
        """Its metrics (`MetricEntry`), the primary one first; none where a task has them."""
        found: tuple[Any, ...] = registry.loaded(self.metrics)
        return found

    def entries_of(self, experiment: Any) -> tuple[Any, ...]:
        """Those of them that a case has, as far as its settings say."""
        entries = self.entries()
        if self.yields is None:
            return entries
        names = registry.loaded(self.yields)(experiment)
        return tuple(entry for entry in entries if entry.name in names)

    def readings_of(self, experiment: Any) -> int:
        """Sequences that are read of each sample of a case."""
        found: int | Callable[..., int] = registry.loaded(self.readings)
        return found if isinstance(found, int) else found(experiment)

    def runner(self) -> Callable[..., Any]:
        """What runs a case that reads."""
        assert self.run is not None
        found: Callable[..., Any] = registry.loaded(self.run)
        return found

    def asked_of(self, tokenizer: Any, task: Any, sample: Any, style: Any) -> Any:
        """What is scored of a sample. Raises TaskError where there is nothing to score."""
        assert self.asks is not None
        return registry.loaded(self.asks)(tokenizer, task, sample, style)

    def values_of(self, asked: Any, scored: Any) -> Mapping[str, Any]:
        """A sample's metrics, from what was asked of it and what came back."""
        assert self.values is not None
        found: Mapping[str, Any] = registry.loaded(self.values)(asked, scored)
        return found

    def instances_of(self, tokenizer: Any, case: Any, task: Any, sample: Any) -> Any:
        """What a task asks of a sample. Raises TaskError where it cannot be asked."""
        assert self.instances is not None
        return registry.loaded(self.instances)(tokenizer, case, task, sample)

    def outcome_of(
        self, case: Any, task: Any, answers: Mapping[str, Any], tokenizer: Callable[[], Any]
    ) -> Any:
        """What a task counts of all that came of its samples; it may ask for the tokenizer."""
        assert self.outcome is not None
        return registry.loaded(self.outcome)(case, task, answers, tokenizer)

    def logged_of(
        self, case: Any, task: Any, recorded: Mapping[str, Any], tokenizer: Callable[[], Any]
    ) -> Any:
        """What a task says of every document that a run has recorded."""
        assert self.logged is not None
        return registry.loaded(self.logged)(case, task, recorded, tokenizer)

    def answers_again(
        self, case: Any, task: Any, recorded: Mapping[str, Any], tokenizer: Callable[[], Any]
    ) -> Mapping[str, Any]:
        """The answers that a run has recorded."""
        assert self.again is not None
        found: Mapping[str, Any] = registry.loaded(self.again)(case, task, recorded, tokenizer)
        return found

    def styles_of(self, experiment: Any) -> Mapping[Any, str]:
        """The prompt styles that a case reads, with the field that asks for each."""
        found: Mapping[Any, str] = {}
        if self.styles is not None:
            found = registry.loaded(self.styles)(experiment)
        return found

    def check_experiment(self, experiment: Any) -> None:
        """Raise `FieldError` for what cannot be measured."""
        if self.check is not None:
            registry.loaded(self.check)(experiment)

    def needs_of(self, experiment: Any) -> Any:
        """What an engine must be told of a case (`Declared`); None where it is nothing."""
        return None if self.needs is None else registry.loaded(self.needs)(experiment)

    def engines_of(self, experiment: Any) -> Mapping[str, Any]:
        """The other engines of a case (`Opening`), by the names that it calls them."""
        found: Mapping[str, Any] = {}
        if self.engines is not None:
            found = registry.loaded(self.engines)(experiment)
        return found

    def only_stored_of(self, experiment: Any) -> str | None:
        """The field by which a case shows only what is stored."""
        if self.only_stored is None:
            return None
        found: str | None = registry.loaded(self.only_stored)(experiment)
        return found

    def recounted_of(self, case: Any, result: Any, files: Any, tokenizer: Callable[[], Any]) -> Any:
        """What a case's files come to (`Recounted`). Raises TitrateError where none can tell."""
        assert self.recounted is not None
        return registry.loaded(self.recounted)(case, result, files, tokenizer)

    def figures_of(self, case: Any, folder: Any) -> Iterator[tuple[str, Any]]:
        """The figures of a case's files, by name."""
        if self.figures is not None:
            yield from registry.loaded(self.figures)(case, folder)


def measure_named(name: str) -> Measure:
    """The measure of this name. Raises RegistryError where none is registered."""
    found: Measure = registry.measures.get(name)
    return found
