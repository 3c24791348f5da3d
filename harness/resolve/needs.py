"""What a model's cases will ask of an engine, known from their specs before anything is loaded.

An engine whose forward pass is compiled cannot learn it later (`engines/declared.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from harness.engines.declared import Declared, Place, Steered
from harness.resolve.resolver import usage_of
from harness.spec import Experiment, RouterMaskSettings
from harness.spec.measure import measure_named
from harness.spec.steering import PairVector, SteeringSettings
from harness.spec.steering_terms import Site


def needs_of(experiments: Iterable[Experiment]) -> Declared:
    """What these experiments need together: masks, steered places, and places to read."""
    needs = Declared()
    for experiment in experiments:
        settings = experiment.intervention
        if isinstance(settings, SteeringSettings):
            needs |= _of_steering(settings)
        elif isinstance(settings, RouterMaskSettings):
            measured = usage_of(experiment) is not None
            needs |= Declared(masks=settings.count > 0, router_logits=measured)
        read = measure_named(experiment.measure).needs_of(experiment)
        if read is not None:
            needs |= read
    return needs


def needs_of_building(settings: SteeringSettings) -> Declared:
    """What reading the pairs of a section's vectors needs, whatever is then steered by them.

    The residual stream is read as well, in whose lengths every vector is kept.
    """
    read: frozenset[Place] = frozenset()
    for vector in settings.vectors:
        if isinstance(vector, PairVector):
            layers = settings.layers_of(vector)
            read |= places(layers, settings.site_of(vector)) | places(layers)
    return Declared(read=read)


def places(layers: Iterable[int], site: Site = "block") -> frozenset[Place]:
    """One site of several layers."""
    return frozenset((layer, site) for layer in layers)


def _of_steering(settings: SteeringSettings) -> Declared:
    if not settings.alpha:
        return Declared()
    held: Counter[Place] = Counter()
    for vector in settings.vectors:
        held.update(places(settings.layers_of(vector), settings.site_of(vector)))
    conditional = settings.only_if is not None
    steered = {place: Steered(terms, conditional) for place, terms in held.items()}
    return Declared(steered=steered) | needs_of_building(settings)
