"""From the router_mask section of a spec to the mask that it asks for.

Orderings from files and seeds are resolved from the model's configuration alone, so that an
impossible mask is found at collection. Orderings by usage need the model: they are measured once
per model, task and expression, when the first case asks for them, and kept in the completion store
under everything that was read for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, cached_property, partial
from typing import Any, TypeAlias

from harness.engines.declared import Declared
from harness.errors import FieldError, ModelError, TitrateError
from harness.interventions.router_logits import Point, check_points
from harness.interventions.router_mask.description import RouterMask, check_count
from harness.interventions.router_mask.section import (
    FilePoints,
    RandomPoints,
    RouterMaskSettings,
    UsagePoints,
)
from harness.interventions.router_points import random_points, rank, read_points
from harness.measure.router_usage import readings_of, styles_of, usage_scores
from harness.models.loading import load_config, local_files
from harness.models.routers import RouterShape, router_shape
from harness.resolve.pair_files import check_tokenizer, pairs_of
from harness.resolve.resolution import Resolution
from harness.resolve.tasks import data_of, full_task
from harness.spec import Experiment
from harness.spec.usage_expression import parse
from harness.store.completions import key_of
from harness.store.results import UsageMap
from harness.store.usages import usage_from
from harness.tasks.base import Style

Ordering: TypeAlias = tuple[Point, ...]
#: What is asked for, of which data, and the file of pairs, if any.
_Name: TypeAlias = tuple[UsagePoints, str, str | None]


class RouterMaskResolution(Resolution[RouterMaskSettings]):
    """Orders router points, and masks the first of them."""

    @cached_property
    def _usages(self) -> dict[_Name, UsageMap]:
        return {}

    @staticmethod
    def check(experiment: Experiment, settings: RouterMaskSettings) -> None:
        """Find what no ordering could allow."""
        check_router_mask(experiment, settings)

    @staticmethod
    def measured(experiment: Experiment, settings: RouterMaskSettings) -> str | None:
        """Router usage, for an ordering by it; no mask of no points depends on one."""
        if settings.usage is None or not settings.count:
            return None
        return f"router usage {settings.usage.usage} on {experiment.task.title}"

    @classmethod
    def styles(cls, experiment: Experiment, settings: RouterMaskSettings) -> Mapping[Style, str]:
        """Those of the averages."""
        if settings.usage is None or cls.measured(experiment, settings) is None:
            return {}
        expression = parse(settings.usage.usage)
        averages = [each for each in (expression.plus, expression.minus) if each is not None]
        return {average.style: "intervention.points.usage" for average in averages}

    @classmethod
    def needs(cls, experiment: Experiment, settings: RouterMaskSettings) -> Declared:
        """Masks, and the routers' logits where usage is measured."""
        measures = cls.measured(experiment, settings) is not None
        return Declared(masks=settings.count > 0, router_logits=measures)

    @classmethod
    def again(
        cls, experiment: Experiment, settings: RouterMaskSettings, usage: UsageMap | None
    ) -> RouterMask | None:
        """The mask of a seed, of a file, or of what was measured; None for another measurement."""
        if local_files(experiment.model) is None:
            raise ModelError(
                f"the configuration of {experiment.model} is not at hand; fetch the model first"
            )
        shape = router_shape(load_config(experiment.model))
        if not isinstance(settings.points, UsagePoints):
            return mask_of(settings, fixed_ordering(settings.points, shape), shape)
        if not settings.count:
            return mask_of(settings, (), shape)
        if usage is None or usage.expression != settings.points.usage:
            return None
        return mask_of(settings, ordered(usage), shape)

    @staticmethod
    def files(settings: RouterMaskSettings) -> tuple[str, ...]:
        """That of the points."""
        points = settings.points
        return (points.file,) if isinstance(points, FilePoints) else ()

    def known(self, experiment: Experiment, settings: RouterMaskSettings) -> bool:
        """Whether the ordering is: from a file or a seed, or measured before."""
        if self.measured(experiment, settings) is None:
            return True
        return self.usage(experiment, settings) is not None

    def resolve(self, experiment: Experiment, settings: RouterMaskSettings) -> RouterMask:
        """The mask of the first `count` points."""
        shape = router_shape(load_config(experiment.model))
        if not isinstance(settings.points, UsagePoints):
            ordering = fixed_ordering(settings.points, shape)
        elif settings.count:
            ordering = ordered(self._measured(settings.points, experiment, shape))
        else:
            ordering = ()  # a mask of no points is the same under any ordering
        return mask_of(settings, ordering, shape)

    def usage(self, experiment: Experiment, settings: RouterMaskSettings) -> UsageMap | None:
        """The measured usage that the points are ordered by, once it is known."""
        if settings.usage is None or not settings.count:
            return None
        return self._known(settings.usage, experiment)

    def _measured(
        self, points: UsagePoints, experiment: Experiment, shape: RouterShape
    ) -> UsageMap:
        usage = self._known(points, experiment)
        if usage is not None:
            return usage
        task = full_task(experiment.task, experiment.prompt)
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
        task = full_task(experiment.task, experiment.prompt)
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
    """A stored measurement; raises ValueError for anything else, and for another model's shape."""
    usage = usage_from(document)
    if usage.layers != tuple(shape.layers) or len(usage.values[0]) != shape.experts:
        raise ValueError("usage of other routers")
    try:
        ordered(usage)
    except TitrateError as error:
        raise ValueError(str(error)) from error
    return usage


def _name(points: UsagePoints, experiment: Experiment) -> _Name:
    return points, data_of(experiment), experiment.prompt.pairs


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
