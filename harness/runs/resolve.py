"""From the intervention section of a spec to the intervention itself.

Orderings from files and seeds are resolved from the model's configuration alone, so that an
impossible mask is found at collection. Orderings by usage need the model: they are measured once
per model, task and expression, when the first case asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.engines.base import Engine
from harness.errors import FieldError
from harness.interventions.base import Intervention
from harness.interventions.router_mask import Point, RouterMask, check_count, check_points
from harness.interventions.router_points import random_points, read_points
from harness.measure.router_usage import order_points
from harness.models.loading import load_config
from harness.models.routers import RouterShape, router_shape
from harness.runs.progress import Progress
from harness.runs.tasks import full_task
from harness.spec import Experiment, FilePoints, RandomPoints, RouterMaskSettings, UsagePoints
from harness.spec.usage_expression import parse


@dataclass
class Resolver:
    """Resolves the interventions of the cases of one model; keeps what it measured."""

    engine: Engine
    progress: Progress
    _orderings: dict[tuple[UsagePoints, str, str | None], tuple[Point, ...]] = field(
        default_factory=dict
    )

    def resolve(self, experiment: Experiment) -> Intervention | None:
        """The experiment's intervention. Raises `FieldError` for an impossible one."""
        settings = experiment.intervention
        if settings is None:
            return None
        shape = router_shape(load_config(experiment.model))
        if isinstance(settings.points, UsagePoints):
            ordering = self._measured(settings.points, experiment, shape)
        else:
            ordering = fixed_ordering(settings.points, shape)
        return mask_of(settings, ordering, shape)

    def _measured(
        self, points: UsagePoints, experiment: Experiment, shape: RouterShape
    ) -> tuple[Point, ...]:
        key = (points, experiment.task.name, experiment.task.path)
        if key not in self._orderings:
            task = full_task(experiment.task)
            self.progress.note(f"measuring router usage {points.usage} on {task.name}")
            self._orderings[key] = order_points(
                parse(points.usage), self.engine, shape, task, points.samples
            )
        return self._orderings[key]


def check_router_mask(experiment: Experiment, settings: RouterMaskSettings) -> None:
    """Raise `FieldError` or `ModelError` for a mask that cannot be, before weights are loaded.

    A usage ordering is not known yet. Any ordering whatever spreads `count` points over the
    layers at best evenly, which bounds what can be told now.
    """
    shape = router_shape(load_config(experiment.model))
    if isinstance(settings.points, UsagePoints):
        best = tuple((layer, expert) for expert in range(shape.experts) for layer in shape.layers)
        _check(settings, best, shape)
    else:
        _check(settings, fixed_ordering(settings.points, shape), shape)


def fixed_ordering(points: FilePoints | RandomPoints, shape: RouterShape) -> tuple[Point, ...]:
    """An ordering that needs no measurement, checked against the model's shape."""
    if isinstance(points, RandomPoints):
        return random_points(shape.layers, shape.experts, points.random)
    ordering = read_points(points.file)
    try:
        check_points(ordering, layers=shape.layers, experts=shape.experts)
    except FieldError as error:
        raise FieldError("intervention.points.file", f"{points.file}: {error.problem}") from error
    return ordering


def mask_of(
    settings: RouterMaskSettings, ordering: tuple[Point, ...], shape: RouterShape
) -> RouterMask:
    """The mask of an ordering's first `count` points; raises `FieldError` where it cannot be."""
    _check(settings, ordering, shape)
    return RouterMask(
        mode=settings.mode, on_empty=settings.on_empty, points=ordering[: settings.count]
    )


def _check(settings: RouterMaskSettings, ordering: tuple[Point, ...], shape: RouterShape) -> None:
    check_count(
        ordering, settings.count, mode=settings.mode, experts=shape.experts, top_k=shape.top_k
    )
