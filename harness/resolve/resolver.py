"""From the intervention section of a spec to the intervention itself.

Orderings from files and seeds are resolved from the model's configuration alone, so that an
impossible mask is found at collection. Orderings by usage need the model: they are measured once
per model, task and expression, when the first case asks for them, and kept in the completion store
under everything that was read for them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any, TypeAlias

from harness.engines import check_kind
from harness.engines.contract import Engine
from harness.errors import FieldError, TitrateError
from harness.interventions.base import Intervention
from harness.interventions.router_mask import Point, RouterMask, check_count, check_points
from harness.interventions.router_points import random_points, rank, read_points
from harness.measure.router_usage import readings_of, styles_of, usage_scores
from harness.models.loading import load_config
from harness.models.routers import RouterShape, router_shape
from harness.resolve.dac import DifferenceSource, check_dac
from harness.resolve.pair_files import check_tokenizer, pairs_of
from harness.resolve.progress import Progress
from harness.resolve.steering import VectorSource, check_steering
from harness.resolve.tasks import full_task
from harness.spec import Experiment, FilePoints, RandomPoints, RouterMaskSettings, UsagePoints
from harness.spec.dac import DacSettings, PairProperty
from harness.spec.steering import PairVector, SteeringSettings
from harness.spec.usage_expression import parse
from harness.store.completions import CompletionStore, key_of
from harness.store.records import usage_from
from harness.store.results import UsageMap

Ordering: TypeAlias = tuple[Point, ...]
#: What is asked for, task and data file, and the file of pairs, if any.
_Name: TypeAlias = tuple[UsagePoints, str, str | None, str | None]


@dataclass
class Resolver:
    """Resolves the interventions of the cases of one model; keeps what it measured."""

    engine: Engine
    progress: Progress
    store: CompletionStore | None = None
    _usages: dict[_Name, UsageMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._vectors = VectorSource(self.engine, self.progress, self.store)
        self._differences = DifferenceSource(self.engine, self.progress, self.store)

    def resolve(self, experiment: Experiment) -> Intervention | None:
        """The experiment's intervention. Raises `FieldError` for an impossible one."""
        settings = experiment.intervention
        if settings is None:
            return None
        if isinstance(settings, SteeringSettings):
            return self._vectors.steering(experiment, settings)
        if isinstance(settings, DacSettings):
            return self._differences.dac(experiment, settings)
        shape = router_shape(load_config(experiment.model))
        if not isinstance(settings.points, UsagePoints):
            ordering = fixed_ordering(settings.points, shape)
        elif settings.count:
            ordering = ordered(self._measured(settings.points, experiment, shape))
        else:
            ordering = ()  # a mask of no points is the same under any ordering
        return mask_of(settings, ordering, shape)

    def usage(self, experiment: Experiment) -> UsageMap | None:
        """The measured usage that an experiment's points are ordered by, once it is known."""
        points = usage_of(experiment)
        return None if points is None else self._known(points, experiment)

    def needs_model(self, experiment: Experiment) -> bool:
        """Whether something must be measured before the intervention is known."""
        settings = experiment.intervention
        if isinstance(settings, SteeringSettings):
            return not self._vectors.known(experiment, settings)
        if isinstance(settings, DacSettings):
            return not self._differences.known(experiment, settings)
        points = usage_of(experiment)
        return points is not None and self._known(points, experiment) is None

    def _measured(
        self, points: UsagePoints, experiment: Experiment, shape: RouterShape
    ) -> UsageMap:
        usage = self._known(points, experiment)
        if usage is not None:
            return usage
        task = full_task(experiment.task, experiment.prompt.day)
        self.progress.note(f"measuring router usage {points.usage} on {task.name}")
        pairs = pairs_of(experiment)
        check_tokenizer(experiment, self.engine.tokenizer)
        scores = usage_scores(parse(points.usage), self.engine, shape, task, points.samples, pairs)
        values = tuple(map(tuple, scores.tolist()))
        usage = UsageMap(points.usage, tuple(shape.layers), values)
        ordered(usage)  # what has no order is not kept
        if self.store is not None:
            key, value = self._key(points, experiment), asdict(usage)
            usage = self.store.agree(
                key, value, "ordering", self.engine.fingerprint, partial(_usage_of, shape)
            )
        self._usages[_name(points, experiment)] = usage
        return usage

    def _known(self, points: UsagePoints, experiment: Experiment) -> UsageMap | None:
        """What was measured before, in this run or in another."""
        name = _name(points, experiment)
        if name not in self._usages and self.store is not None:
            shape = router_shape(load_config(experiment.model))
            decode = partial(_usage_of, shape)
            stored = self.store.value(self._key(points, experiment), decode)
            if stored is not None:
                self._usages[name] = stored
        return self._usages.get(name)

    def _key(self, points: UsagePoints, experiment: Experiment) -> str:
        """The key of a measurement: the expression, and every token and position that is read."""
        task = full_task(experiment.task, experiment.prompt.day)
        expression = parse(points.usage)
        readings = [
            (style, reading.tokens, reading.capture.positions)
            for style in styles_of(expression)
            for reading in readings_of(
                self.engine.tokenizer,
                task,
                task.samples[: points.samples],
                style,
                pairs_of(experiment),
            )
        ]
        content = json.dumps([repr(expression), readings])
        return key_of(self.engine.fingerprint, f"usage {content}")


