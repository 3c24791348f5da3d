"""A search before any model is loaded: its spec read, its splits dealt, everything checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from harness.errors import FieldError, ModelError, SandboxError, TaskError
from harness.metrics.lookup import directionless, kind_of
from harness.models.content import content_hash
from harness.models.loading import load_config, local_files
from harness.resolve.tasks import task_of
from harness.runs.checks import check_metrics
from harness.runs.planned_case import PlannedCase
from harness.runs.prompt_styles import check_styles, tokenizer_of
from harness.runs.prompt_warnings import moment_warnings
from harness.runs.requirements import unmet
from harness.search.space import Space, space_of
from harness.search.splits import Splits, split
from harness.search.study import default_storage, pruner_of, sampler_for
from harness.search.training import PairSet, check_train, joined, pair_sets
from harness.search.treatment import treatment, with_pairs
from harness.spec import Case, Experiment, SpecSource, load
from harness.spec.doses import beyond
from harness.spec.measure import measure_named
from harness.spec.search import SearchSettings, SplitSettings
from harness.spec.suggestion import suggestion
from harness.tasks.base import Task


@dataclass(frozen=True)
class Setup:
    """A search that can begin."""

    settings: SearchSettings
    space: Space
    splits: Splits
    pair_sets: Sequence[PairSet]
    """What the train split consists of."""
    metric: str
    study: str
    """Its name in the storage: the experiment's; a quick look (`task.limit`) has another."""
    storage: str
    """The URL of the study's storage."""
    identity: dict[str, JsonValue]
    """What the values of its trials depend on."""
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The experiment's."""
        return self.space.base.name


def read_search(spec: Path, overrides: Sequence[str] = ()) -> tuple[Experiment, SpecSource]:
    """A spec that has a section `search`; raises `SpecError` for one that cannot be searched."""
    experiment, source = load(spec, overrides)
    try:
        _check_form(experiment)
    except FieldError as error:
        raise source.locate(error) from error
    return experiment, source


def unmet_by(spec: Path, overrides: Sequence[str] = ()) -> str | None:
    """Why a search cannot run on this machine, or None."""
    experiment, _ = read_search(spec, overrides)
    return unmet(experiment)


def set_up(
    experiment: Experiment, source: SpecSource, root: Path, *, unsafe_code: bool = False
) -> Setup:
    """Check a search and deal its samples out; loads no weights.

    Raises:
        SpecError: whatever is wrong with it, at its line.
    """
    try:
        return _set_up(experiment, source, root, unsafe_code=unsafe_code)
    except FieldError as error:
        raise source.locate(error) from error
    except (TaskError, SandboxError) as error:
        raise source.locate(FieldError("task", str(error))) from error
    except ModelError as error:
        raise source.locate(FieldError("model", str(error))) from error