def _usage_of(shape: RouterShape, document: Any) -> UsageMap:
    """A stored measurement; raises ValueError for what is none, or of another model's shape."""
    usage = usage_from(document)
    if usage.layers != tuple(shape.layers) or len(usage.values[0]) != shape.experts:
        raise ValueError("usage of other routers")
    try:
        ordered(usage)
    except TitrateError as error:
        raise ValueError(str(error)) from error
    return usage


def _name(points: UsagePoints, experiment: Experiment) -> _Name:
    return points, experiment.task.name, experiment.task.path, experiment.prompt.pairs


def usage_of(experiment: Experiment) -> UsagePoints | None:
    """The measured ordering that an experiment's intervention depends on, if any."""
    settings = experiment.intervention
    if not isinstance(settings, RouterMaskSettings) or not settings.count:
        return None
    return settings.points if isinstance(settings.points, UsagePoints) else None


def measured_for(experiment: Experiment) -> str | None:
    """What has to be measured on the model before an experiment's intervention is known, if any."""
    settings = experiment.intervention
    if isinstance(settings, SteeringSettings) and settings.alpha:
        built = [each for each in settings.vectors if isinstance(each, PairVector)]
        if built:
            return ", ".join(f"{each.method} vector of {each.pairs}" for each in built)
    if isinstance(settings, DacSettings) and settings.strongest:
        measured = [each.called for each in settings.properties if isinstance(each, PairProperty)]
        if measured:
            return f"differences of {', '.join(measured)}"
    usage = usage_of(experiment)
    return None if usage is None else f"router usage {usage.usage} on {experiment.task.name}"


def check_intervention(experiment: Experiment) -> None:
    """Raise `FieldError` or `ModelError` for what cannot be done, before weights are loaded."""
    settings = experiment.intervention
    if settings is not None:
        check_kind(experiment.engine.name, settings.kind)
    if isinstance(settings, SteeringSettings):
        check_steering(experiment, settings)
    elif isinstance(settings, DacSettings):
        check_dac(experiment, settings)
    elif settings is not None:
        check_router_mask(experiment, settings)


def ordered(usage: UsageMap) -> Ordering:
    """All router points, most used first."""
    import torch

    return rank(torch.tensor(usage.values, dtype=torch.float64), usage.layers)


def check_router_mask(experiment: Experiment, settings: RouterMaskSettings) -> None:
    """Raise `FieldError` or `ModelError` for a mask that cannot be, before weights are loaded.

    A usage ordering is not known yet. Any ordering whatever spreads `count` points over the
    layers at best evenly, which bounds what can be told now.
    """
    if isinstance(settings.points, FilePoints):  # the file may change between two checks
        shape = router_shape(load_config(experiment.model))
        _check(settings, fixed_ordering(settings.points, shape), shape)
    else:
        _check_pure(experiment.model, settings)


@cache
def _check_pure(model: str, settings: RouterMaskSettings) -> None:
    """The check of a mask that no file has a say in: once for all the cases that share it."""
    shape = router_shape(load_config(model))
    if isinstance(settings.points, RandomPoints):
        ordering = fixed_ordering(settings.points, shape)
    else:
        experts = range(shape.experts)
        ordering = tuple((layer, expert) for expert in experts for layer in shape.layers)
    _check(settings, ordering, shape)


def fixed_ordering(points: FilePoints | RandomPoints, shape: RouterShape) -> Ordering:
    """An ordering that needs no measurement, checked against the model's shape."""
    if isinstance(points, RandomPoints):
        return random_points(shape.layers, shape.experts, points.random)
    ordering = read_points(points.file)
    try:
        check_points(ordering, layers=shape.layers, experts=shape.experts)
    except FieldError as error:
        raise FieldError("intervention.points.file", f"{points.file}: {error.problem}") from error
    return ordering


def mask_of(settings: RouterMaskSettings, ordering: Ordering, shape: RouterShape) -> RouterMask:
    """The mask of an ordering's first `count` points; raises `FieldError` where it cannot be."""
    _check(settings, ordering, shape)
    return RouterMask(
        mode=settings.mode, on_empty=settings.on_empty, points=ordering[: settings.count]
    )


def _check(settings: RouterMaskSettings, ordering: Ordering, shape: RouterShape) -> None:
    check_count(
        ordering, settings.count, mode=settings.mode, experts=shape.experts, top_k=shape.top_k
    )