def _set_up(experiment: Experiment, source: SpecSource, root: Path, *, unsafe_code: bool) -> Setup:
    settings = experiment.search
    assert settings is not None
    load_config(experiment.model)
    limit, asked = experiment.task.limit, settings.splits
    sizes = _capped(asked, limit)
    # As many chunks as without the limit, so that a quick look prunes as the search itself does.
    chunk = -(-settings.chunk * sizes.validation // asked.validation)
    settings = settings.model_copy(update={"splits": sizes, "chunk": chunk})
    whole = experiment.task.model_copy(update={"limit": None})
    experiment = experiment.model_copy(update={"task": whole, "search": settings})
    if sizes.train is not None:
        experiment = with_pairs(experiment, sizes.train)
    space = space_of(experiment, source)
    if asked.train is not None:
        check_train(space, asked.train)
    pruner_of(settings)
    sampler_for(settings, 0)
    space.check()
    task = task_of(whole, experiment.prompt, unsafe_code=unsafe_code)
    _check_styles(space, task)
    metric, content = _metric(settings, experiment, source, task, unsafe_code=unsafe_code)
    if settings.direction is None:
        less = kind_of(experiment, metric).good == "lower"
        settings = settings.model_copy(update={"direction": "minimize" if less else "maximize"})
    trained = pair_sets(space)
    splits = split(task, joined(trained), sizes, settings.seed)
    study = experiment.name if limit is None else f"{experiment.name}-limit{limit}"
    return Setup(
        settings,
        space,
        splits,
        trained,
        metric,
        study,
        settings.storage or default_storage(root, study),
        _identity(space, settings, splits, trained, metric) | content,
        (*_warnings(space), *moment_warnings(experiment, task, tokenizer_of(experiment.model))),
    )


def _check_styles(space: Space, task: Task) -> None:
    """Raise `FieldError` for a prompt style, of the base or in the space, that cannot be asked."""
    check_styles(space.base, task)
    for field, value in space.corners():
        try:
            check_styles(space.experiment({field: value}), task)
        except FieldError as error:
            raise FieldError(f"search.space.{field}", error.problem) from error


def _check_form(experiment: Experiment) -> None:
    if experiment.search is None:
        raise FieldError("search", "missing; this spec is run by `titrate run`")
    treatment(experiment)
    if experiment.axes:
        raise FieldError("axes", "a search has none; write their values as choices of search.space")
    if experiment.reference not in (None, experiment.model):
        raise FieldError(
            "reference",
            f"a search has one model in memory, and {experiment.reference} is a second; leave it "
            "out: completions are read by the model itself, untouched",
        )
    if measure_named(experiment.measure).reads:
        raise FieldError(
            "measure", f"{experiment.measure} has no metric to search by; leave it out"
        )


def _capped(sizes: SplitSettings, limit: int | None) -> SplitSettings:
    """Every split at `task.limit` samples at most: a quick look at a search."""
    if limit is None:
        return sizes
    capped = {
        name: min(limit, size) for name, size in sizes.model_dump().items() if size is not None
    }
    return sizes.model_copy(update=capped)


def _metric(
    settings: SearchSettings,
    experiment: Experiment,
    source: SpecSource,
    task: Task,
    *,
    unsafe_code: bool,
) -> tuple[str, dict[str, JsonValue]]:
    """The metric that is searched by, and what its values depend on beside the task's."""
    case = PlannedCase(
        Case(experiment.name, experiment, {}, None, source), task, unsafe_code=unsafe_code
    )
    check_metrics(case)
    metric, names = settings.metric or case.metric, case.metrics
    wanted = {"search.metric": metric}
    for position, bound in enumerate(settings.bounds.values()):
        wanted[f"search.subject_to[{position}]"] = bound.metric
    for safe in settings.safe.values():
        wanted["search.goal.subject_to"] = safe.metric
    for place, name in wanted.items():
        if name not in names:
            raise FieldError(
                place,
                f"{task.name} has no metric {name!r};{suggestion(name, names)} it has "
                f"{', '.join(names)}",
            )
    for entry in case.counted:
        if entry.asks is not None and entry.asks.engines:
            raise FieldError(
                "metrics", f"{entry.name} asks another engine, and a search has one; leave it out"
            )
    content: dict[str, JsonValue] = {}
    if metric in case.contents:
        content["search.metric content"] = case.contents[metric]
    for text, safe in settings.safe.items():
        kind = kind_of(experiment, safe.metric)
        if kind.good == "neither":
            told = f"{directionless(safe.metric)}: nothing can be lost"
            raise FieldError("search.goal.subject_to", told)
        if problem := beyond(safe.response, kind.bounds):
            raise FieldError("search.goal.subject_to", f"{safe.metric} {problem}")
        content[f"search.goal {text}"] = case.contents.get(safe.metric, "")
    for text, bound in settings.bounds.items():
        content[f"search.subject_to {text}"] = case.contents.get(bound.metric, "")
    return metric, content


def _identity(
    space: Space,
    settings: SearchSettings,
    splits: Splits,
    trained: Sequence[PairSet],
    metric: str,
) -> dict[str, JsonValue]:
    """What a value depends on: two studies that differ in it have nothing to say to each other.

    A file stands for its content: it may be elsewhere on another machine, and edited in place.
    """
    base = space.base.model_dump(
        mode="json", include={"task", "prompt", "intervention", "sampling", "seed"}
    )
    folder = local_files(space.base.model)
    engine = space.base.engine.model_dump(
        mode="json", include={"name", "dtype"}, exclude_defaults=True
    )
    chosen = settings.model_dump(mode="json", include={"direction", "chunk", "seed"})
    searched = settings.model_dump(mode="json")["space"]
    for field, dimension in searched.items():
        choices = dimension["choices"] or []
        dimension["choices"] = [space.located(field, choice) for choice in choices] or None
    return {
        "model": space.base.model if folder is None else content_hash(folder),
        **{name: _with_contents(value) for name, value in base.items()},
        **{f"engine.{name}": value for name, value in engine.items()},
        **{f"search.{name}": value for name, value in chosen.items()},
        "search.space": _with_contents(searched),
        "search.pairs": _with_contents([each.facts for each in trained]),
        "search.metric": metric,
        "search.splits": splits.digest,
    }


def _with_contents(value: JsonValue) -> JsonValue:
    """A section of a spec with the SHA-256 of every file in place of its path."""
    match value:
        case dict():
            return {name: _with_contents(each) for name, each in value.items()}
        case list():
            return [_with_contents(each) for each in value]
        case str() if Path(value).is_absolute() and Path(value).is_file():
            return f"SHA-256 {hashlib.sha256(Path(value).read_bytes()).hexdigest()}"
    return value


def _warnings(space: Space) -> list[str]:
    if space.has_neutral:
        return []
    dose = space.dose
    where = f"search.space.{dose}" if dose in space.distributions else str(dose)
    origin = space.source.origin(where)
    located = f"{origin.text} {where}" if origin else where
    return [
        f"{located}: the neutral dose 0 is not in the space; no trial can find that it is the best"
    ]
